"""Every frame is in exactly one root, whatever the clock, the disk and the process do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import StoreBusyError
from gateway.evidence.verify import tree as other
from gateway.history.batch import FILE_HEAD
from gateway.history.files import journal_files
from gateway.history.rooting import Rooting, unrooted
from gateway.history.tree import LeavesFile
from gateway.pipeline.journal import Journal, hour_of
from tests.evidence.log.lab import CrashError, FaultyDisk
from tests.history.lab import Clocked, HistoryLab, lab_at, row


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryLab]:
    """A journal and a log."""
    with lab_at(tmp_path / "store", monkeypatch) as opened:
        yield opened


def test_an_hour_is_rooted_after_its_end_and_once(lab: HistoryLab) -> None:
    """21:30 to 23:30: the hours 21 and 22 have a root each, 23 has none yet; looking again changes nothing."""
    lab.shift()
    assert lab.root() == 2
    assert lab.root() == 0
    roots = [leaf for leaf in lab.check() if leaf["kind"] == "journal_root"]
    assert [(each["from"], each["to"], each["frames"]) for each in roots] == [
        ("2026-11-21T21:00:00Z", "2026-11-21T22:00:00Z", 9),
        ("2026-11-21T22:00:00Z", "2026-11-21T23:00:00Z", 18),
    ]
    assert [path.stem[11:13] for path in unrooted(lab.journal_folder)] == ["23"]


def test_the_root_is_that_of_the_frames_leaves(lab: HistoryLab) -> None:
    """Recomputed by other code from what the keys open: nothing but the salted rows decides it."""
    lab.shift(devices=5)
    lab.root()
    from gateway.history.files import JournalFile

    for path in sorted(lab.journal_folder.glob("*.leaves")):
        covered, leaves = LeavesFile(path).covered, []
        for name, _ in covered.files:
            with JournalFile(lab.journal_folder / f"{name}.jrn") as file:
                leaves += [each.leaf for each in file.frames(lab.journal_keys.of_day(name[:10]))]
        assert len(leaves) == covered.frames
        assert other.root(leaves).hex() == covered.root


def test_a_restart_in_the_middle_of_an_hour(lab: HistoryLab) -> None:
    """Both runs' files are in the one root of the hour; a tail that a kill tore is in none."""
    lab.journal.write([row(1), row(2)])
    lab.journal.close()
    (first,) = journal_files(lab.journal_folder)
    first.write_bytes(first.read_bytes() + b"\x00\x00\x01\x00torn")
    lab.journal = Journal(lab.journal_folder, lab.journal_keys)
    lab.journal.write([row(3)])
    assert lab.root() == 0
    Clocked.at += timedelta(hours=1)
    assert lab.root() == 1
    assert sorted(lab.rooted().values()) == [1, 2]
    assert lab.rooted() == lab.on_disk()


def test_a_damaged_file_is_named_and_holds_up_no_other(lab: HistoryLab) -> None:
    """It stays without a root and is counted; what is beside it gets one."""
    for number in range(3):
        lab.journal.write([row(number), row(number, "bcn-2")])
    lab.journal.close()
    (hurt,) = journal_files(lab.journal_folder)
    content = bytearray(hurt.read_bytes())
    content[FILE_HEAD + 60] ^= 1
    hurt.write_bytes(content)
    lab.journal = Journal(lab.journal_folder, lab.journal_keys)
    lab.journal.write([row(3)])
    Clocked.at += timedelta(hours=1)
    with lab.opened() as log:
        rooting = lab.rooting(log)
        assert rooting.once(hour_of(Clocked.at)) == 1
        assert rooting.counts["damaged_files"] == 1
    assert sum(lab.rooted().values()) == 1
    assert unrooted(lab.journal_folder) == [hurt]


MOVES = st.sampled_from(["write", "write", "restart", "root", "ahead", "back", "far", "full"])


