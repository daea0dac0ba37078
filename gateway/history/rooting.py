"""A root an hour: what the journal's closed files hold becomes one entry of the log (docs/formats.md, "journal").

A file is in exactly one root: it is never written again once its hour is over or its process gone, and of files
that a `.leaves` covers none is taken twice. `.leaves.part` is a root that may or may not have reached the log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.evidence import Act
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import IntegrityError
from gateway.evidence.log.disk import Disk
from gateway.history.files import JournalFile, journal_files
from gateway.history.tree import Covered, LeavesFile, write_leaves

FILES_MAX = 256
"""Files of one root: what covers more would not fit into an entry."""
REST_EVERY = 5_000
_log = structlog.get_logger()


class Rooting:
    """Roots of one journal; every call blocks, from one thread at a time.

    turn: lets go of a file whose hour is over and names the one that may still grow. record: an act into the log.
    logged: what the log's roots say, newest first. rest: gives way to others.
    """

    def __init__(
        self,
        directory: Path,
        turn: Callable[[], str | None],
        record: Callable[[Act], object],
        logged: Callable[[], Iterable[dict[str, Any]]],
        disk: Disk | None = None,
    ) -> None:
        self._directory, self._turn, self._record, self._logged = directory, turn, record, logged
        self._disk = disk or Disk()
        self.rest: Callable[[], object] = lambda: None
        self.counts = {"roots": 0, "frames": 0, "files": 0, "waiting_files": 0, "damaged_files": 0}
        self._damaged: set[str] = set()

    def once(self, hour: str) -> int:
        """Root every file that won't grow any more; how many roots were recorded. OSError, StoreBusyError: not now."""
        growing = self._turn()
        before = self.counts["roots"]
        self._settle()
        waiting = [path for path in unrooted(self._directory) if path.stem != growing and path.stem[:13] != hour]
        self.counts["waiting_files"] = len(waiting)
        for label, group in groupby(waiting, key=lambda path: path.stem[:13]):
            paths = list(group)
            for at in range(0, len(paths), FILES_MAX):
                self._root(label, paths[at : at + FILES_MAX])
        return self.counts["roots"] - before

    def _settle(self) -> None:
        """Finish what an earlier run began: whether its root is in the log, only the log knows."""
        for part in sorted(self._directory.glob("*.leaves.part")):
            covered = LeavesFile(part).covered
            facts = covered.facts()
            if not any({name: each.get(name) for name in facts} == facts for each in self._logged()):
                self._record(_act(covered))
            self._named(part, covered)

    def _root(self, label: str, paths: list[Path]) -> None:
        paths = [path for path in paths if path.stem not in self._damaged]
        while paths:
            counted: dict[str, int] = {}
            fresh = self._directory / "leaves.tmp"
            try:
                covered = write_leaves(self._disk, fresh, self._rows(paths, counted), _hours(label), counted)
            except IntegrityError as damage:
                hurt = paths[len(counted)]
                _log.critical("journal_damaged", file=hurt.name, problem=str(damage))
                self._damaged.add(hurt.stem)
                self.counts["damaged_files"] = len(self._damaged)
                paths.remove(hurt)
                continue
            part = self._directory / f"{paths[0].stem}.leaves.part"
            self._disk.rename(fresh, part)
            self._disk.fsync(self._directory)
            self._record(_act(covered))
            self._named(part, covered)
            return

    def _rows(self, paths: list[Path], counted: dict[str, int]) -> Iterator[bytes]:
        since = 0
        for path in paths:
            frames = 0
            with JournalFile(path) as file:
                file.settle()
                for heads in file.batches():
                    yield heads.leaves
                    frames += heads.count
                    since += heads.count
                    if since >= REST_EVERY:
                        since = 0
                        self.rest()
            counted[path.stem] = frames

    def _named(self, part: Path, covered: Covered) -> None:
        self._disk.rename(part, part.with_suffix(""))
        self._disk.fsync(self._directory)
        self.counts["roots"] += 1
        self.counts["frames"] += covered.frames
        self.counts["files"] += len(covered.files)


def leaves_files(directory: Path, hours: Iterable[str]) -> Iterator[LeavesFile]:
    """The trees of these hours, oldest first."""
    for hour in sorted(set(hours)):
        for path in sorted(directory.glob(f"{hour}-*.leaves")):
            yield LeavesFile(path)


def unrooted(directory: Path) -> list[Path]:
    """Journal files that no root covers, oldest first."""
    files = journal_files(directory)
    covered = {
        name for tree in leaves_files(directory, (path.stem[:13] for path in files)) for name, _ in tree.covered.files
    }
    return [path for path in files if path.stem not in covered]


def _act(covered: Covered) -> Act:
    return Act("journal_root", "system", facts=covered.facts())


def _hours(label: str) -> tuple[str, str]:
    """Beginning and end of the hour."""
    begun = from_rfc3339(f"{label}:00:00Z")
    return rfc3339(begun), rfc3339(begun + timedelta(hours=1))
