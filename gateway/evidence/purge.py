"""Where an exhibit's keys and files lie, and how they are forgotten there: the store itself, and each copy of it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from gateway.evidence.rows import Exhibit
from gateway.evidence.vault.files import Files

STORE = "store"


class Place(Protocol):
    """One place that keeps exhibits. Both are idempotent and durable on return; OSError or StoreBusyError: not now."""

    name: str

    def forget_key(self, name: str) -> bool:
        """Destroy one wrapped key, so that no byte of it is left; whether there was one."""
        ...

    def forget_file(self, relative: str) -> bool:
        """Remove what lies there, a file or a directory, below the evidence directory; whether anything did."""
        ...


class Secrets(Protocol):
    """keys.db, as far as destroying goes."""

    def forget(self, names: Collection[str]) -> bool:
        """Destroy secrets for good; whether there was any."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin so."""
        ...


class StorePlace:
    """The store itself."""

    def __init__(self, evidence: Path, keyring: Secrets, files: Files) -> None:
        self.name = STORE
        self._evidence, self._keyring, self._files = evidence, keyring, files

    def forget_key(self, name: str) -> bool:
        """Destroy one wrapped key; bytes of it are looked for in keys.db and its journal."""
        return self._keyring.forget([name])

    def has_file(self, relative: str) -> bool:
        """Whether anything lies there."""
        path = self._evidence / relative
        return path.is_symlink() or path.exists()

    def forget_file(self, relative: str) -> bool:
        """Remove a file or directory below the evidence directory."""
        path = self._evidence / relative
        there = self.has_file(relative)
        if there:
            self._files.remove_tree(path)
        # Also where it was gone already: the removal of an earlier try may not be durable.
        folder = _nearest(path.parent)
        self._files.sync_directory(folder)
        return there


def key_names(exhibit: str, keyring: Secrets) -> list[str]:
    """Every name under which a key of this exhibit may lie."""
    fixed = [f"identity/{exhibit}", f"identity/{exhibit}/next", f"run/{exhibit}/0"]
    return sorted({*fixed, *keyring.names(f"run/{exhibit}/")})


def file_names(row: Exhibit) -> list[str]:
    """Every path, below the evidence directory, at which content of this exhibit may lie."""
    name, blob = row.id, row.blob
    thumbnail = f"thumbnails/{name[-2:]}/{name}"
    left = [f"staging/{name}", *(f"imports/{name}.{suffix}" for suffix in ("age", "json", "part"))]
    blobs = [] if blob is None else [f"blobs/{blob[:2]}/{blob[2:4]}/{blob}.age"]
    return [*blobs, f"{thumbnail}.age", f"{thumbnail}.new", *left]


def _nearest(folder: Path) -> Path:
    while not folder.is_dir():
        folder = folder.parent
    return folder
