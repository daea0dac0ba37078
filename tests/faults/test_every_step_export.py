"""Every step of an export, bag and log alike: power cut, failed and lost, failed but kept.

Under its name there is a whole bag or none; the same command ends it; the act is on record once; the store verifies.
(The crash at every step, encrypted ones among them: tests/cli/test_export_faults.py.)
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gateway.evidence.verify.exported import verify_export
from gateway.evidence.verify.store import verify_store
from tests.cli.bagged import WORDS, steps, stock
from tests.cli.conftest import Lapel, lapel, pattern
from tests.evidence.log.lab import CrashError
from tests.faults.every_step import EveryStep, chosen
from tests.faults.figures import noted

__all__ = ["lapel", "pattern"]


class Scene:
    """A folder with a store and room for a bag, and one command."""

    def __init__(self, pattern: Path, folder: Path, lapel: Lapel) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(pattern, folder / "store")
        self.folder, self.store, self.bag, self._lapel = folder, folder / "store", folder / "out/bag", lapel
        self.bag.parent.mkdir()
        rows = lapel("evidence", "list", "--data", self.store, "--json").json["exhibits"]
        self.exhibit = min(rows, key=lambda row: row["size"])["id"]

    def export(self) -> tuple[int, str]:
        """The command: exit code, what it complained of."""
        words = ("evidence", "export", self.exhibit, "-o", self.bag, *WORDS, "--own-time", "--data", self.store)
        done = self._lapel(*words)
        return done.code, done.err

    def broken(self, way: str, at: int) -> tuple[EveryStep, int]:
        """The command with a step that fails: its exit code, 0 only where it said that all is done."""
        taken, code = EveryStep(self.folder, way, at), 1
        with taken.taken():
            try:
                code, _ = self.export()
            except (CrashError, BaseExceptionGroup):
                assert way == "power"
        taken.settle()
        return taken, code

    def whole(self, where: str) -> bool:
        """Whether there is a bag under the name; if so it is all of one."""
        if not self.bag.exists():
            return False
        report = verify_export(self.bag)
        assert report.findings == [], (where, report.findings)
        return True

    def verified(self, where: str) -> None:
        """The store, and how often the export is in the exhibit's custody."""
        report = verify_store(self.store / "evidence", self.store / "keys")
        assert report.ok, (where, report.findings)
        shown = self._lapel("evidence", "show", self.exhibit, "--data", self.store, "--json").json
        assert [each["kind"] for each in shown["custody"]].count("export") == 1, where


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("way", ["power", "lost", "kept"])
def test_at_every_step(pattern: Path, tmp_path: Path, lapel: Lapel, way: str) -> None:
    """Of store and bag on one disk."""
    scene = Scene(pattern, tmp_path / "count", lapel)
    counted, code = scene.broken("", -1)
    assert (code, scene.whole("")) == (0, True)
    assert {"rename out/bag.part/bag", "rename store/evidence/log/checkpoint.tmp"} <= set(counted.done)
    tried = 0
    for at in chosen(len(counted.done), way):
        scene = Scene(pattern, tmp_path / "scene", lapel)
        taken, code = scene.broken(way, at)
        where = f"{way} {at}: {taken.done[min(at, len(taken.done) - 1)]}"
        there = scene.whole(where)
        assert there or code != 0, f"an export that was told done is gone: {where}"
        code, said = scene.export()
        assert code == 0 or (there and code == 1 and "is there already" in said), (where, said)
        assert scene.whole(where), where
        assert [path.name for path in scene.bag.parent.iterdir()] == ["bag"], where
        scene.verified(where)
        tried += 1
    assert stock(scene.bag, steps(scene.bag))[0] == 0
    noted("steps of an export", way=way, tried=tried, of=len(counted.done))
