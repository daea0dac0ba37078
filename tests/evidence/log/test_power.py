"""Power cuts at every step: what was acknowledged is there, although nothing unsynced is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import GatewayError
from tests.evidence.log.lab import CrashError, Lab, act
from tests.evidence.log.power import PowerCutDisk
from tests.evidence.log.test_faults import BATCH, BEFORE, copy, full

__all__ = ["full"]


def after_cut(lab: Lab, disk: PowerCutDisk, *, removals_last: bool = False) -> tuple[bool, int]:
    """Open, write a batch, cut; whether it was acknowledged, and the size that is there afterwards."""
    log = lab.log(disk)
    try:
        log.open_now()
        log._ask([act(1000 + number) for number in range(BATCH)]).result()
        told = True
    except CrashError:
        told = False
    finally:
        log.close_now()
    disk.cut(removals_last=removals_last)
    with lab.opened() as log:
        assert [leaf["mark"] for leaf in lab.check()][:BEFORE] == list(range(BEFORE))
        size = log.size
        assert all(log.detail(index) for index in range(size))
        assert log.record_now(act(7)).index == size
    lab.check()
    assert not told or size == BEFORE + BATCH, "an acknowledged batch is gone"
    return told, size


def test_at_every_step(full: Path, tmp_path: Path) -> None:
    """Old or new state, new if it was acknowledged; details and tiles are whole."""
    at, told = 0, False
    while not told:
        lab = copy(full, tmp_path)
        told, size = after_cut(lab, PowerCutDisk(lab.evidence, at))
        assert size in {BEFORE, BEFORE + BATCH}
        lab.close()
        at += 1
    assert at > 30


def test_removals_may_outrun_renames(full: Path, tmp_path: Path) -> None:
    """That `pending` is gone must not be all that is left of an acknowledged batch."""
    lab = copy(full, tmp_path)
    assert after_cut(lab, PowerCutDisk(lab.evidence), removals_last=True) == (True, BEFORE + BATCH)
    lab.close()


def test_a_new_log_at_every_step(tmp_path: Path) -> None:
    """The first start of all is crash-safe too."""
    at, told = 0, False
    while not told:
        lab = Lab(tmp_path / str(at))
        disk = PowerCutDisk(lab.evidence, at)
        log = lab.log(disk)
        try:
            log.open_now()
            told = log.record_now(act(1)).index == 0
        except CrashError:
            pass
        finally:
            log.close_now()
        disk.cut()
        with lab.opened() as log:
            assert log.size in ({1} if told else {0, 1})
            lab.check()
        lab.close()
        at += 1


def test_negative_control(full: Path, tmp_path: Path) -> None:
    """A disk that lies about fsync does lose what was acknowledged: the test above can fail."""
    lab = copy(full, tmp_path)
    with pytest.raises((AssertionError, GatewayError)):
        after_cut(lab, PowerCutDisk(lab.evidence, honest=False))
    lab.close()
