"""Run files: what was appended is found again, up to the first byte that is not as written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.crypto.age import AgeError, chacha20poly1305
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.records import MAGIC, Pieces, Record, RunFile, torn_at_first
from tests.evidence.vault.lab import NonceLaw

KEY = bytes(range(32))


def written(directory, contents, cipher=chacha20poly1305):
    """A run file with these pieces at made-up offsets."""
    path = directory / "run-3.rec"
    path.unlink(missing_ok=True)
    run = RunFile.create(DiskFiles(), path, KEY, cipher)
    for place, content in enumerate(contents):
        run.append(place * 1000, content)
    run.datasync()
    run.close()
    return path


def found(path, key=KEY):
    """What a later process finds."""
    run = RunFile.read_only(DiskFiles(), path, key, chacha20poly1305)
    try:
        return [(record.offset, content) for record, content in run.scan()]
    finally:
        run.close()


@given(st.lists(st.binary(max_size=100), max_size=6))
def test_records_come_back(tmp_path_factory, contents):
    """Scan gives what append was given, in order."""
    path = written(tmp_path_factory.mktemp("run"), contents)
    assert found(path) == [(place * 1000, content) for place, content in enumerate(contents)]


@settings(max_examples=100)
@given(st.data())
def test_a_torn_or_changed_record_ends_the_file(tmp_path_factory, data):
    """Every record before the damage is found, none behind it."""
    contents = [b"first", b"second!", b"third"]
    path = written(tmp_path_factory.mktemp("run"), contents)
    whole = path.read_bytes()
    ends = [len(MAGIC)]
    for content in contents:
        ends.append(ends[-1] + 12 + len(content) + 16)
    place = data.draw(st.integers(len(MAGIC), len(whole) - 1))
    intact = sum(1 for end in ends[1:] if end <= place)
    path.write_bytes(whole[:place])
    assert len(found(path)) == intact
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert len(found(path)) == intact


def test_a_record_may_not_change_its_place(tmp_path):
    """Number and offset are part of what is authenticated."""
    path = written(tmp_path, [b"aaaa", b"bbbb"])
    whole, size = path.read_bytes(), 12 + 4 + 16
    first, second = whole[len(MAGIC) : len(MAGIC) + size], whole[len(MAGIC) + size :]
    path.write_bytes(MAGIC + second + first)
    assert found(path) == []


def test_another_key_opens_nothing(tmp_path):
    """A run file is its key's alone."""
    assert found(written(tmp_path, [b"x"]), bytes(32)) == []


def test_a_failed_write_uses_up_its_nonce(tmp_path):
    """What follows a failed append is encrypted under the next number."""

    class Failing(DiskFiles):
        fail = False

        def write(self, fd, content, at):
            if self.fail:
                raise OSError("full")
            super().write(fd, content, at)

    files, law = Failing(), NonceLaw()
    run = RunFile.create(files, tmp_path / "run-0.rec", KEY, law)
    files.fail = True
    with pytest.raises(OSError, match="full"):
        run.append(0, b"one")
    files.fail = False
    run.append(0, b"two")
    assert law.broken == []
    assert len(law.seen) == 2


def test_a_nonsense_length_is_not_read(tmp_path):
    """A length over the cap ends the scan before anything is read for it."""
    path = tmp_path / "run-0.rec"
    path.write_bytes(MAGIC + bytes(8) + b"\xff\xff\xff\xff" + bytes(64))
    assert found(path) == []


def test_one_piece_is_read_alone(tmp_path):
    """A record is read back by its place; another's place does not open."""
    run = RunFile.create(DiskFiles(), tmp_path / "run-0.rec", KEY, chacha20poly1305)
    records = [run.append(at, bytes([at])) for at in range(3)]
    assert [run.piece(record) for record in records] == [b"\x00", b"\x01", b"\x02"]
    with pytest.raises(AgeError):
        run.piece(Record(1, records[2].at, 2, 1))
    run.close()


@pytest.mark.parametrize("cut", [0, 5, len(MAGIC), len(MAGIC) + 11, len(MAGIC) + 12 + 5 + 15])
def test_torn_at_first_is_before_the_first_record_ends(tmp_path, cut):
    """A file that ends before its first record does is told from one that holds it whole."""
    whole = written(tmp_path, [b"offer"]).read_bytes()
    assert torn_at_first(whole[:cut][:22], cut)
    assert not torn_at_first(whole[:22], len(whole))


spans = st.tuples(st.integers(0, 40), st.integers(1, 10))


@given(st.lists(spans, max_size=12), st.integers(0, 50), st.integers(0, 50))
def test_pieces_keep_the_first_that_came(placed, drop, ask):
    """Each byte belongs to the first record that held it, as in a plain dict."""
    pieces, naive = Pieces(), {}
    for number, (offset, octets) in enumerate(placed):
        pieces.add(0, Record(number, 0, offset, octets))
        for byte in range(offset, offset + octets):
            naive.setdefault(byte, number)
    for byte in range(60):
        holding = pieces.holding(byte)
        assert (holding and holding.record.number) == naive.get(byte)
    window = {byte for start, end in pieces.gaps(ask, ask + 9) for byte in range(start, end)}
    assert window == {byte for byte in range(ask, ask + 9) if byte not in naive}
    pieces.drop_below(drop)
    assert all((held := pieces.holding(byte)) and held.record.number == naive[byte] for byte in naive if byte >= drop)


def test_pieces_forget_what_was_not_durable():
    """Records behind the count of their run are gone, the others stay."""
    pieces = Pieces()
    for number in range(4):
        pieces.add(number % 2, Record(number // 2, 0, number * 10, 10))
    pieces.retain({0: 1, 1: 2})
    assert [pieces.holding(at) is not None for at in (0, 10, 20, 30)] == [True, True, False, True]
