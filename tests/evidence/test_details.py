"""Details files: what is committed to can be read, and what is erased cannot."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.crypto.keys import KeyStore
from gateway.domain.evidence import Act
from gateway.errors import IntegrityError
from gateway.evidence.details import HEADER, Details
from gateway.evidence.leaf import Composed, compose, fresh_salt
from gateway.evidence.log.disk import Disk
from gateway.evidence.rows import Chain
from gateway.store.keyring import Keyring
from tests.evidence.log.lab import AT, FaultyDisk


@pytest.fixture
def keyring(tmp_path: Path):
    """An open keyring."""
    keys = KeyStore(tmp_path / "keys")
    keys.load(create=True)
    made = Keyring(tmp_path / "keys.db", keys)
    made.open()
    yield made
    made.close()


def composed(number: int) -> Composed:
    """One act, written."""
    return compose(Act("view", "P-1", "X-1", {}, {"mark": number}), AT, "b", Chain(number), fresh_salt())


def marks(details: Details, batch: list[Composed]) -> list[int]:
    """What reads back of a batch."""
    found = [details.read(one.hmac, index) for index, one in enumerate(batch)]
    return [one[0]["mark"] for one in found if one is not None]


def test_reads_back_what_was_appended(tmp_path: Path, keyring: Keyring) -> None:
    """By whoever wrote it and by whoever opens the directory later; the bytes on disk do not show it."""
    details = Details(tmp_path / "d", keyring, Disk())
    batch = [composed(number) for number in range(10)]
    details.append(batch[:4])
    details.append(batch[4:])
    again = Details(tmp_path / "d", keyring, Disk())
    assert marks(details, batch) == marks(again, batch) == list(range(10))
    assert details.read(batch[3].hmac, 3) == (batch[3].detail, batch[3].salt)
    raw = (tmp_path / "d/000000.dtl").read_bytes()
    assert raw.startswith(HEADER)
    assert b"mark" not in raw
    assert raw[10:11] == b"D"
    assert raw[15:47] == batch[0].hmac


def test_two_writers_in_turn(tmp_path: Path, keyring: Keyring) -> None:
    """Each goes on where the other ended (they hold the log's lock in turn)."""
    one, two = (Details(tmp_path / "d", keyring, Disk()) for _ in range(2))
    batch = [composed(number) for number in range(6)]
    for number, each in enumerate(batch):
        (one, two)[number % 2].append([each])
    assert marks(one, batch) == marks(two, batch) == list(range(6))
    assert len(list((tmp_path / "d").iterdir())) == 1


def test_erased_is_gone_and_its_neighbours_are_not(tmp_path: Path, keyring: Keyring) -> None:
    """The ciphertext is zeros, the record still counts, and another process sees it erased too."""
    details, other = (Details(tmp_path / "d", keyring, Disk()) for _ in range(2))
    batch = [composed(number) for number in range(3)]
    details.append(batch)
    assert marks(other, batch) == [0, 1, 2]
    place = details._find(batch[1].hmac, 1)
    details.erase(batch[1].hmac, 1)
    raw = (tmp_path / "d/000000.dtl").read_bytes()
    assert raw[place.offset : place.offset + 1] == b"E"
    assert raw[place.offset + 49 : place.offset + 49 + place.length] == bytes(place.length)
    for reader in (details, other, Details(tmp_path / "d", keyring, Disk())):
        assert marks(reader, batch) == [0, 2]


def test_a_file_takes_4096(tmp_path: Path, keyring: Keyring) -> None:
    """One more begins the next, with a key of its own."""
    details = Details(tmp_path / "d", keyring, Disk())
    batch = [composed(number) for number in range(4100)]
    details.append(batch[:4090])
    details.append(batch[4090:])
    assert keyring.names("details/") == ["details/000000", "details/000001"]
    assert keyring.get("details/000000") != keyring.get("details/000001")
    assert marks(Details(tmp_path / "d", keyring, Disk()), batch) == list(range(4100))


@pytest.mark.parametrize("torn", [b"D", b"\0" * 100, b"D\0\0\1\0" + bytes(60), b"X" * 400])
def test_a_torn_tail_is_left_and_the_next_file_begun(tmp_path: Path, keyring: Keyring, torn: bytes) -> None:
    """A crash's trace is neither read nor cut, and does not hide what is before or after."""
    batch = [composed(number) for number in range(4)]
    Details(tmp_path / "d", keyring, Disk()).append(batch[:2])
    path = tmp_path / "d/000000.dtl"
    path.write_bytes(path.read_bytes() + torn)
    before = path.read_bytes()
    details = Details(tmp_path / "d", keyring, Disk())
    details.append(batch[2:])
    assert path.read_bytes() == before
    assert marks(details, batch) == [0, 1, 2, 3]


@pytest.mark.parametrize("content", [b"", b"LAPEL", b"LAPELXXX1\n" + bytes(90)])
def test_a_file_without_its_header(tmp_path: Path, keyring: Keyring, content: bytes) -> None:
    """An empty file is taken into use, a torn or foreign header is left alone."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d/000000.dtl").write_bytes(content)
    keyring.put("details/000000", bytes(32))
    details = Details(tmp_path / "d", keyring, Disk())
    details.append([one := composed(0)])
    assert marks(details, [one]) == [0]
    assert (tmp_path / "d/000001.dtl").exists() == bool(content)


@pytest.mark.parametrize("keep", [False, True])
def test_a_full_disk_leaves_no_trace(tmp_path: Path, keyring: Keyring, keep: bool) -> None:
    """Refused, then taken, in the same file."""
    disk = FaultyDisk(crash=False)
    details = Details(tmp_path / "d", keyring, disk)
    batch = [composed(number) for number in range(3)]
    details.append(batch[:1])
    size = (tmp_path / "d/000000.dtl").stat().st_size
    disk.at, disk.keep = disk.count, keep
    with pytest.raises(OSError, match="no space") as caught:
        details.append(batch[1:2])
    assert caught.value.errno == errno.ENOSPC
    assert (tmp_path / "d/000000.dtl").stat().st_size == size
    details.append(batch[1:])
    assert marks(details, batch) == [0, 1, 2]


def test_changed_bytes_are_found(tmp_path: Path, keyring: Keyring) -> None:
    """One bit of a ciphertext, a lost key, an unknown commitment."""
    details = Details(tmp_path / "d", keyring, Disk())
    details.append([one := composed(0)])
    path = tmp_path / "d/000000.dtl"
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(IntegrityError, match="do not open"):
        details.read(one.hmac, 0)
    with pytest.raises(IntegrityError, match="no detail"):
        details.read(bytes(32), 0)
    keyring.delete("details/000000")
    with pytest.raises(IntegrityError, match="is gone"):
        details.read(one.hmac, 0)


class Watched(Disk):
    """A disk on which somebody looks for a detail just when others are being synced."""

    def __init__(self) -> None:
        super().__init__()
        self.look = lambda: None

    def fsync(self, path: Path) -> None:
        """With a look before it."""
        self.look()
        super().fsync(path)


def test_a_reader_between_write_and_sync(tmp_path: Path, keyring: Keyring) -> None:
    """What it has taken note of is not counted twice: what is written afterwards is found where it lies."""
    disk = Watched()
    details = Details(tmp_path / "d", keyring, disk)
    batch = [composed(number) for number in range(9)]

    def look() -> None:
        with pytest.raises(IntegrityError, match="no detail"):
            details.read(bytes(32), 0)

    details.append(batch[:1])
    disk.look = look
    for number in range(1, 9, 2):
        details.append(batch[number : number + 2])
    assert marks(details, batch) == list(range(9))
    assert len(list((tmp_path / "d").iterdir())) == 1


def test_readers_beside_a_writer(tmp_path: Path, keyring: Keyring) -> None:
    """Three threads read what is there while a fourth goes on writing."""
    details = Details(tmp_path / "d", keyring, Disk())
    batch = [composed(number) for number in range(200)]
    details.append(batch[:1])
    with ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(marks, details, batch[:1] * 100) for _ in range(3)]
        for number in range(1, 200, 3):
            details.append(batch[number : number + 3])
    assert all(each.result() == [0] * 100 for each in asked)
    assert marks(details, batch) == list(range(200))
