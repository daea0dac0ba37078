"""Details at a second place: appended, erased, and never made worse by a damaged first store."""

from __future__ import annotations

import os
import shutil

import pytest

from gateway.crypto import sealing
from gateway.evidence.copies.detail_files import HEADER, DetailFiles, records
from gateway.evidence.copies.transfer import Pace, SourceError
from gateway.evidence.vault.files import DiskFiles

KEY = bytes(range(32))


def record(number: int, words: bytes = b"detail") -> bytes:
    """A record as docs/formats.md says."""
    digest = number.to_bytes(32, "big")
    sealed = sealing.seal(KEY, words, digest)
    return b"D" + (len(sealed) - 12).to_bytes(4, "big") + digest + sealed


def erased(raw: bytes) -> bytes:
    """The same, erased."""
    return b"E" + raw[1:49] + bytes(len(raw) - 49)


class Pair:
    """A first store's details, and a place's."""

    def __init__(self, root) -> None:
        self.first, self.place = root / "first", root / "place/evidence"
        (self.first / "details").mkdir(parents=True)
        self.place.mkdir(parents=True)
        self.ours, self.theirs = (folder / "details/000000.dtl" for folder in (self.first, self.place))
        self.files = DetailFiles(self.first, self.place, (DiskFiles(), Pace(0)), lambda _: KEY)

    def write(self, *parts: bytes) -> None:
        """The first store's file."""
        self.ours.write_bytes(HEADER + b"".join(parts))
        os.utime(self.ours, ns=(0, self.ours.stat().st_mtime_ns + 1))

    def bring(self, *, erasing: bool = True) -> bytes:
        """What the place holds then."""
        self.files.bring(erasing=erasing)
        return self.theirs.read_bytes()


@pytest.fixture
def pair(tmp_path):
    """One of them."""
    return Pair(tmp_path)


def test_growth(pair):
    """Appended, record by record; a torn end as well, as it is."""
    one, two, three = (record(n) for n in (1, 2, 3))
    pair.write(one)
    assert pair.bring() == HEADER + one
    pair.write(one, two, three[:20])
    assert pair.bring() == HEADER + one + two + three[:20]
    assert [each.raw for each in records(pair.theirs.read_bytes())] == [one, two]


def test_erasure_waits_for_the_log(pair):
    """Before the log: what is new, nothing erased. Behind it: zeros, byte for byte."""
    one, two = record(1), record(2)
    pair.write(one)
    pair.bring()
    pair.write(erased(one), two)
    assert pair.bring(erasing=False) == HEADER + one + two
    assert pair.bring() == HEADER + erased(one) + two


def test_an_erasure_that_was_torn_is_ended(pair):
    """The mark was written, the bytes not."""
    one = record(1)
    pair.write(one)
    pair.bring()
    pair.theirs.write_bytes(HEADER + b"E" + one[1:])
    pair.write(erased(one))
    assert pair.bring() == HEADER + erased(one)


def test_a_damaged_copy_is_made_good(pair):
    """What differs and opens in ours is taken from ours."""
    one, two = record(1), record(2)
    pair.write(one, two)
    pair.bring()
    raw = bytearray(pair.theirs.read_bytes())
    raw[60] ^= 1
    pair.theirs.write_bytes(bytes(raw))
    pair.files.forget()
    assert pair.bring() == HEADER + one + two


def test_a_damaged_first_never_damages_the_copy(pair):
    """What does not open is not taken, and said; the other files go on."""
    one, two = record(1), record(2)
    pair.write(one, two)
    pair.bring()
    (pair.first / "details/000001.dtl").write_bytes(HEADER + one)
    raw = bytearray(pair.ours.read_bytes())
    raw[60] ^= 1
    pair.write(bytes(raw[len(HEADER) :]))
    with pytest.raises(SourceError, match="record at byte 10 does not open"):
        pair.bring()
    assert pair.theirs.read_bytes() == HEADER + one + two
    assert (pair.place / "details/000001.dtl").read_bytes() == HEADER + one


def test_a_first_that_lost_its_end_does_not_cut_the_copy(pair):
    """The tail may be all that is left of it."""
    one, two = record(1), record(2)
    pair.write(one, two)
    pair.bring()
    pair.write(one)
    assert pair.bring() == HEADER + one + two


def test_what_was_taken_back_gives_way(pair):
    """Bytes of a batch that never was, replaced by those of one that is."""
    one, never, two = record(1), record(7, b"never"), record(2, b"something longer")
    pair.write(one, never)
    pair.bring()
    pair.write(one, two)
    assert pair.bring() == HEADER + one + two


def test_nothing_is_read_that_did_not_change(pair, monkeypatch):
    """Only what is new is looked into."""
    pair.write(record(1))
    pair.bring()
    shutil.rmtree(pair.place / "details")
    pair.files.bring(erasing=True)
    assert not pair.theirs.exists()
    pair.files.forget()
    pair.files.bring(erasing=True)
    assert pair.theirs.exists()
