"""The image: the recording's bytes at their places, unchangeable, and gone afterwards."""

from __future__ import annotations

import os

import pytest

from gateway.media import boxes
from gateway.media.image import imaged
from tests.media.films import box, descriptors, pieces

CONTENT = os.urandom(300_000)


def test_a_small_recording_whole() -> None:
    """Every byte; the source is the descriptor; nothing is left open."""
    before = descriptors()
    with imaged(pieces(CONTENT), len(CONTENT)) as image:
        assert os.pread(image.fd, len(CONTENT) + 1, 0) == CONTENT
        assert image.whole
        assert image.source == f"file:/proc/self/fd/{image.fd}"
    assert descriptors() == before


def test_an_empty_recording() -> None:
    """Nothing is an image too."""
    with imaged(pieces(b""), 0) as image:
        assert os.fstat(image.fd).st_size == 0


def test_nobody_can_change_it() -> None:
    """Sealed against writing, growing and shrinking, for whoever opens it anew as well."""
    with imaged(pieces(CONTENT), len(CONTENT)) as image:
        for act in (lambda: os.pwrite(image.fd, b"x", 0), lambda: os.ftruncate(image.fd, 5)):
            with pytest.raises(PermissionError):
                act()
        again = os.open(f"/proc/self/fd/{image.fd}", os.O_RDWR)
        with pytest.raises(PermissionError):
            os.write(again, b"x")
        os.close(again)


def test_a_large_recording_has_holes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Index, beginning and end at their places; what lies between is zeros and costs nothing."""
    for name, octets in (("WHOLE_MAX", 200_000), ("HEAD", 20_000), ("TAIL", 30_000), ("INDEX_MAX", 50_000)):
        monkeypatch.setattr(boxes, name, octets)
    film = box(b"ftyp", b"isom") + box(b"mdat", b"\1" * 2_000_000) + box(b"moov", b"\2" * 40_000)
    read: list[int] = []

    def counted(start: int, end: int):
        read.append(end - start)
        return pieces(film)(start, end)

    with imaged(counted, len(film)) as image:
        seen = os.pread(image.fd, len(film), 0)
        assert os.fstat(image.fd).st_blocks * 512 < 200_000
    assert seen[:20_000] == film[:20_000]
    assert seen[-70_008:] == film[-70_008:]
    assert seen[500_000:1_000_000] == bytes(500_000)
    assert sum(read) < 400_000


def test_four_gigabytes_cost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image of a recording of 4 GiB holds less than WHOLE_MAX, and less is read for it."""
    size, read = 4 << 30, [0]

    def endless(start: int, end: int):
        read[0] += end - start
        for at in range(start, end, 65_536):
            yield b"\1" * min(65_536, end - at)

    with imaged(endless, size) as image:
        status = os.fstat(image.fd)
        assert status.st_size == size
        assert status.st_blocks * 512 < boxes.WHOLE_MAX
    assert read[0] < boxes.WHOLE_MAX


def test_a_vault_that_fails_leaves_nothing() -> None:
    """The descriptor is closed where a read raises."""
    before = descriptors()

    def broken(start: int, end: int):
        yield CONTENT[start : start + 100]
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"), imaged(broken, len(CONTENT)):
        pass
    assert descriptors() == before
