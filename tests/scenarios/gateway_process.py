"""The gateway as an operator runs it: a process with a configuration file, driven and judged from outside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import peers

ROOT = Path(__file__).resolve().parents[2]
READY_S = 30.0
STOP_S = 20.0
COMMAND_S = 120.0


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], object], patience_s: float, what: str, pause_s: float = 0.005) -> None:
    """Wait until a condition holds; AssertionError names what did not come."""
    ends_s = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > ends_s:
            raise AssertionError(f"not within {patience_s:g} s: {what}")
        time.sleep(pause_s)


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Debian's broker on a loopback port of its own; its port."""
    binary = peers.program("mosquitto")
    port, file = free_port(), folder / "mosquitto.conf"
    file.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_queued_messages 0\nlog_type none\n"
    )
    process = subprocess.Popen([binary, "-c", str(file)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: _listening(port), 10, "mosquitto listens")
        yield port
    finally:
        process.kill()
        process.wait()


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def configuration(
    data: Path, broker_port: int, *, embedded: bool = False, kinds: Sequence[str] = ("camera",), **more: Any
) -> str:
    """A configuration file's text; `more` has further sections, e.g. store={"reserve_mb": 8}."""
    sections: dict[str, dict[str, Any]] = {
        "gateway": {"instance": "under-test", "data": str(data)},
        "broker": {"embedded": embedded, "port": broker_port},
        "api": {"port": 0},
        **more,
    }
    lines = []
    for name, table in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    for kind in kinds:
        lines += ["[[driver]]", f'kind = "{kind}"', f'name = "{kind}s"']
    return "\n".join(lines) + "\n"


class GatewayProcess:
    """`lapel run`, started, killed, stopped and asked; what it logged is in `log`."""

    def __init__(self, folder: Path, text: str, environment: Mapping[str, str] | None = None) -> None:
        """Write the configuration; nothing runs yet."""
        self.config, self.log = folder / "lapel.toml", folder / "gateway.log"
        self.config.write_text(text, "utf-8")
        self.log.touch()
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._logged_before = 0
        self.address = ""

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> GatewayProcess:
        """Start it; `ready` waits until it serves."""
        assert not self.running
        self._logged_before = self.log.stat().st_size
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "run", "-c", str(self.config)],
                cwd=ROOT,
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        return self

    def ready(self, patience_s: float = READY_S) -> GatewayProcess:
        """Wait until it says that it has started; AssertionError with its last words where it ends instead."""
        until(lambda: self._started() or not self.running, patience_s, "the gateway starts")
        assert self._started(), f"the gateway ended: {self._said()[-2000:].decode(errors='replace')}"
        return self

    def events(self, name: str) -> list[dict[str, Any]]:
        """What this run has logged under that name."""
        lines = [line for line in self._said().splitlines() if line.startswith(b"{") and line.endswith(b"}")]
        return [event for event in map(json.loads, lines) if event.get("event") == name]

    def _started(self) -> bool:
        for event in self.events("started"):
            self.address = event["address"]
        return bool(self.events("started"))

    def _said(self) -> bytes:
        with self.log.open("rb") as log:
            log.seek(self._logged_before)
            return log.read()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone; again is no error."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def hold_still(self) -> None:
        """SIGSTOP, and wait until every thread has stopped."""
        os.kill(self.pid, signal.SIGSTOP)
        tasks = Path(f"/proc/{self.pid}/task")
        until(
            lambda: all((task / "stat").read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.iterdir()),
            10,
            "every thread stands still",
            0.001,
        )

    def terminate(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(STOP_S)

    def lapel(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """Run one command on the same store."""
        return subprocess.run(
            [sys.executable, "-m", "gateway", *words, "-c", str(self.config)],
            cwd=ROOT,
            env={**self._environment, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=COMMAND_S,
        )

    def told(self, *words: str) -> str:
        """The standard output of a command that must not fail."""
        done = self.lapel(*words)
        assert done.returncode == 0, f"lapel {' '.join(words)}: exit {done.returncode}: {done.stderr.decode()}"
        return done.stdout.decode()

    def token(self, user: str = "tester", role: str = "administrator") -> str:
        """A bearer token of an account made for it."""
        self.told("user", "add", user, "--role", role)
        return self.told("token", "create", "--user", user).strip()