@settings(max_examples=25, deadline=None)
@given(st.lists(MOVES, max_size=14))
def test_any_history_ends_with_every_row_in_one_root(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str]
) -> None:
    """Clocks to and fro, restarts, a disk that was full for hours: afterwards files and roots agree, row by row."""
    with pytest.MonkeyPatch.context() as patch, lab_at(tmp_path_factory.mktemp("any") / "store", patch) as lab:
        written, held = 0, 0
        for move in [*moves, "write"]:
            if move == "full":
                held += 3
            elif move == "write":
                lab.journal.write([row(number, f"bcn-{number % 2}") for number in range(2 + held)])
                written, held = written + 2 + held, 0
            elif move == "restart":
                lab.journal.close()
                lab.journal = Journal(lab.journal_folder, lab.journal_keys)
            elif move == "root":
                lab.root()
            else:
                hours = {"ahead": 1, "back": -1, "far": 24 * 40}[move]
                Clocked.at += timedelta(hours=hours)
        lab.journal.close()
        Clocked.at += timedelta(days=400)
        lab.root()
        assert lab.rooted() == lab.on_disk()
        assert sum(lab.rooted().values()) == written


def _filled(directory: Path, patch: pytest.MonkeyPatch) -> None:
    with lab_at(directory, patch) as lab:
        lab.shift(minutes=60)
        with lab.opened():
            pass


def _steps(filled: Path, tmp_path: Path, patch: pytest.MonkeyPatch) -> int:
    shutil.copytree(filled, tmp_path / "steps")
    with lab_at(tmp_path / "steps", patch) as lab, lab.opened() as log:
        Clocked.at += timedelta(hours=3)
        disk = FaultyDisk()
        assert lab.rooting(log, disk).once(hour_of(Clocked.at)) == 2
        return disk.count


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("keep", [False, True])
def test_a_fault_at_any_step_of_rooting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool, crash: bool
) -> None:
    """A crash or a failed write, lost or kept: the next look ends with each file in one root."""
    filled = tmp_path / "filled"
    _filled(filled, monkeypatch)
    for at in range(_steps(filled, tmp_path, monkeypatch)):
        directory = tmp_path / f"{at}"
        shutil.copytree(filled, directory)
        with lab_at(directory, monkeypatch) as lab:
            Clocked.at += timedelta(hours=3)
            with lab.opened() as log, pytest.raises((CrashError, OSError)):
                lab.rooting(log, FaultyDisk(at, keep=keep, crash=crash)).once(hour_of(Clocked.at))
            lab.root()
            assert lab.rooted() == lab.on_disk()
            assert len(lab.rooted()) == 2
            assert not list(lab.journal_folder.glob("*.part"))


@pytest.mark.parametrize("known", [False, True])
def test_an_answer_that_a_crash_hid(lab: HistoryLab, known: bool) -> None:
    """The entry may or may not have reached the log when the process died: afterwards it is there once."""
    lab.shift(minutes=30)
    Clocked.at += timedelta(hours=1)

    def record(act: object) -> object:
        if known:
            log.record_now(act)
        raise CrashError("here")

    with lab.opened() as log:
        whole = lab.rooting(log)
        with pytest.raises(CrashError):
            Rooting(lab.journal_folder, lab.journal.turn, record, whole._logged).once(hour_of(Clocked.at))
    assert len(list(lab.journal_folder.glob("*.part"))) == 1
    lab.root()
    assert lab.rooted() == lab.on_disk()


def test_a_log_that_takes_nothing_is_asked_again(lab: HistoryLab) -> None:
    """Busy is not lost: the same root is recorded by the next look."""
    lab.shift(minutes=30)
    Clocked.at += timedelta(hours=1)

    def busy(_act: object) -> object:
        raise StoreBusyError("full")

    with pytest.raises(StoreBusyError):
        Rooting(lab.journal_folder, lab.journal.turn, busy, list).once(hour_of(Clocked.at))
    assert lab.root() == 1
    assert lab.rooted() == lab.on_disk()
