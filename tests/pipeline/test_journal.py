"""The journal: every row comes back, a torn tail ends a file, a changed byte is an integrity failure."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import gateway.pipeline.journal as module
from gateway.crypto.journal_keys import JournalKeys
from gateway.crypto.keys import KeyStore
from gateway.domain.events import Frame
from gateway.domain.ids import DeviceId, Issi
from gateway.domain.time import Stamp
from gateway.errors import IntegrityError
from gateway.history.files import journal_files, read
from gateway.pipeline.journal import Journal, row
from gateway.store.keyring import Keyring


@pytest.fixture
def keys(tmp_path: Path) -> JournalKeys:
    """Day keys under a fresh KEK."""
    store = KeyStore(tmp_path / "keys")
    store.load(create=True)
    keyring = Keyring(tmp_path / "journal" / "keys.db", store)
    keyring.open()
    return JournalKeys(keyring)


def frame(clock, payload: bytes, device: str | None = "bcn-1", issi: int | None = None) -> Frame:
    """A beacon's frame."""
    named, radio = DeviceId(device) if device else None, Issi(issi) if issi else None
    return Frame("beacons", Stamp(clock.now()), payload, f"owntracks/{device}/phone", named, radio)


def rows_of(path: Path, keys: JournalKeys) -> list[object]:
    """Every row that a file has, read with every key of its day."""
    return list(read(path, keys.of_day(path.stem[:10])))


def test_rows_come_back_in_order_and_encrypted(tmp_path: Path, keys: JournalKeys, clock) -> None:
    """What was written is read; neither payload nor device stands anywhere in clear."""
    journal = Journal(tmp_path / "journal", keys)
    rows = [row(frame(clock, f"payload-{number}".encode(), f"bcn-{number % 3}"), digest=False) for number in range(9)]
    journal.write(rows[:4])
    journal.write(rows[4:])
    journal.close()
    (file,) = journal_files(tmp_path / "journal")
    assert rows_of(file, keys) == rows
    everything = b"".join(each.read_bytes() for each in (tmp_path / "journal").iterdir())
    assert b"payload" not in everything
    assert b"bcn-" not in everything
    assert file.stat().st_mode & 0o077 == 0


def test_one_owners_key_opens_their_frames_and_no_others(tmp_path: Path, keys: JournalKeys, clock) -> None:
    """A key is one owner's: a device, a radio, or a link that says neither."""
    journal = Journal(tmp_path / "journal", keys)
    rows = [row(frame(clock, b"a", "bcn-1"), digest=False), row(frame(clock, b"b", None, 2341014), digest=False)]
    rows.append(row(frame(clock, b"c", None), digest=False))
    journal.write([*rows, rows[0]])
    journal.close()
    (file,) = journal_files(tmp_path / "journal")
    day = keys.of_day(file.stem[:10])
    assert {key.owner for key in day.values()} == {"device:bcn-1", "issi:2341014", "via:beacons"}
    for slot, key in day.items():
        payloads = {each[6] for each in read(file, {slot: key})}
        assert payloads == {{"device:bcn-1": b"a", "issi:2341014": b"b", "via:beacons": b"c"}[key.owner]}


def test_a_destroyed_key_takes_its_frames_and_leaves_the_others(tmp_path: Path, keys: JournalKeys, clock) -> None:
    """Everybody else's rows are read as before; the writer of the next start makes a new key."""
    for turn in (b"first", b"second"):
        journal = Journal(tmp_path / "journal", keys)
        journal.write([row(frame(clock, turn, name), digest=False) for name in ("bcn-1", "bcn-2")])
        journal.close()
    day = journal_files(tmp_path / "journal")[0].stem[:10]
    gone = [slot for slot, key in keys.of_day(day).items() if key.owner == "device:bcn-1"]
    assert keys.destroy(day, gone) == 1
    assert keys.destroy(day, gone) == 0
    left = [each for file in journal_files(tmp_path / "journal") for each in rows_of(file, keys)]
    assert sorted((each[2], each[6]) for each in left) == [("bcn-2", b"first"), ("bcn-2", b"second")]


def test_a_digest_row_keeps_no_payload(clock) -> None:
    """Off duty: who, when, SHA-256 and length; neither topic nor link."""
    kept = row(frame(clock, b"where somebody lives"), digest=True)
    assert kept[5] == "digest"
    assert len(kept[6]) == 40
    assert int.from_bytes(kept[6][32:], "big") == 20
    assert kept[:4] == ("", "", "bcn-1", None)
    assert row(frame(clock, b"x", None), digest=True)[0] == "beacons"


