"""Real recordings, made once by the real encoder; programs that misbehave."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.media.child import program
from gateway.media.examination import Tools
from tests import peers
from tests.cli.conftest import Lapel
from tests.media.films import film


@pytest.fixture(scope="session")
def tools() -> Tools:
    """The ffmpeg commands; CI fails where they are missing, elsewhere the test says that it was left out."""
    found = [program(name) for name in ("ffprobe", "ffmpeg")]
    if None in found:
        peers.left_out("ffprobe and ffmpeg are not installed")
    return Tools(*map(str, found), version="ffprobe under test")


@pytest.fixture(scope="session")
def film_at_end(tools: Tools) -> bytes:
    """Twelve seconds of H.264 and AAC in MP4, its index behind the samples, a key frame every two seconds."""
    return film(tools)


@pytest.fixture(scope="session")
def film_at_front(tools: Tools, film_at_end: bytes) -> bytes:
    """The same with its index in front."""
    return film(tools, film_at_end, "mp4", "-movflags", "faststart")


@pytest.fixture(scope="session")
def film_in_fragments(tools: Tools, film_at_end: bytes) -> bytes:
    """The same in fragments, as a camera writes it that may lose power."""
    return film(tools, film_at_end, "mp4", "-movflags", "frag_keyframe+empty_moov")


@pytest.fixture(scope="session")
def film_in_matroska(tools: Tools, film_at_end: bytes) -> bytes:
    """The same in Matroska."""
    return film(tools, film_at_end, "matroska")


@pytest.fixture
def stand_in() -> Iterator[Callable[[str], str]]:
    """Makes a shell script that stands in for a command; anybody may run it, as the cage is nobody."""
    folder = Path(tempfile.mkdtemp(prefix="lapel-stand-in-"))
    folder.chmod(0o755)

    def make(script: str) -> str:
        path = folder / "stand-in"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    yield make
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def system_python() -> str:
    """A Python that nobody may run too."""
    found = "/usr/bin/python3"
    if not Path(found).exists() or subprocess.run([found, "-c", ""]).returncode:
        peers.left_out("there is no /usr/bin/python3")
    return found


@pytest.fixture
def lapel(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Lapel:
    """The command line."""
    return Lapel(monkeypatch, capfd)
