"""The log at a second place: tiles first, the checkpoint last, so that it is a log at every moment.

`log/copying` is the checkpoint that the tiles are being copied for; while it is there, tiles up to its size may lie
beyond `checkpoint`. A place that holds more of the log than we do, or another log, is never written to: its root at
its size must be ours. Whose signatures count is the verifier's to say; the log's key may have changed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.crypto.notes import parse_note
from gateway.evidence.copies.transfer import CopyError, make_folders, read_small, write_whole
from gateway.evidence.log.checkpoint import Checkpoint, parse_checkpoint
from gateway.evidence.log.generations import generation_of
from gateway.evidence.log.merkle import root
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.tiles import ENTRIES, WIDTH, levels, pack_entry, tile_path, tile_width
from gateway.evidence.vault.files import Files

CHECKPOINT, COPYING, VKEY, CHAIN = "checkpoint", "copying", "log.vkey", "keys.jsonl"
BESIDE = ("cosigned", "halted")


class Look(msgspec.Struct, frozen=True):
    """The first store's log at one moment.

    What lies beside was read before the checkpoint, which covers it; the key and how the log came to it, behind it.
    """

    note: str
    head: Checkpoint
    beside: dict[str, bytes | None]
    vkey: bytes
    chain: bytes | None = None


def look_at(log: Path) -> Look:
    """Take the log as it is now; CopyError where it cannot be read."""
    beside = {name: read_small(log / name) for name in BESIDE}
    note = (log / CHECKPOINT).read_bytes()
    chain = read_small(log / CHAIN)
    return Look(
        note.decode("utf-8", "replace"), opened(note, log / CHECKPOINT), beside, (log / VKEY).read_bytes(), chain
    )


def opened(note: bytes, path: Path) -> Checkpoint:
    """Read a checkpoint, whoever signed it; CopyError where it is none."""
    try:
        return parse_checkpoint(parse_note(note).text)
    except ValueError as wrong:
        raise CopyError(f"{path} is no checkpoint: {wrong}") from wrong


def origin_of(vkey: bytes) -> str:
    """The origin that a verifier key names."""
    return vkey.decode("utf-8", "replace").split("+", 1)[0]


class LogFiles:
    """The log of one place."""

    def __init__(self, first: Path, place: Path, files: Files) -> None:
        """Name both evidence directories."""
        self._first, self._place, self._files = first, place, files
        self._log = place / "log"

    def held(self, look: Look) -> int:
        """How many entries the place holds; CopyError where they are not the first of ours."""
        raw = read_small(self._log / CHECKPOINT)
        if raw is None or self._is_former(look):
            return 0
        theirs = opened(raw, self._log / CHECKPOINT)
        if theirs.origin != look.head.origin:
            raise CopyError(f"{self._place} holds another log: {theirs.origin}")
        if theirs.size > look.head.size:
            ours, more = look.head.size, theirs.size
            raise CopyError(f"{self._place} holds {more} entries of the log and we {ours}: it is ahead of this store")
        node = TileReader(self._first / "log").node(look.head.size)
        if theirs.size and root(theirs.size, node) != theirs.root:
            raise CopyError(f"{self._place} holds another log: it has forked from this one")
        return theirs.size

    def bring(self, look: Look) -> None:
        """Make the place hold what was looked at; as it was where it does already."""
        if self._is_former(look):
            self._set_aside()
        held = self.held(look)
        self._former()
        for name, content in ((CHAIN, look.chain), (VKEY, look.vkey)):  # how it came to its key, before the key
            if content is not None and read_small(self._log / name) != content:
                self._write(self._log / name, content)
        broken_off = (self._log / COPYING).exists()
        if broken_off or held < look.head.size or read_small(self._log / CHECKPOINT) is None:
            self._grow(0 if broken_off else held, look)
        self._beside(look)

    def _is_former(self, look: Look) -> bool:
        """Whether the place still holds the log that ours has succeeded."""
        first, ours = generation_of(look.head.origin)
        other, theirs = generation_of(origin_of(read_small(self._log / VKEY) or b""))
        return other == first and theirs < ours

    def _set_aside(self) -> None:
        """As the store does with a log that has a successor; what it holds beyond ours stays there for good."""
        name = origin_of(read_small(self._log / VKEY) or b"")
        target = self._place / "former" / str(generation_of(name)[1])
        make_folders(self._files, self._place, target.parent)
        self._files.rename(self._log, target)
        self._files.sync_directory(target.parent)
        self._files.sync_directory(self._place)

    def _former(self) -> None:
        """Logs that have a successor, never written again: what is missing of them."""
        top = self._first / "former"
        for path in sorted(top.rglob("*")) if top.is_dir() else ():
            target = self._place / "former" / path.relative_to(top)
            if path.is_file() and not target.exists():
                self._write(target, path.read_bytes())

    def _grow(self, held: int, look: Look) -> None:
        self._write(self._log / COPYING, look.note.encode())
        for name, content in _tiles(TileReader(self._first / "log"), held, look.head.size):
            if read_small(self._log / name) != content:
                self._write(self._log / name, content)
        if TileReader(self._log).edge(look.head.size).root() != look.head.root:
            raise CopyError(f"{self._log}: the tiles copied do not have the root that the checkpoint signs")
        self._write(self._log / CHECKPOINT, look.note.encode())
        self._prune(held, look.head.size)
        self._files.remove_tree(self._log / COPYING)
        self._files.sync_directory(self._log)

    def _prune(self, held: int, size: int) -> None:
        """Remove partial tiles that wider ones replace."""
        for name in _names(held, size):
            keep = self._log / name
            folder = keep.parent if keep.parent.name.endswith(".p") else keep.with_name(keep.name + ".p")
            for partial in sorted(folder.iterdir()) if folder.is_dir() else ():
                if partial != keep:
                    self._files.remove_tree(partial)
            if folder.is_dir() and folder != keep.parent:
                self._files.remove_tree(folder)

    def _beside(self, look: Look) -> None:
        for name, content in look.beside.items():
            there = read_small(self._log / name)
            if content is not None and there != content:
                self._write(self._log / name, content)
            elif content is None and there is not None:
                self._files.remove_tree(self._log / name)

    def _write(self, path: Path, content: bytes) -> None:
        write_whole(self._files, path, content, self._place)


def _places(held: int, size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of every tile that is not the same in both trees."""
    for level in range(levels(size)):
        for number in range((held >> (8 * level)) // WIDTH, ((size >> (8 * level)) // WIDTH) + 1):
            width = tile_width(level, number, size)
            if width:
                yield level, number, width


def _names(held: int, size: int) -> Iterator[str]:
    for level, number, width in _places(held, size):
        yield tile_path(level, number, width)
        if level == 0:
            yield tile_path(ENTRIES, number, width)


def _tiles(reader: TileReader, held: int, size: int) -> Iterator[tuple[str, bytes]]:
    for level, number, width in _places(held, size):
        yield tile_path(level, number, width), reader.hashes(level, number, size)
        if level == 0:
            bundle = b"".join(pack_entry(leaf) for leaf in reader.bundle(number, size))
            yield tile_path(ENTRIES, number, width), bundle
