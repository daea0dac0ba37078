"""Puts a backup back: into a directory of its own beside the place, verified there, then renamed into it.

Until that rename there is nothing in the place. What the backup lacks is named, and the rest is put back all the same.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec

from gateway.backup.checking import Opened
from gateway.backup.keys_file import KeysFile
from gateway.backup.manifest import File, Gap
from gateway.backup.moment import wanted
from gateway.backup.objects import BLOCK
from gateway.backup.restored import MARK, Restored, print_mark
from gateway.errors import ConfigError, EvidenceError, IntegrityError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.generations import generation_of
from gateway.evidence.verify.completeness import Completeness, completeness
from gateway.evidence.verify.report import Finding, Report
from gateway.evidence.verify.store import verify_store
from gateway.store.wrapped import Wrapped, write_wrapped

UNDER_WAY, HISTORY = ".restoring", "journal/"
NEVER = frozenset({"feed/mark.json"})
"""With its numbers reserved anew a stream would use them twice: without them the feed begins a new epoch."""


class Put(msgspec.Struct, frozen=True):
    """What was put back: the mark it left, what the verifier found, what there is and what is missing."""

    restored: Restored
    report: Report
    found: Completeness | None
    gaps: tuple[Gap, ...]

    @property
    def whole(self) -> bool:
        """Everything that the log speaks of is there and is what was sealed."""
        return not self.gaps and self.report.ok and self.found is not None and self.found.whole


class Restoring:
    """One restore into one place."""

    def __init__(self, backup: Opened, target: Path, disk: Disk) -> None:
        self._backup, self._target, self._disk = backup, target, disk
        self._fresh = target.with_name(f".{target.name}{UNDER_WAY}")
        self._gaps: list[Gap] = list(backup.manifest.head.gaps)
        self._folders: set[Path] = set()

    def run(self, keys: KeysFile | None, kek_folder: Path | None, mark: Restored) -> Put:
        """Do it all; blocks. ConfigError where the place is taken."""
        self._begin()
        for file in self._backup.manifest.files.values():
            if file.path not in NEVER:
                self._put(file)
        if keys is not None:
            self._put_keys(keys)
        report, found = self._judge(kek_folder)
        self._disk.ensure(self._fresh)
        self._disk.write(self._fresh / MARK, print_mark(mark))
        self._disk.fsync(self._fresh / MARK)
        for folder in sorted({*self._folders, self._fresh}):
            self._disk.fsync(folder)
        self._disk.rename(self._fresh, self._target)
        self._disk.fsync(self._target.parent)
        named = {gap.path for gap in self._gaps}
        report.findings = [finding for finding in report.findings if not _is_told(finding, named)]
        return Put(mark, report, found, tuple(self._gaps))

    def _begin(self) -> None:
        target = self._target
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ConfigError("-o", "is there already, and is no empty directory", str(target))
        if self._fresh.exists():
            shutil.rmtree(self._fresh)  # what a restore that was killed left: nobody has ever used it
        self._disk.ensure(self._fresh)

    def _put(self, file: File) -> None:
        gap = self._backup.judge(file)
        if gap is not None:
            self._gaps.append(gap)
            return
        path = self._fresh / file.path
        self._make(path.parent)
        self._disk.write(path, b"")
        with self._backup.path(file).open("rb") as source:
            at = 0
            while block := source.read(BLOCK):
                self._disk.write_at(path, at, block)
                at += len(block)
        self._disk.fsync(path)
        if file.mtime_ns is not None:
            os.utime(path, ns=(int(file.mtime_ns), int(file.mtime_ns)))

    def _put_keys(self, keys: KeysFile) -> None:
        """Keys of what the log says has ended are not brought back, whatever the backup of keys still holds."""
        try:
            ended = wanted(self._fresh / "evidence", self._backup.label.size).ended
        except IntegrityError as wrong:
            self._gaps.append(Gap("evidence/keys.db", f"left out: which keys were destroyed cannot be read: {wrong}"))
            return
        rows = [row for row in keys.rows if not _belongs_to(row, ended)]
        history = [row for row in rows if row.name.startswith(HISTORY)]
        self._put_rows("evidence/keys.db", [row for row in rows if not row.name.startswith(HISTORY)])
        if history:
            self._put_rows("journal/keys.db", history)

    def _put_rows(self, name: str, rows: list[Wrapped]) -> None:
        path = self._fresh / name
        self._make(path.parent)
        write_wrapped(path, rows)
        self._disk.fsync(path)

    def _make(self, folder: Path) -> None:
        while folder not in self._folders:
            self._disk.ensure(folder)
            self._folders.add(folder)
            folder = folder.parent if folder != self._fresh else folder

    def _judge(self, kek_folder: Path | None) -> tuple[Report, Completeness | None]:
        """The independent verifier over all of it; the catalogue is not there yet, and no fault."""
        evidence = self._fresh / "evidence"
        with_keys = kek_folder if (evidence / "keys.db").exists() else None
        report = verify_store(evidence, with_keys, origin=self._backup.label.origin)
        report.findings = [finding for finding in report.findings if finding.path != "evidence.db"]
        found: Completeness | None = None
        with report.collecting():
            found = completeness(evidence)
        return report, found


def _belongs_to(row: Wrapped, ended: set[str]) -> bool:
    kind, _, rest = row.name.partition("/")
    return kind in {"identity", "run"} and rest.split("/")[0] in ended


def _is_told(finding: Finding, named: set[str]) -> bool:
    """Whether the backup's own gap says the same already."""
    return f"evidence/{finding.path}" in named and finding.found == "none"


def restore(backup: Opened, target: Path, keys: KeysFile | None, kek_folder: Path | None, mark: Restored) -> Put:
    """Put a backup back into a place that is empty or not there."""
    if keys is not None and generation_of(keys.head.origin)[0] != generation_of(backup.label.origin)[0]:
        raise ConfigError("--keys-backup", f"is of {keys.head.origin}, the backup of {backup.label.origin}")
    try:
        return Restoring(backup, target.absolute(), Disk()).run(keys, kek_folder, mark)
    except OSError as wrong:
        raise EvidenceError(f"nothing was put back: {wrong}") from wrong
