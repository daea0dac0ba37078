"""Which files of a data directory a backup takes along as they are, apart from log, details and vault."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

LEFT_OUT = frozenset(
    {
        *("keys", "gateway.lock", "key-backups.lock", "restored.json", "tracks"),
        *("evidence/log", "evidence/log.next", "evidence/details", "evidence/blobs", "evidence/thumbnails"),
        *("evidence/evidence.db", "evidence/keys.db", "evidence/imports", "evidence/staging"),
        *("evidence/exports", "evidence/derivatives"),
    }
)
"""Keys never; what a running process alone needs; the catalogue, which is made anew; where people were, which the
journal has; the rest has its own turn. Exports are in clear, and are asked for anew, as derivatives under way are."""
ENDINGS = (".tmp", ".new", ".part", "-wal", "-shm", "-journal")


class Found(msgspec.Struct, frozen=True):
    """A file, by its path below the data directory; or one that is none (why)."""

    path: str
    why: str = ""

    @property
    def is_database(self) -> bool:
        """Whether it is to be copied through SQLite."""
        return self.path.endswith(".db")


def survey(top: Path, without: tuple[Path, ...] = (), below: str = "") -> Iterator[Found]:
    """Every file that goes along, in order; `without` are directories that do not (keys that lie elsewhere)."""
    folder = top / below if below else top
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if path in LEFT_OUT or entry.name == "lock" or entry.name.endswith(ENDINGS) or _is_secret(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not any(_same(folder / entry.name, each) for each in without):
                yield from survey(top, without, path)
        elif entry.is_file(follow_symlinks=False):
            yield Found(path)
        else:
            yield Found(path, "not a regular file")


def staged(evidence: Path) -> list[list[Path]]:
    """Uploads under way, each a list of its files in the order in which they must be read.

    Run files first: what moves on from a run file into blob.age while they are read is then in the latter.
    """
    top = evidence / "staging"
    uploads = []
    for folder in sorted(top.iterdir()) if top.is_dir() else ():
        files = [path for path in sorted(folder.iterdir()) if path.is_file()] if folder.is_dir() else []
        uploads.append(sorted(files, key=lambda path: (path.suffix != ".rec", path.name)))
    return [files for files in uploads if files]


def _is_secret(path: str) -> bool:
    """A key of any kind; the journal's day keys are wrapped."""
    name = path.rpartition("/")[2]
    return (name.endswith(".key") and not path.startswith("journal/")) or name.startswith("keys.db")


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()
