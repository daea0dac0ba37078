"""`lapel log witness` as a partner agency runs it, and a gateway's configuration that names it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.scenarios.gateway_process import ROOT, STOP_S, configuration, free_port, until


class WitnessProcess:
    """A witness with a file, key and state of its own; told which logs it may cosign before it is started."""

    def __init__(self, folder: Path, name: str) -> None:
        """Nothing runs yet."""
        self.name, self.folder, self.port = name, folder / name, free_port()
        self.folder.mkdir()
        self.config = self.folder / "witness.toml"
        self.write({})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def write(self, logs: dict[str, Sequence[str]]) -> None:
        """Its configuration: each log's origin and keys."""
        text = f'name = "{self.name}.test/witness"\nport = {self.port}\n' + ("" if logs else "log = []\n")
        for origin, keys in logs.items():
            text += f"[[log]]\norigin = {json.dumps(origin)}\nvkey = {json.dumps(list(keys))}\n"
        self.config.write_text(text)

    def vkey(self) -> str:
        """Its verifier key, made on the first call."""
        return self.lapel("--vkey").stdout.decode().strip()

    def lapel(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        """The command, to its end."""
        command = [sys.executable, "-m", "gateway", "log", "witness", "-c", str(self.config), *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60)

    def start(self) -> WitnessProcess:
        """Start it, and wait until it listens."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gateway", "log", "witness", "-c", str(self.config), "--with-parent"],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,  # ends when we do, however we do
                stdout=log,
                stderr=log,
            )
        until(lambda: b"witness_started" in self.said() or self._process.poll() is not None, 30, "the witness starts")  # type: ignore[union-attr]
        assert self._process.poll() is None, self.said().decode()
        return self

    def said(self) -> bytes:
        """What it has logged in all its lives."""
        return (self.folder / "log").read_bytes()

    def kill(self) -> None:
        """SIGKILL; again is no error."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> int:
        """SIGTERM; its exit code. What it said of this life is forgotten."""
        assert self._process is not None
        self._process.terminate()
        code = self._process.wait(STOP_S)
        (self.folder / "log").rename(self.folder / "log.before")
        return code


def witnessed(data: Path, origin: str, witnesses: Sequence[tuple[str, str, str]], quorum: int) -> str:
    """A gateway's configuration with witnesses (name, url, vkey), each its own operator."""
    log = {"origin": origin, "operator": "PCC", "witness_quorum": quorum}
    text = configuration(data, 1, embedded=True, kinds=(), log=log).replace('"port": 1', '"port": 0')
    text = text.replace("port = 1\n", f"port = {free_port()}\n")
    for name, url, vkey in witnesses:
        text += f'[[log.witness]]\nname = "{name}"\noperator = "{name}"\nurl = "{url}"\nvkey = "{vkey}"\n'
    return text
