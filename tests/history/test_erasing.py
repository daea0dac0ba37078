"""Deletion: frames and salts of one go for good, everybody else is proved as before, at whatever step it fails."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import EvidenceError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.disk import Disk
from gateway.evidence.verify.store import verify_store
from gateway.history.erasing import Eraser
from gateway.history.files import journal_files, read
from gateway.history.finding import Sought
from gateway.history_half import entries_of
from tests.evidence.log.lab import CrashError, FaultyDisk
from tests.history.lab import BEGIN, Clocked, HistoryLab, lab_at, row

LATER = "2026-12-24"
EVER = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC))
MINE = [Sought("device:bcn-1", *EVER)]
WHY = {"reason": "erasure asked for"}


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryLab]:
    """Three devices, three hours, all rooted."""
    with lab_at(tmp_path / "store", monkeypatch) as opened:
        filled(opened)
        yield opened


def filled(lab: HistoryLab) -> None:
    """Two hours of three devices, rooted, and the day over."""
    lab.shift()
    lab.journal.close()
    Clocked.at += timedelta(days=2)
    lab.root()


def eraser(lab: HistoryLab, log: CustodyLog, disk: Disk | None = None) -> Eraser:
    """What destroys in this journal."""
    logged = lambda: entries_of(log, lab.catalogue, "dispose")  # noqa: E731
    return Eraser(lab.journal_folder, lab.journal_keys, log.record_now, logged, disk)


def rows(lab: HistoryLab, device: str | None = None) -> list[object]:
    """All that can still be read, of one device or of all."""
    files = journal_files(lab.journal_folder)
    found = [each for path in files for each in read(path, lab.journal_keys.of_day(path.stem[:10]))]
    return [each for each in found if device is None or each[2] == device]


def raw(lab: HistoryLab) -> bytes:
    """Everything below the journal, as bytes."""
    return b"".join(path.read_bytes() for path in sorted(lab.journal_folder.rglob("*")) if path.is_file())


def assert_sound(lab: HistoryLab) -> None:
    """The independent verifier finds nothing."""
    report = verify_store(lab.evidence, lab.directory / "keys")
    assert report.ok, report.findings


def test_one_device_goes_and_the_others_stay_proved(lab: HistoryLab) -> None:
    """Its frames, salts and key; named in the log by numbers a day, and by no name."""
    others = rows(lab, "bcn-0") + rows(lab, "bcn-2")
    sealed = [each for path in journal_files(lab.journal_folder) for each in _sealed(lab, path, "device:bcn-1")]
    slots = {slot for slot, key in lab.journal_keys.of_day("2026-11-21").items() if key.owner == "device:bcn-1"}
    with lab.opened() as log:
        assert eraser(lab, log).erase("D-1", MINE, WHY, "cli:x", LATER) == 12
        (entry,) = entries_of(log, lab.catalogue, "dispose")
        assert eraser(lab, log).erase("D-2", MINE, WHY, "cli:x", LATER) == 0
    assert (entry["frames"], entry["days"], entry["ground"]) == (12, [["2026-11-21", 12]], "order")
    assert "bcn-1" not in str(entry)
    assert rows(lab, "bcn-1") == []
    assert rows(lab, "bcn-0") + rows(lab, "bcn-2") == others
    left = raw(lab)
    assert not any(each in left for each in sealed), "ciphertext is left"
    assert not slots & set(lab.journal_keys.slots("2026-11-21"))
    assert not any(slot.hex().encode() in (lab.journal_folder / "keys.db").read_bytes() for slot in slots)
    assert not list(lab.journal_folder.glob("disposals/*.json"))
    assert_sound(lab)


def _sealed(lab: HistoryLab, path: Path, owner: str) -> list[bytes]:
    from gateway.history.files import JournalFile

    keys = {slot: key for slot, key in lab.journal_keys.of_day(path.stem[:10]).items() if key.owner == owner}
    with JournalFile(path) as file:
        return [file.sealed(each.sealed_at, each.length) for each in file.frames(keys)]


def test_a_part_of_a_day_leaves_the_rest_of_it(lab: HistoryLab) -> None:
    """Half an hour of one device: the frames before and after stay, and the key with them."""
    span = (BEGIN + timedelta(minutes=30), BEGIN + timedelta(minutes=60))
    with lab.opened() as log:
        assert eraser(lab, log).erase("D-1", [Sought("device:bcn-1", *span)], WHY, "cli:x", LATER) == 3
    left = [each[4] for each in rows(lab, "bcn-1")]
    assert len(left) == 9
    assert not any(span[0] <= at < span[1] for at in left)
    assert_sound(lab)


def test_what_has_no_root_yet_is_not_destroyed(lab: HistoryLab) -> None:
    """Refused whole: nothing on record, nothing gone."""
    lab.journal.write([row(7, "bcn-1")])
    with lab.opened() as log, pytest.raises(EvidenceError, match="no root yet"):
        eraser(lab, log).erase("D-1", MINE, WHY, "cli:x", LATER)
    assert len(rows(lab, "bcn-1")) == 13
    with lab.opened() as log:
        assert list(entries_of(log, lab.catalogue, "dispose")) == []


def test_days_that_are_due_go_as_a_whole(lab: HistoryLab) -> None:
    """Every file and key of the day, on record; the leaves stay, and days with files that have no root do too."""
    lab.journal.write([row(7, "bcn-1")])
    with lab.opened() as log:
        assert eraser(lab, log).expire("D-1", "2026-11-21", LATER) == 0
        assert eraser(lab, log).expire("D-1", "2026-12-01", LATER) == 36
        (entry,) = entries_of(log, lab.catalogue, "dispose")
        assert eraser(lab, log).expire("D-2", "2026-12-01", LATER) == 0
    assert (entry["ground"], entry["days"]) == ("due", [["2026-11-21", 36]])
    assert [path.stem[:10] for path in journal_files(lab.journal_folder)] == ["2026-11-23"]
    assert lab.journal_keys.slots("2026-11-21") == []
    assert len(list(lab.journal_folder.glob("*.leaves"))) == 3
    assert_sound(lab)


def test_todays_key_stays_with_the_writer(lab: HistoryLab) -> None:
    """A device heard again after the deletion of its day is read again: the key in use was not destroyed."""
    with lab.opened() as log:
        eraser(lab, log).erase("D-1", MINE, WHY, "cli:x", "2026-11-21")
    assert len(lab.journal_keys.slots("2026-11-21")) == 3
    assert rows(lab, "bcn-1") == []


def _work(lab: HistoryLab, disk: Disk | None, whole: bool) -> None:
    with lab.opened() as log:
        if whole:
            eraser(lab, log, disk).expire("D-1", "2026-12-01", LATER)
        else:
            eraser(lab, log, disk).erase("D-1", MINE, WHY, "cli:x", LATER)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize(("keep", "crash"), [(False, True), (True, True), (False, False), (True, False)])
def test_a_fault_at_any_step_of_deletion(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool, crash: bool, whole: bool
) -> None:
    """Crashed or refused, the write kept or lost: the next look finishes it, or it never was; the store verifies."""
    with lab_at(tmp_path / "filled", monkeypatch) as lab:
        filled(lab)
    shutil.copytree(tmp_path / "filled", tmp_path / "counted")
    with lab_at(tmp_path / "counted", monkeypatch) as lab:
        disk = FaultyDisk()
        _work(lab, disk, whole)
    outcomes = set()
    for at in range(disk.count):
        directory = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "filled", directory)
        with lab_at(directory, monkeypatch) as lab:
            with pytest.raises((CrashError, OSError)):
                _work(lab, FaultyDisk(at, keep=keep, crash=crash), whole)
            with lab.opened() as log:
                eraser(lab, log).settle(LATER)
                gone = bool(list(entries_of(log, lab.catalogue, "dispose")))
            expected = (0 if whole else 24) if gone else 36
            assert len(rows(lab)) == expected, (at, disk.done[at])
            assert not list(lab.journal_folder.glob("disposals/*.json"))
            assert_sound(lab)
            outcomes.add(gone)
        shutil.rmtree(directory)
    assert outcomes == {False, True}
