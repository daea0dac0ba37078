"""Each operation of the log's disk fails once: kept or lost, crashed or out of space."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import pytest

from gateway.errors import StoreBusyError
from tests.evidence.log.lab import CrashError, FaultyDisk, Lab, act

BEFORE = 253  # so that the batch below fills a tile, begins the next, and prunes the partial ones
BATCH = 5


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a log just below a full tile."""
    directory = tmp_path_factory.mktemp("full") / "store"
    lab = Lab(directory)
    with lab.opened() as log:
        for start in range(0, BEFORE, 23):
            futures = log._ask([act(number) for number in range(start, start + 23)])
            futures.result()
    lab.close()
    return directory


def copy(full: Path, tmp_path: Path) -> Lab:
    """The same store, ours to break."""
    target = tmp_path / "store"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(full, target)
    return Lab(target)


def steps(full: Path, tmp_path: Path) -> list[str]:
    """The operations of opening and one batch, none failing."""
    lab = copy(full, tmp_path)
    disk = FaultyDisk()
    with lab.opened(disk) as log:
        log._ask([act(1000 + number) for number in range(BATCH)]).result()
    lab.close()
    return disk.done


def attempt(lab: Lab, disk: FaultyDisk) -> bool | BaseException:
    """Open and write one batch: True if it was acknowledged."""
    log = lab.log(disk)
    try:
        log.open_now()
        log._ask([act(1000 + number) for number in range(BATCH)]).result()
    except (CrashError, StoreBusyError) as problem:
        return problem
    finally:
        log.close_now()
    return True


@pytest.mark.parametrize("keep", [False, True])
def test_crash_at_every_step(full: Path, tmp_path: Path, keep: bool) -> None:
    """After any crash the store opens in the old or the new state, and takes the next act."""
    names = steps(full, tmp_path)
    assert {"write", "write_at", "fsync", "rename", "unlink", "mkdir", "rmdir"} <= set(names)
    seen = set()
    for at in range(len(names)):
        lab = copy(full, tmp_path)
        outcome = attempt(lab, FaultyDisk(at, keep=keep))
        with lab.opened() as log:
            size = log.size
            assert size in {BEFORE, BEFORE + BATCH}, (at, names[at])
            assert outcome is not True or size == BEFORE + BATCH, "an acknowledged batch is gone"
            marks = [leaf["mark"] for leaf in lab.check()]
            assert marks == [*range(BEFORE), *range(1000, 1000 + size - BEFORE)]
            assert log.record_now(act(7)).index == size
        lab.check()
        lab.close()
        seen.add(size)
    assert seen == {BEFORE, BEFORE + BATCH}


@pytest.mark.parametrize(("keep", "fails"), [(False, 1), (True, 1), (True, 3)])
def test_full_disk_at_every_step(full: Path, tmp_path: Path, keep: bool, fails: int) -> None:
    """Refused means not recorded, and the same log takes the same acts once there is space."""
    names = steps(full, tmp_path)
    refused = 0
    for at in range(len(names)):
        lab = copy(full, tmp_path)
        outcome = attempt(lab, FaultyDisk(at, keep=keep, crash=False, fails=fails))
        assert outcome is True or isinstance(outcome, StoreBusyError), (at, names[at], outcome)
        with lab.opened() as log:
            taken = log.size == BEFORE + BATCH
            assert taken == (outcome is True) or fails > 1, (at, names[at])
            assert taken or outcome is not True, "an acknowledged batch is gone"
        lab.check()
        lab.close()
        refused += outcome is not True
    assert refused > len(names) // 2


def test_the_same_open_log_goes_on_after_a_full_disk(full: Path, tmp_path: Path) -> None:
    """No restart is needed: at whichever step it was full, the next call succeeds in the same process."""
    for at in range(len(steps(full, tmp_path))):
        lab = copy(full, tmp_path)
        disk = FaultyDisk(crash=False)
        with lab.opened(disk) as log:
            disk.at, disk.count = at, 0
            try:
                first = log.record_now(act(1)).index
            except StoreBusyError:
                first = None
            disk.at = -1
            second = log.record_now(act(2)).index
            assert second == (BEFORE if first is None else first + 1)
        lab.check()
        lab.close()


class UnsettledDisk(FaultyDisk):
    """Fails the first sync of the log's folder after the checkpoint has its name."""

    named = False

    def rename(self, source: Path, target: Path) -> None:
        """As Disk."""
        super().rename(source, target)
        self.named = target.name == "checkpoint"

    def fsync(self, path: Path) -> None:
        """As Disk, but for that one."""
        if self.named and path.name == "log":
            self.named = False
            raise OSError(errno.EIO, "no sync")
        super().fsync(path)


def test_a_checkpoint_that_may_not_last_keeps_its_pending(full: Path, tmp_path: Path) -> None:
    """Published is recorded; `pending` stays until the folder is synced, and the next batch tidies up."""
    lab = copy(full, tmp_path)
    pending = lab.evidence / "log/pending"
    with lab.opened() as log:
        log._batches._writer.disk = UnsettledDisk()
        assert log.record_now(act(1)).index == BEFORE
        assert pending.exists()
        log._batches._writer.disk = FaultyDisk()
        assert log.record_now(act(2)).index == BEFORE + 1
        assert not pending.exists()
    lab.check()
    lab.close()
