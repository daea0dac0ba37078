"""Every step of a disposal fails once: kept or lost, crashed or refused, or the power goes; what is left verifies."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import GatewayError, StoreBusyError
from gateway.evidence.vault.files import DiskFiles
from gateway.store.keyring import Keyring
from tests.evidence.disposal.lab import Lab
from tests.evidence.log.lab import CrashError, FaultyDisk
from tests.evidence.log.power import PowerCutDisk

STRIDE = int(os.environ.get("LAPEL_DISPOSAL_STRIDE", "11"))
"""Of all steps every eleventh, another one in each variant; with 1, all of them."""


class StepDisk(FaultyDisk):
    """The log's disk, and a counter of steps for all else that a disposal does."""

    def step(self, name: str, act: Callable[[], Any]) -> Any:
        """One operation of any kind: fails as FaultyDisk's do."""
        number, self.count = self.count, self.count + 1
        self.done.append(name)
        last = self.at + (1 << 60 if self.crash else self.fails)
        failing = 0 <= self.at <= number < last
        answer = act() if not failing or (self.keep and number == self.at) else None
        if failing:
            raise CrashError(name) if self.crash else self.refused(name)
        return answer

    def refused(self, name: str) -> Exception:
        """What a disk that is full, or gone, says."""
        return StoreBusyError(name) if name == "forget" else OSError(errno.ENOSPC, f"no space ({name})")

    def _one(self, name: str, *arguments: object) -> None:
        self.step(name, lambda: getattr(super(FaultyDisk, self), name)(*arguments))


class StepFiles(DiskFiles):
    """File operations as steps."""

    def __init__(self, disk: StepDisk) -> None:
        self._disk = disk

    def remove_tree(self, path: Path) -> None:
        """As Files."""
        self._disk.step("remove", lambda: DiskFiles.remove_tree(self, path))

    def sync_directory(self, path: Path) -> None:
        """As Files."""
        self._disk.step("sync", lambda: DiskFiles.sync_directory(self, path))


class StepKeyring:
    """keys.db, with each destruction a step."""

    def __init__(self, disk: StepDisk, keyring: Keyring) -> None:
        self._disk, self._keyring, self.names = disk, keyring, keyring.names

    def forget(self, names):
        """As Keyring."""
        return self._disk.step("forget", lambda: self._keyring.forget(names))


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an exhibit whose disposal, details and all, is approved and due, and one that stays."""
    directory = tmp_path_factory.mktemp("approved") / "store"
    lab = Lab(directory)
    with lab.opened():
        lab.ready(lab.seal(), ground="erasure", erase=True)
        lab.seal(b"stays")
    lab.close()
    return directory


def copy(approved: Path, tmp_path: Path) -> Lab:
    """The same store, ours to break, on the day that the grace is over."""
    shutil.rmtree(tmp_path / "store", ignore_errors=True)
    shutil.copytree(approved, tmp_path / "store")
    lab = Lab(tmp_path / "store")
    lab.clock.on(days=8)
    return lab


def turn(lab: Lab, disk: StepDisk) -> None:
    """One process that carries out what is due, until it ends or breaks."""
    with contextlib.suppress(CrashError, GatewayError), lab.opened(disk):
        lab.execution(lab.desk(), files=StepFiles(disk), keyring=StepKeyring(disk, lab.keyring)).turn()


def ended(lab: Lab) -> None:
    """The next process goes on, to the same end whatever happened before; nothing was done twice."""
    with lab.opened():
        desk = lab.desk()
        lab.execution(desk).turn()
        (one,) = desk.all()
        assert one.state(desk.now) == "done"
        (exhibit,) = one.parts
        assert (lab.kinds(exhibit).count("key_destroy"), lab.kinds(exhibit).count("dispose")) == (1, 1)
        said = lab.custody.detail(one.parts[exhibit].entries["dispose"])[0]["certificate"]
        assert (said["requested"]["by"], said["approved"]["by"]) == ("officer", "boss")
        assert lab.keyring.names(f"identity/{exhibit}") == []
        (left,) = lab.keyring.names("identity/")
        assert len(lab.files()) == 2
        assert lab.keyring.get(left) is not None
    report = lab.verified()
    assert (report.counts["disposed"], report.counts["sealed"]) == (1, 1)
    assert "disposals_under_way" not in report.counts


def steps(approved: Path, tmp_path: Path) -> list[str]:
    """The steps of a whole disposal."""
    lab = copy(approved, tmp_path)
    disk = StepDisk()
    turn(lab, disk)
    lab.close()
    assert {"forget", "remove", "sync", "write_at", "rename"} <= set(disk.done)
    return disk.done


@pytest.mark.parametrize(
    ("crash", "keep", "fails"), [(True, False, 1), (True, True, 1), (False, False, 1), (False, True, 3)]
)
def test_a_fault_at_every_step(approved: Path, tmp_path: Path, crash: bool, keep: bool, fails: int) -> None:
    """Before and after the next start nothing differs; the next turn ends what was begun, or what was not."""
    names = steps(approved, tmp_path)
    first = (crash * 2 + keep) * 3 % STRIDE
    seen = set()
    for at in range(first, len(names), STRIDE):
        lab = copy(approved, tmp_path)
        turn(lab, StepDisk(at, keep=keep, crash=crash, fails=fails))
        report = lab.verified()
        seen.add(tuple(sorted(set(report.counts) & {"disposed", "disposals_under_way"})))
        ended(lab)
        lab.close()
    assert ("disposals_under_way",) in seen


class PowerFiles(DiskFiles):
    """File operations that a power cut takes back unless their directory was synced."""

    def __init__(self, disk: PowerCutDisk) -> None:
        self._disk = disk

    def remove_tree(self, path: Path) -> None:
        """As Files."""
        self._disk.unlink(path)

    def sync_directory(self, path: Path) -> None:
        """As Files."""
        self._disk.fsync(path)


@pytest.mark.parametrize("removals_last", [False, True])
def test_a_power_cut_at_every_step(approved: Path, tmp_path: Path, removals_last: bool) -> None:
    """What was not synced comes back or does not: the key was gone before, and the next turn ends it."""
    counting = copy(approved, tmp_path)
    disk = PowerCutDisk(counting.directory)
    with contextlib.suppress(CrashError), counting.opened(disk):
        counting.execution(counting.desk(), files=PowerFiles(disk)).turn()
    counting.close()
    for at in range(removals_last * 5 % STRIDE, disk.count, STRIDE):
        lab = copy(approved, tmp_path)
        cutting = PowerCutDisk(lab.directory, at)
        with contextlib.suppress(CrashError, GatewayError), lab.opened(cutting):
            lab.execution(lab.desk(), files=PowerFiles(cutting)).turn()
        cutting.cut(removals_last=removals_last)
        lab.close()
        again = Lab(lab.directory)
        again.clock.utc = lab.clock.utc
        ended(again)
        again.close()
