"""A real Mosquitto that may be killed and started again on its port; what it had taken and not delivered is gone."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from tests import peers
from tests.scenarios.gateway_process import free_port, until


class BrokerProcess:
    """The broker as a process of its own."""

    def __init__(self, folder: Path) -> None:
        """Write its configuration; nothing runs yet."""
        self.binary = peers.program("mosquitto")
        self.port, self._file = free_port(), folder / "mosquitto.conf"
        self._file.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            "max_queued_messages 0\nlog_type none\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> BrokerProcess:
        """Start it and wait until it listens."""
        words = [self.binary, "-c", str(self._file)]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._listens, 10, "mosquitto listens")
        return self

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; again is no error."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
