"""A second place made a first store: what was under way when the first one ended is put in order, its mark goes last.

Every step may be done again after a crash (docs/formats.md, "copies").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.errors import IntegrityError
from gateway.evidence.copies.log_files import COPYING, look_at
from gateway.evidence.copies.mark import MARK, claimed, read_mark
from gateway.evidence.copies.second import blob_name
from gateway.evidence.copies.transfer import PART, CopyError, make_folders
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.tiles import ENTRIES, WIDTH
from gateway.evidence.vault.files import Files

PROMOTED = "promoted.json"
UNNAMED = "unnamed"
_TILE = re.compile(r"(entries|[0-9]{1,2})/((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([0-9]{1,3}))?")


class Promoted(msgspec.Struct, frozen=True):
    """A store made of a copy: entries of its log; exhibits whose blobs were not copied; blobs that no entry names.

    Blobs that no entry names lie in `unnamed/`: their seals went with the first store, and their cameras, which were
    told to keep their copies, offer them again.
    """

    id: str
    origin: str
    entries: int
    exhibits: int
    lacking: tuple[str, ...]
    unnamed: int
    removed: int


def promote(place: Path, files: Files) -> Promoted:
    """Make the copy in this data directory a store; CopyError where it is none, IntegrityError where it is no whole."""
    mark = read_mark(place)
    if mark is None:
        raise CopyError(f"{place} has no {MARK}: it is no copy")
    with claimed(place):
        evidence = place / "evidence"
        origin, size = _held(evidence / "log")
        removed = _tidy(evidence, size, files)
        sealed = dict(_sealed(TileReader(evidence / "log"), size))
        unnamed = _set_aside(evidence, set(sealed.values()), files)
        lacking = tuple(name for name, blob in sealed.items() if not (evidence / blob_name(blob)).exists())
        files.remove_tree(evidence / "log" / COPYING)
        files.sync_directory(evidence / "log")
        files.rename(place / MARK, place / PROMOTED)
        files.sync_directory(place)
    return Promoted(mark.id, origin, size, len(sealed), lacking, unnamed, removed)


def _held(log: Path) -> tuple[str, int]:
    """The log's origin, and how many entries its checkpoint covers, whose tiles have its root."""
    try:
        head = look_at(log).head
    except FileNotFoundError as gone:
        raise IntegrityError(f"{gone.filename} is missing: the log was never copied whole") from gone
    except CopyError as wrong:
        raise IntegrityError(str(wrong)) from wrong
    if TileReader(log).edge(head.size).root() != head.root:
        raise IntegrityError(f"{log}: the tiles do not have the root that the checkpoint signs")
    return head.origin, head.size


def _tidy(evidence: Path, size: int, files: Files) -> int:
    """Remove what was being written, and tiles that were copied for a checkpoint that never came; how many."""
    gone = [path for path in evidence.rglob(f"*{PART}") if path.is_file()]
    top = evidence / "log" / "tile"
    gone += [path for path in top.rglob("*") if path.is_file() and _beyond(path.relative_to(top).as_posix(), size)]
    for path in gone:
        files.remove_tree(path)
        files.sync_directory(path.parent)
    return len(gone)


def _beyond(name: str, size: int) -> bool:
    found = _TILE.fullmatch(name)
    if found is None:
        return False
    level = 0 if found[1] == ENTRIES else int(found[1])
    number = int("".join(group.removeprefix("x") for group in found[2].split("/")))
    return number * WIDTH + int(found[3] or WIDTH) > size >> (8 * level)


def _sealed(reader: TileReader, size: int) -> Iterator[tuple[str, str]]:
    """(exhibit, blob) of everything that was sealed and not disposed of."""
    blobs: dict[str, str] = {}
    for _, leaf in reader.leaves(0, size):
        said = msgspec.json.decode(leaf, type=_Leaf)
        if said.kind == "seal" and said.exhibit is not None and said.blob is not None:
            blobs[said.exhibit] = said.blob
        elif said.kind in ("key_destroy", "dispose") and said.exhibit is not None:
            blobs.pop(said.exhibit, None)
    yield from blobs.items()


class _Leaf(msgspec.Struct):
    kind: str
    exhibit: str | None = None
    blob: str | None = None


def _set_aside(evidence: Path, named: set[str], files: Files) -> int:
    """Move blobs that no entry names out of the tree: nothing is thrown away."""
    count = 0
    for path in sorted((evidence / "blobs").glob("*/*/*.age")):
        if path.stem not in named:
            make_folders(files, evidence, evidence / UNNAMED)
            files.rename(path, evidence / UNNAMED / path.name)
            files.sync_directory(evidence / UNNAMED)
            files.sync_directory(path.parent)
            count += 1
    return count
