"""The log on disk against itself: checkpoint, bundles, hash tiles of every level, strays, `pending`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

from gateway.errors import VerificationError
from gateway.evidence.verify import tiles, tree
from gateway.evidence.verify.files import exists, read_whole, walk
from gateway.evidence.verify.leaves import entry
from gateway.evidence.verify.notes import Checkpoint, Vkey
from gateway.evidence.verify.pending import PENDING, PENDING_MAX, Pending, judge, parse_pending
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.rotations import MARK, Keys, Rotation, check_rotations, read_keys
from gateway.evidence.verify.successor import check_successor, first_origin
from gateway.evidence.verify.tiles import Tile

CHECKPOINT = "log/checkpoint"
COSIGNED, HALTED, COPYING = "log/cosigned", "log/halted", "log/copying"
NOTE_MAX = 1 << 18
EDGE_TRIES = 50
Hashes = list[bytes | None]
Sink = Callable[[int, bytes], None]


class LogFiles:
    """One reading of a log; `open` takes the checkpoint and its edge, `scan` verifies all below it."""

    def __init__(self, evidence: Path, report: Report) -> None:
        self._top = evidence / "log"
        self._report = report
        self._edge: dict[Tile, bytes] = {}
        self._pending: Pending | None = None
        self._levels: list[Hashes] = []
        self._keys: Keys | None = None
        self._rotates: list[tuple[int, bytes]] = []
        self.rotations: list[Rotation] = []
        self.checkpoint: Checkpoint | None = None
        self.hashes: list[bytes] = []
        self._first: bytes | None = None

    def open(self, origin: str | None) -> Checkpoint:
        """Verify the checkpoint and read the partial tiles it needs, before a writer replaces them."""
        self._keys = read_keys(self._top)
        name = self._keys.current.name
        if origin is not None and origin not in {name, first_origin(name)}:
            raise VerificationError("log/log.vkey", f"origin {shown(origin)}", shown(name))
        self._pending = self._read_pending()
        for _ in range(EDGE_TRIES):
            try:
                self.checkpoint = self._read_checkpoint()
            except VerificationError:
                if not self._keys_moved():
                    raise
                continue
            self._read_edge(self.checkpoint.size)
            if self._is_still(self.checkpoint):
                break
        assert self.checkpoint is not None
        return self.checkpoint

    @property
    def vkey(self) -> Vkey | None:
        """The key that counts; None before the log was opened."""
        return None if self._keys is None else self._keys.current

    def _keys_moved(self) -> bool:
        """Whether the log's key was rotated while we read."""
        before, self._keys = self._keys, read_keys(self._top)
        return before != self._keys

    def moved(self) -> bool:
        """Whether a writer has replaced the checkpoint since it was opened."""
        return self.checkpoint is not None and not self._is_still(self.checkpoint)

    def being_applied(self) -> int | None:
        """From where on a batch is being applied to the catalogue; None where none is."""
        pending = None if self.vkey is None else self._read_pending()
        return None if pending is None else pending.old_size

    def scan(self, sink: Sink) -> None:
        """Verify every bundle and tile, hand each entry to the sink, derive the root."""
        assert self.checkpoint is not None
        size = self.checkpoint.size
        stored = self._hashes_of_level(0, size)
        derived = self._entries(size, stored, sink)
        self.hashes = [h for h in derived if h is not None]
        self._compare_root(derived, stored)
        self._upper_levels(derived)
        self._strays()
        self._judge_pending()
        with self._report.collecting():
            self._judge_succession()
        with self._report.collecting():
            self._judge_rotations()

    def cosigned(self) -> Checkpoint | None:
        """Read the newest checkpoint that met its quorum, which this log must extend; None where there is none."""
        assert self._keys is not None
        if not exists(self._top / "cosigned"):
            return None
        found = self._keys.open(read_whole(self._top / "cosigned", NOTE_MAX, COSIGNED), COSIGNED)
        self._must_extend(found, COSIGNED)
        return found

    def halted(self) -> None:
        """A log that a witness's proof has halted does not extend the checkpoint in `log/halted`."""
        assert self._keys is not None
        if not exists(self._top / "halted"):
            return
        try:
            note = str(json.loads(read_whole(self._top / "halted", NOTE_MAX, HALTED))["checkpoint"])
        except (ValueError, KeyError, TypeError):
            raise VerificationError(HALTED, "a JSON object with a checkpoint", "something else") from None
        self._must_extend(self._keys.open(note.encode("utf-8", "surrogatepass"), HALTED), HALTED)
        self._report.note(f"{HALTED} is there, but this log does extend the checkpoint in it")

    def _must_extend(self, found: Checkpoint, path: str) -> None:
        assert self.checkpoint is not None
        if found.size > self.checkpoint.size and not self.moved():
            raise VerificationError(CHECKPOINT, f"at least the {found.size} entries of {path}", "fewer")
        whole = len(self.hashes) == self.checkpoint.size
        if whole and found.size <= len(self.hashes) and tree.root(self.hashes[: found.size]) != found.root:
            raise VerificationError(path, f"the root of the first {found.size} entries", found.root.hex())

    def _judge_succession(self) -> None:
        assert self.vkey is not None
        assert self.checkpoint is not None
        if len(self.hashes) == self.checkpoint.size:
            told = check_successor(self.vkey.name, self._first, self.hashes)
            if told is not None:
                self._report.note(told)

    def _judge_rotations(self) -> None:
        assert self._keys is not None
        assert self.checkpoint is not None
        if len(self.hashes) != self.checkpoint.size:
            return
        self.rotations = check_rotations(self._rotates, self._keys, self.hashes)
        if self.rotations:
            self._report.count("rotations", len(self.rotations))
        if self.rotations and self.rotations[-1].old == self._keys.current:
            self._report.note("a rotation of the log's key is not finished: start the gateway")

    def _read_checkpoint(self) -> Checkpoint:
        assert self._keys is not None
        return self._keys.open(read_whole(self._top / "checkpoint", NOTE_MAX, CHECKPOINT), CHECKPOINT)

    def _is_still(self, checkpoint: Checkpoint) -> bool:
        try:
            return read_whole(self._top / "checkpoint", NOTE_MAX, CHECKPOINT) == checkpoint.raw
        except VerificationError:
            return True

    def _read_edge(self, size: int) -> None:
        self._edge = {}
        for tile in tiles.edge_of(size):
            try:
                self._edge[tile] = tiles.read_tile(self._top / "tile", tile)
            except VerificationError:
                continue  # read again, and then named, by the scan

    def _read_pending(self) -> Pending | None:
        assert self._keys is not None
        if not exists(self._top / "pending"):
            return None
        try:
            return parse_pending(read_whole(self._top / "pending", PENDING_MAX, PENDING), self._keys)
        except VerificationError as error:
            # A writer may have removed it between the two looks.
            if exists(self._top / "pending"):
                self._report.add(error)
            return None

    def _tile(self, tile: Tile) -> bytes:
        return self._edge[tile] if tile in self._edge else tiles.read_tile(self._top / "tile", tile)

    def _hashes_of_level(self, level: int, size: int) -> Hashes:
        hashes: Hashes = []
        for tile in tiles.tiles_of(size, level):
            got: list[bytes] = []
            with self._report.collecting():
                got = tiles.split_hashes(self._tile(tile), tile)
            hashes += got or [None] * tile.width
            self._report.count("tiles")
        return hashes

    def _entries(self, size: int, stored: Hashes, sink: Sink) -> Hashes:
        """Hash every entry; where a bundle can't be read (and is named), the hash tile's word is taken."""
        derived: Hashes = []
        for tile in tiles.tiles_of(size, tiles.ENTRIES):
            got: list[bytes] = []
            with self._report.collecting():
                got = tiles.split_entries(self._tile(tile), tile)
            start = tile.index * tiles.TILE
            for index, raw in enumerate(got, start):
                derived.append(tree.leaf_hash(raw))
                self._first = raw if index == 0 else self._first
                if MARK in raw:
                    self._rotates.append((index, raw))
                sink(index, raw)
            derived += stored[len(derived) : start + tile.width]
        self._report.count("entries", size)
        return derived

    def _compare_root(self, derived: Hashes, stored: Hashes) -> None:
        """Compare with the signed root; it also tells which side lies where bundle and hash tile differ."""
        assert self.checkpoint is not None
        wanted = self.checkpoint.root
        entries_right, tiles_right = _root(derived) == wanted, _root(stored) == wanted
        for index, (ours, theirs) in enumerate(zip(derived, stored, strict=True)):
            if ours is not None and theirs is not None and ours != theirs:
                self._name_difference(index, ours, theirs, blame_tile=entries_right)
        if not entries_right and not tiles_right:
            root = _root(derived)
            found = "too few entries to derive it" if root is None else f"root {base64.b64encode(root).decode()}"
            expected = f"root {base64.b64encode(wanted).decode()} of {len(derived)} entries"
            self._report.differs(CHECKPOINT, expected, found)

    def _name_difference(self, index: int, ours: bytes, theirs: bytes, *, blame_tile: bool) -> None:
        assert self.checkpoint is not None
        width = min(tiles.TILE, self.checkpoint.size - index // tiles.TILE * tiles.TILE)
        bundle, hashes = (Tile(level, index // tiles.TILE, width).path for level in (tiles.ENTRIES, 0))
        if blame_tile:
            self._report.differs(hashes, f"hash {ours.hex()} of {entry(index)}", theirs.hex())
        else:
            self._report.differs(f"{entry(index)} ({bundle})", f"hash {theirs.hex()} of {hashes}", ours.hex())

    def _upper_levels(self, derived: Hashes) -> None:
        assert self.checkpoint is not None
        below = derived
        self._levels = [derived]
        for level in tiles.levels_of(self.checkpoint.size)[1:]:
            stored = self._hashes_of_level(level, self.checkpoint.size)
            below = _level_above(below)
            self._levels.append(below)
            for tile in tiles.tiles_of(self.checkpoint.size, level):
                span = slice(tile.index * tiles.TILE, tile.index * tiles.TILE + tile.width)
                pairs = zip(below[span], stored[span], strict=True)
                wrong = [i for i, (a, b) in enumerate(pairs) if a is not None and b is not None and a != b]
                if wrong:
                    self._report.differs(tile.path, "the hashes of the tiles below", f"another at {wrong[0]}")

    def _ceiling(self) -> int:
        """Largest size whose tiles may be there by now: a writer may be at work, or have died at it."""
        assert self.checkpoint is not None
        assert self._keys is not None
        sizes = [self.checkpoint.size]
        later = self._read_pending()
        sizes += [pending.checkpoint.size for pending in (self._pending, later) if pending is not None]
        if exists(self._top / "copying"):  # of a copy: the checkpoint that its tiles are being copied for
            with self._report.collecting():
                raw = read_whole(self._top / "copying", NOTE_MAX, COPYING)
                sizes.append(self._keys.open(raw, COPYING).size)
        if self.moved():
            with self._report.collecting():
                self._keys_moved()
                sizes.append(self._read_checkpoint().size)
        return max(sizes)

    def _strays(self) -> None:
        assert self.checkpoint is not None
        with self._report.collecting():
            # Listed before it is looked how far a writer has come: what it wrote by then, it has said by then.
            names = list(walk(self._top / "tile", "log/tile"))
            ceiling = self._ceiling()
            for name in names:
                tile = tiles.parse_name(name)
                if name.endswith((".tmp", ".part")):
                    self._report.note(f"log/tile/{shown(name)}: left by a write that did not end")
                elif tile is None:
                    self._report.differs(f"log/tile/{shown(name)}", "no file of this name", "one")
                else:
                    with self._report.collecting():
                        self._judge_tile(tile, ceiling)

    def _judge_tile(self, tile: Tile, ceiling: int) -> None:
        assert self.checkpoint is not None
        count = tiles.element_count(self.checkpoint.size, tile.level)
        end = tile.index * tiles.TILE + tile.width
        if end > count:
            if end > tiles.element_count(ceiling, tile.level):
                raise VerificationError(tile.path, f"no tile beyond size {ceiling}", "one")
            return
        if tile.width < tiles.TILE and tile not in self._edge:
            self._judge_superseded(tile)

    def _judge_superseded(self, tile: Tile) -> None:
        """An older, narrower partial tile may stay; it must begin as its successor does."""
        try:
            raw = tiles.read_tile(self._top / "tile", tile)
        except VerificationError:
            if exists(self._top / "tile" / tile.name):
                raise
            return
        if tile.level == tiles.ENTRIES:
            got = [tree.leaf_hash(one) for one in tiles.split_entries(raw, tile)]
        else:
            got = tiles.split_hashes(raw, tile)
        self._report.count("superseded_tiles")
        start = tile.index * tiles.TILE
        if got != self._levels[tile.height][start : start + tile.width]:
            raise VerificationError(tile.path, "the beginning of the wider tile", "something else")

    def _judge_pending(self) -> None:
        assert self.checkpoint is not None
        pending = self._pending
        if pending is None or len(self.hashes) != self.checkpoint.size:
            return
        if pending.checkpoint.size < self.checkpoint.size and self._read_pending() != pending:
            return  # it was applied while we read
        with self._report.collecting():
            self._report.note(judge(pending, self.hashes))


def _level_above(hashes: Hashes) -> Hashes:
    rows = [hashes[start : start + tiles.TILE] for start in range(0, len(hashes) - tiles.TILE + 1, tiles.TILE)]
    whole = [[h for h in row if h is not None] for row in rows]
    return [tree.root(row) if len(row) == tiles.TILE else None for row in whole]


def _root(hashes: Hashes) -> bytes | None:
    whole = [h for h in hashes if h is not None]
    return tree.root(whole) if len(whole) == len(hashes) else None