@pytest.mark.parametrize("cut", [1, 5, 17, 40, 200])
def test_a_torn_tail_ends_the_file_and_loses_only_itself(tmp_path: Path, keys, clock, cut: int) -> None:
    """A crash inside the second batch leaves the first."""
    journal = Journal(tmp_path / "journal", keys)
    first, second = (row(frame(clock, name), digest=False) for name in (b"first", b"second"))
    journal.write([first])
    journal.write([second])
    journal.close()
    (file,) = journal_files(tmp_path / "journal")
    file.write_bytes(file.read_bytes()[:-cut])
    assert rows_of(file, keys) == [first]


def test_a_tail_whose_blocks_never_came_is_torn(tmp_path: Path, keys, clock) -> None:
    """After a power cut a file may have its length and zeros in it: such a batch never was."""
    journal = Journal(tmp_path / "journal", keys)
    first = row(frame(clock, b"first"), digest=False)
    journal.write([first])
    journal.close()
    (file,) = journal_files(tmp_path / "journal")
    journal = Journal(tmp_path / "journal", keys)
    whole = file.read_bytes()
    file.write_bytes(whole + bytes(500))
    assert rows_of(file, keys) == [first]
    file.write_bytes(whole[:-20] + bytes(20))
    assert rows_of(file, keys) == []


def test_a_changed_byte_before_the_tail_is_an_integrity_failure(tmp_path: Path, keys, clock) -> None:
    """Frames are sealed: none can be changed or swapped, wherever the byte is."""
    journal = Journal(tmp_path / "journal", keys)
    for name in (b"first", b"second", b"third"):
        journal.write([row(frame(clock, name), digest=False)])
    journal.close()
    (file,) = journal_files(tmp_path / "journal")
    whole = file.read_bytes()
    second = (len(whole) - 22) // 3
    for at in (22 + 10, 22 + second + 50, 22 + second + 120):
        content = bytearray(whole)
        content[at] ^= 1
        file.write_bytes(content)
        with pytest.raises(IntegrityError):
            rows_of(file, keys)


def test_a_refused_batch_goes_to_a_new_file(tmp_path: Path, keys, clock, monkeypatch) -> None:
    """After a fault the next batch never lies behind a torn one, and what nobody was told of is cut off."""
    journal = Journal(tmp_path / "journal", keys)
    kept = row(frame(clock, b"kept"), digest=False)
    journal.write([kept])

    def refuse(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    real = module.os.fdatasync
    monkeypatch.setattr(module.os, "fdatasync", refuse)
    with pytest.raises(OSError, match="No space"):
        journal.write([kept])
    monkeypatch.setattr(module.os, "fdatasync", real)
    later = row(frame(clock, b"later"), digest=False)
    journal.write([later])
    journal.close()
    files = journal_files(tmp_path / "journal")
    assert len(files) == 2
    assert sorted(each[6] for file in files for each in rows_of(file, keys)) == [b"kept", b"later"]


class Clocked(datetime):
    """A wall clock that a test moves."""

    at = datetime(2026, 11, 21, 21, 59, tzinfo=UTC)

    @classmethod
    def now(cls, _zone: object = None) -> datetime:
        """What it was set to."""
        return cls.at


def test_a_file_an_hour_whichever_way_the_clock_goes(tmp_path: Path, keys, clock, monkeypatch) -> None:
    """No file is written to again: an hour that comes back is another file; `turn` names the one that is open."""
    monkeypatch.setattr(module, "datetime", Clocked)
    journal = Journal(tmp_path / "journal", keys)
    written = []
    for number, hour in enumerate((21, 22, 22, 21, 23, 21)):
        Clocked.at = datetime(2026, 11, 21, hour, number, tzinfo=UTC)
        assert (journal.turn() is not None) == (number == 2)
        written.append(row(frame(clock, bytes([number])), digest=False))
        journal.write(written[-1:])
    open_one = journal.turn()
    files = journal_files(tmp_path / "journal")
    assert sorted(path.stem[11:13] for path in files) == ["21", "21", "21", "22", "23"]
    assert open_one in {path.stem for path in files}
    Clocked.at = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    assert journal.turn() is None
    journal.close()
    assert sorted(each[6] for file in files for each in rows_of(file, keys)) == [bytes([n]) for n in range(6)]
