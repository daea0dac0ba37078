"""A dock as a process of its own beside a gateway and a real broker: configuration, start, kill, what it said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.scenarios.gateway_process import ROOT, until

FOLDER = {"path": "stick", "device_from": "folder", "beside": ["*.gps", "*.srt"]}


def toml(folder: Path, port: int, vkey: Path, *, dock: dict[str, Any] | None = None, **section: Any) -> Path:
    """A dock's configuration file."""
    said = {"id": "dock-1", "log_key": str(vkey), "scan_s": 0.1, "settle_s": 0.2, **(dock or {})}
    lines = ["[dock]", *(f"{name} = {json.dumps(value)}" for name, value in said.items())]
    lines += ["[broker]", f"port = {port}", "[[folder]]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in {**FOLDER, **section}.items()]
    lines += ["[serials]", 'AX100 = "cam-0042"', 'AX200 = "cam-0099"']
    file = folder / "dock.toml"
    file.write_text("\n".join(lines) + "\n")
    return file


class DockProcess:
    """`lapel dock --json`; `said` is all it has printed."""

    def __init__(self, config: Path, *more: str) -> None:
        """Start it."""
        self.said: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "dock", "-c", str(config), "--json", *more],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(json.loads(line))

    def of(self, event: str) -> list[dict[str, Any]]:
        """All it said of one kind."""
        return [each for each in list(self.said) if each["event"] == event]

    def waits_for(self, condition, what: str, patience_s: float = 30.0) -> None:
        """Wait for something; its last words where it does not come."""
        until(lambda: condition() or self._process.poll() is not None, patience_s, f"{what}; it said {self.said[-5:]}")
        assert condition(), f"{what}: it ended, exit {self._process.returncode}, {self.said[-5:]}, {self.errors()}"

    def errors(self) -> str:
        """What it said on standard error, once it has ended."""
        assert self._process.stderr is not None
        return self._process.stderr.read().decode(errors="replace") if self._process.poll() is not None else ""

    def kill(self) -> None:
        """SIGKILL; again is no error."""
        self._process.kill()
        self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; its exit code."""
        self._process.terminate()
        return self.ended()

    def ended(self, patience_s: float = 20.0) -> int:
        """Its exit code, once it has ended by itself."""
        code = self._process.wait(patience_s)
        self._reader.join(5)
        return code
