"""The journal: every row comes back, a torn tail ends a file, a changed byte is an integrity failure."""

from pathlib import Path

import pytest

from gateway.crypto.journal_keys import JournalKeys
from gateway.crypto.keys import KeyStore
from gateway.domain.events import Frame
from gateway.domain.ids import DeviceId
from gateway.domain.time import Stamp
from gateway.errors import IntegrityError
from gateway.pipeline.journal import Journal, read, row


@pytest.fixture
def keys(tmp_path: Path) -> JournalKeys:
    """Day keys under a fresh KEK."""
    store = KeyStore(tmp_path / "keys")
    store.load(create=True)
    (tmp_path / "journal").mkdir()
    return JournalKeys(tmp_path / "journal", store)


def frame(clock, payload: bytes) -> Frame:
    """A beacon's frame."""
    return Frame("beacons", Stamp(clock.now()), payload, "owntracks/bcn-1/phone", DeviceId("bcn-1"))


def test_rows_come_back_in_order_and_encrypted(tmp_path: Path, keys: JournalKeys, clock) -> None:
    """What was written is read; the payload stands nowhere in clear."""
    journal = Journal(tmp_path / "journal", keys)
    rows = [row(frame(clock, f"payload-{number}".encode()), digest=False) for number in range(5)]
    journal.write(rows[:2])
    journal.write(rows[2:])
    journal.close()
    (file,) = (tmp_path / "journal").glob("*.jrn")
    assert list(read(file, keys)) == rows
    assert b"payload" not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


def test_a_digest_row_keeps_no_payload(clock) -> None:
    """Off duty: SHA-256 and length only."""
    kept = row(frame(clock, b"where somebody lives"), digest=True)
    assert kept[5] == "digest"
    assert len(kept[6]) == 40
    assert int.from_bytes(kept[6][32:], "big") == 20


@pytest.mark.parametrize("cut", [1, 5, 17, 40])
def test_a_torn_tail_ends_the_file_and_loses_only_itself(tmp_path: Path, keys, clock, cut: int) -> None:
    """A crash inside the second batch leaves the first."""
    journal = Journal(tmp_path / "journal", keys)
    first, second = (row(frame(clock, name), digest=False) for name in (b"first", b"second"))
    journal.write([first])
    journal.write([second])
    journal.close()
    (file,) = (tmp_path / "journal").glob("*.jrn")
    file.write_bytes(file.read_bytes()[:-cut])
    assert list(read(file, keys)) == [first]


def test_a_changed_byte_before_the_tail_is_an_integrity_failure(tmp_path: Path, keys, clock) -> None:
    """Batches are sealed: none can be changed or swapped."""
    journal = Journal(tmp_path / "journal", keys)
    for name in (b"first", b"second"):
        journal.write([row(frame(clock, name), digest=False)])
    journal.close()
    (file,) = (tmp_path / "journal").glob("*.jrn")
    content = bytearray(file.read_bytes())
    content[30] ^= 1
    file.write_bytes(content)
    with pytest.raises(IntegrityError):
        list(read(file, keys))


def test_a_refused_batch_goes_to_a_new_file(tmp_path: Path, keys, clock, monkeypatch) -> None:
    """After a fault the next batch never lies behind a torn one."""
    journal = Journal(tmp_path / "journal", keys)
    kept = row(frame(clock, b"kept"), digest=False)
    journal.write([kept])
    import gateway.pipeline.journal as module

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
    files = list((tmp_path / "journal").glob("*.jrn"))
    assert len(files) == 2
    assert sorted(each[6] for file in files for each in read(file, keys)) == [b"kept", b"kept", b"later"]
