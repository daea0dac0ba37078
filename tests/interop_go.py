"""Debian's golang.org/x/mod/sumdb as a reader of our log: tests/go/tlogread.go, built once a run."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests import peers

SOURCE = Path(__file__).parent / "go" / "tlogread.go"
GOCODE = Path("/usr/share/gocode")


def build(folder: Path) -> Path:
    """The reader as a program; without Go or its sumdb packages the test is left out, and fails under CI."""
    if shutil.which("go") is None or not (GOCODE / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        peers.left_out("golang-go and golang-golang-x-mod-dev are not installed")
    program = folder / "tlogread"
    go = {"GOPATH": str(GOCODE), "GO111MODULE": "off", "GOFLAGS": "", "GOCACHE": str(folder / "cache")}
    command = ["go", "build", "-o", str(program), str(SOURCE)]
    done = subprocess.run(command, env={**os.environ, **go}, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return program
