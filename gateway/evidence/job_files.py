"""Jobs that outlive the process: one JSON file each, replaced and fsynced, in a folder of their own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog

from gateway.evidence.vault.files import Files

Job = TypeVar("Job", bound=msgspec.Struct)
_log = structlog.get_logger()


class JobFiles(Generic[Job]):
    """`<folder>/<name>.json`; each operation durable on return. Blocks."""

    def __init__(self, folder: Path, kind: type[Job], files: Files) -> None:
        """Name the folder and what a job is; nothing is made yet."""
        self.folder, self._kind, self._files = folder, kind, files

    def make(self) -> None:
        """Make the folder unless it is there."""
        if not self.folder.exists():
            self._files.make_directory(self.folder)
            self._files.sync_directory(self.folder.parent)

    def path(self, name: str) -> Path:
        """Where a job lies."""
        return self.folder / f"{name}.json"

    def keep(self, name: str, job: Job) -> None:
        """Write a job, in place of what it was."""
        fresh = self.folder / f"{name}.new"
        self._files.remove_tree(fresh)
        handle = self._files.create(fresh)
        try:
            self._files.write(handle, msgspec.json.encode(job), 0)
            self._files.datasync(handle)
        finally:
            os.close(handle)
        self._files.rename(fresh, self.path(name))
        self._files.sync_directory(self.folder)

    def get(self, name: str) -> Job | None:
        """One job; None for none, and for one that cannot be read (said in the log)."""
        path = self.path(name)
        try:
            return msgspec.json.decode(path.read_bytes(), type=self._kind)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as wrong:
            _log.error("job_unreadable", path=str(path), problem=str(wrong))
            return None

    def all(self) -> list[Job]:
        """Every job that can be read, by name."""
        names = sorted(path.stem for path in self.folder.glob("*.json"))
        return [job for name in names if (job := self.get(name)) is not None]

    def remove(self, name: str) -> None:
        """Forget a job; none there is no error."""
        self._files.remove_tree(self.path(name))
        self._files.sync_directory(self.folder)
