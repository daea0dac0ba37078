"""A master on its way into the bag: hashed as written, resumed, begun anew, never kept after a sync that failed."""

from __future__ import annotations

import errno
import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import IntegrityError
from gateway.evidence.export.masters import STEP, write_master
from gateway.evidence.export.order import Needs
from gateway.evidence.rows import Exhibit
from tests.evidence.vault.lab import FaultyFiles

CHUNK = 64 * 1024
CONTENT = hashlib.shake_128(b"footage").digest(3 * STEP + CHUNK + 5)
SEALED = Exhibit(id="X-1", size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest(), name="a.mp4")


class Scene:
    """One exhibit whose bytes come in pieces of 64 KiB; where reading began is noted."""

    def __init__(self, content: bytes = CONTENT) -> None:
        self.content, self.files = content, FaultyFiles()
        self.begun: list[int] = []
        self.wrote = 0
        self.sealed = Exhibit(id="X-1", size=len(content), sha256=hashlib.sha256(content).hexdigest())

    def read(self, _exhibit: str, start: int = 0) -> Iterator[bytes]:
        self.begun.append(start)
        for at in range(start, len(self.content), CHUNK):
            yield self.content[at : at + CHUNK]

    def write(self, path: Path, sealed: Exhibit | None = None) -> str:
        """As the export does it."""
        needs = cast("Needs", cast("Any", SimpleNamespace(files=self.files, read=self.read)))
        return write_master(needs, sealed or self.sealed, path, self._wrote)

    def _wrote(self, octets: int) -> None:
        self.wrote += octets


@given(st.integers(0, 3 * STEP), st.integers(0, 3 * STEP))
def test_whatever_was_there_it_is_whole_and_hashed(size: int, there: int) -> None:
    """Of any size, over any part of it that a crash left; every octet is counted once."""
    with tempfile.TemporaryDirectory() as folder:
        path, scene = Path(folder) / "master", Scene(CONTENT[:size])
        if there:
            path.write_bytes(CONTENT[:there])
        assert scene.write(path) == hashlib.sha256(CONTENT[:size]).hexdigest()
        assert path.read_bytes() == CONTENT[:size]
        assert (scene.wrote, scene.begun) == (size, [min(there, size) // STEP * STEP])
        assert scene.files.calls[-1] == "datasync"


def test_a_part_that_is_something_else_is_written_anew(tmp_path: Path) -> None:
    """A power cut may leave anything; from the beginning, once."""
    scene, path = Scene(), tmp_path / "master"
    path.write_bytes(bytes(STEP))
    scene.write(path)
    assert (path.read_bytes() == CONTENT, scene.begun) == (True, [STEP, 0])


def test_what_is_not_what_was_sealed_is_refused(tmp_path: Path) -> None:
    """One that reads as something else is an integrity failure that names both digests."""
    scene = Scene(CONTENT[:-1] + b"?")
    with pytest.raises(IntegrityError, match=SEALED.sha256):
        scene.write(tmp_path / "master", SEALED)


def test_after_a_sync_that_failed_nothing_is_taken_over(tmp_path: Path) -> None:
    """The kernel forgets the pages that it could not write: the next run must read right what is not on the disk."""
    scene, path = Scene(), tmp_path / "master"
    counting = Scene()
    counting.write(tmp_path / "other")
    scene.files.fail_at, scene.files.error = counting.files.calls.index("datasync"), errno.EIO
    with pytest.raises(OSError, match="injected into datasync"):
        scene.write(path)
    assert not path.exists()
    scene.write(path)
    assert scene.begun == [0, 0]


@pytest.mark.parametrize("at", [1, 17, 40])
def test_after_a_write_that_failed_it_goes_on(tmp_path: Path, at: int) -> None:
    """A full disk: what was written stays, whole MiB of it are taken over, and it ends right."""
    scene, path = Scene(), tmp_path / "master"
    scene.files.fail_at = at
    with pytest.raises(OSError, match="injected into write"):
        scene.write(path)
    scene.write(path)
    assert path.read_bytes() == CONTENT
    assert scene.begun == [0, (at - 1) * CHUNK // STEP * STEP]
