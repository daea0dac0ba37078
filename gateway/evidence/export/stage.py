"""The staged folder of one export: `<DIR>.part/` with a journal and the bag that grows in it.

Each step is durable before the journal says so; the bag gets its own name by one rename, at the end.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from gateway.evidence.export.order import Order, OrderError
from gateway.evidence.vault.files import Files

SUFFIX = ".part"


class Journal(msgspec.Struct):
    """How far an export has got. `upto`: the number of its own entry in each exhibit's chain."""

    export: str
    order: Order
    begun_at: str
    v: int = 1
    upto: dict[str, int] = {}
    note: str | None = None
    masters: dict[str, str] = {}
    """Exhibits whose master is in the bag, durable, with its SHA-256."""
    named: bool = False
    """The result is whole, and only its name is missing."""


class Stage:
    """The folder of one export that is being made."""

    def __init__(self, target: Path, files: Files) -> None:
        """Name where the result goes; nothing is touched yet."""
        self.target, self.files = target, files
        self.folder = target.with_name(target.name + SUFFIX)
        self.bag = self.folder / "bag"
        self._journal = self.folder / "journal.json"

    def begin(self, journal: Journal) -> Journal:
        """Go on with what an earlier run left of the same order, or begin; OrderError where it was another order."""
        found = self.read()
        if found is None:
            self.files.make_directory(self.bag)
            self.files.sync_directory(self.folder.parent)
            self.keep(journal)
            return journal
        if found.order != journal.order:
            raise OrderError(f"{self.folder} holds another export, {found.export}: finish it, or remove the folder")
        return found

    def read(self) -> Journal | None:
        """The journal of an earlier run; None where there is none. OrderError where it cannot be read."""
        try:
            return msgspec.json.decode(self._journal.read_bytes(), type=Journal)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except msgspec.DecodeError as wrong:
            raise OrderError(f"{self._journal}: {wrong}") from wrong

    def keep(self, journal: Journal) -> None:
        """Replace the journal; durable on return."""
        fresh = self._journal.with_suffix(".new")
        put(self.files, fresh, msgspec.json.encode(journal))
        self.files.rename(fresh, self._journal)
        self.files.sync_directory(self.folder)

    def write(self, name: str, content: bytes) -> None:
        """Write one of the bag's files anew; durable on return, its folder's entry by `sync`."""
        put(self.files, self.place(name), content)

    def place(self, name: str) -> Path:
        """Where one of the bag's files goes; its folder is made."""
        path = self.bag / name
        for folder in reversed(path.relative_to(self.bag).parents[:-1]):
            self.files.make_directory(self.bag / folder)
        return path

    def sync(self) -> None:
        """Every folder of the bag durable."""
        for folder, _, _ in os.walk(self.bag):
            self.files.sync_directory(Path(folder))

    def finish(self, made: Path, target: Path) -> None:
        """Give the result its name, in one step, and take the rest away."""
        if made.exists():
            if target.exists():
                raise OrderError(f"{target} is there already: {made} is the finished export")
            self.files.rename(made, target)
        self.files.sync_directory(target.parent)
        self.clear()

    def clear(self) -> None:
        """Remove the staged folder: the journal last, so that a crash in between is found and ended."""
        self.files.remove_tree(self.bag)
        self.files.remove_tree(self.folder)

    @contextmanager
    def taking_turns(self) -> Iterator[None]:
        """One process at a time works on one folder; OrderError where another does."""
        self.files.make_directory(self.folder)
        handle = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Whoever held it before may have finished, and removed the folder that was opened here.
            if not self.folder.exists() or os.fstat(handle).st_ino != self.folder.stat().st_ino:
                raise OrderError(f"{self.target}: another process has just made it")
            yield
        except BlockingIOError as busy:
            raise OrderError(f"{self.target}: another process is making it") from busy
        finally:
            os.close(handle)


def put(files: Files, path: Path, content: bytes) -> None:
    """A small file, whole and synced (its folder's entry is the caller's)."""
    files.remove_tree(path)
    handle = files.create(path)
    try:
        files.write(handle, content, 0)
        files.datasync(handle)
    finally:
        os.close(handle)
