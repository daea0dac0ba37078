"""One look at a log: its checkpoint against the last one remembered, and everything between the two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.monitor.frontier import Frontier, Growing
from gateway.evidence.monitor.items import Item, differs, step
from gateway.evidence.monitor.keys import Trusted
from gateway.evidence.verify import tiles, tree
from gateway.evidence.verify.cosignatures import cosigned_at
from gateway.evidence.verify.leaves import parse_leaf
from gateway.evidence.verify.notes import Checkpoint, Vkey, parse_note
from gateway.evidence.verify.rotations import MARK, Rotation, rotation_in
from gateway.evidence.verify.tiles import TILE, Tile

FORK, ROLLBACK, INCONSISTENT, UNSIGNED = "fork", "rollback", "inconsistent", "unsigned"
TILES, ENTRY, CATALOGUE = "tile_differs", "entry_differs", "catalogue_differs"
PROOFS = frozenset({FORK, ROLLBACK, INCONSISTENT})


class Source(Protocol):
    """Where a log is read; LinkError where it does not answer."""

    async def read(self, path: str) -> bytes | None:
        """A file below the log (`checkpoint`, `cosigned`, `tile/…`); None where there is none."""
        ...


class Alarm(msgspec.Struct, frozen=True):
    """Something is wrong; with integrity, the log is not what it was or says."""

    kind: str
    problem: str
    integrity: bool = True


class Memory(msgspec.Struct, frozen=True):
    """What is remembered of a log: the checkpoint accepted last, the tree's edge, and who had cosigned how much."""

    note: str = ""
    frontier: Frontier = Frontier()
    cosigned: int = 0
    behind_since_s: float | None = None
    rotations: tuple[str, ...] = ()
    """Statements by which the log's key changed, as its entries have them, oldest first."""


class Witnesses(msgspec.Struct, frozen=True):
    """Keys of witnesses by operator, how many operators must have cosigned, and how long that may take."""

    keys: tuple[tuple[str, Vkey], ...] = ()
    quorum: int = 0
    patience_s: float = 300.0


class Seen(msgspec.Struct):
    """What one look brought: what to remember, which items changed, alarms, and what proves them."""

    memory: Memory
    items: dict[str, Item] = {}
    alarms: list[Alarm] = []
    shown: str = ""
    entries: int = 0
    rotated: list[Rotation] = []


class Items(Protocol):
    """The items as remembered."""

    def item(self, exhibit: str) -> Item | None:
        """One of them; None where there is none."""
        ...


class Look:
    """One look."""

    def __init__(self, keys: Sequence[Vkey], witnesses: Witnesses, source: Source, known: tuple[Memory, Items]) -> None:
        self._witnesses, self._source = witnesses, source
        self._memory, self._items = known
        self._trusted = Trusted.remembered(keys, self._memory.rotations)
        self._found: dict[int, Rotation] = {}
        self.seen = Seen(self._memory)

    async def run(self, now_s: float) -> Seen:
        """Do it; LinkError where the log does not answer."""
        raw = await self._source.read("checkpoint")
        if raw is None:
            self._alarm(UNSIGNED, "there is no checkpoint")
            return self.seen
        self.seen.shown = raw.decode("utf-8", "replace")
        try:
            head = await self._opened(raw)
        except VerificationError as wrong:
            self._alarm(UNSIGNED, str(wrong))
            return self.seen
        await self._judge(head)
        self._judge_key(raw)
        if not any(alarm.kind in PROOFS for alarm in self.seen.alarms):
            await self._judge_witnesses(head, now_s)
        return self.seen

    def _alarm(self, kind: str, problem: str, *, integrity: bool = True) -> None:
        self.seen.alarms.append(Alarm(kind, problem, integrity))

    async def _opened(self, raw: bytes) -> Checkpoint:
        """By the key that counts, or one that the log says it was rotated to: believed only once that was read."""
        try:
            return self._trusted.open(raw)
        except VerificationError:
            told = await self._source.read("rotations") or await self._source.read("keys.jsonl")
            return self._trusted.hinted(told).open(raw)

    def _judge_key(self, raw: bytes) -> None:
        """What no alarm stands against yet must be signed by a key that the entries read so far lead to."""
        if self.seen.alarms:
            return
        try:
            self._trusted.open(raw)
        except VerificationError as wrong:
            self._alarm(UNSIGNED, str(wrong))
            self.seen.memory = self._memory

    async def _judge(self, head: Checkpoint) -> None:
        known = self._memory.frontier
        if self._memory.note and _origin(self._memory.note) != head.origin:
            self._alarm(FORK, f"{head.origin} where {_origin(self._memory.note)} was")
        elif head.size < known.size:
            self._alarm(ROLLBACK, f"{head.size} entries, it had {known.size}")
        elif head.size == known.size and head.root != known.root():
            self._alarm(FORK, f"another root of the same {head.size} entries")
        elif head.size > known.size:
            await self._follow(head)
        elif not self._memory.note:
            self.seen.memory = Memory(self.seen.shown)

    async def _follow(self, head: Checkpoint) -> None:
        """Read all that is new, and accept the checkpoint only where it signs that, behind what is known."""
        try:
            growing = await self._grown(head.size)
        except VerificationError as wrong:
            self._alarm(TILES, str(wrong))
            return
        if growing.frontier.root() != head.root:
            self.seen.items = {}
            self._alarm(INCONSISTENT, f"{head.size} entries that do not extend the {self._memory.frontier.size} known")
            return
        try:
            trusted = self._trusted.followed(list(self._found.values()))
            trusted.open(self.seen.shown.encode())
        except VerificationError as wrong:
            self.seen.items = {}
            self._alarm(UNSIGNED, str(wrong))
            return
        self._trusted, self.seen.rotated = trusted, list(self._found.values())
        await self._upper(growing, head.size)
        self.seen.entries = head.size - self._memory.frontier.size
        accepted = {"note": self.seen.shown, "frontier": growing.frontier, "rotations": trusted.notes}
        self.seen.memory = msgspec.structs.replace(self._memory, **accepted)

    async def _grown(self, size: int) -> Growing:
        known = self._memory.frontier
        growing = Growing(known)
        for tile in tiles.tiles_of(size, 0):
            if (tile.index + 1) * TILE <= known.size:
                continue
            start = max(known.size - tile.index * TILE, 0)
            hashes = tiles.split_hashes(await self._tile(tile), tile)
            if start:
                self._compare_edge(tile, hashes[:start])
            await self._leaves(tile, hashes, start)
            for place, leaf in enumerate(hashes[start:], start):
                self._check_place(tile.index * TILE + place, growing.frontier)
                growing.add(leaf)
        return growing

    def _check_place(self, index: int, frontier: Frontier) -> None:
        """A rotation hands over the very log that stands before it."""
        rotation = self._found.get(index)
        if rotation is not None and (rotation.size, rotation.root) != (index, frontier.root()):
            self._alarm(ENTRY, f"entry {index}: a rotation of another log than the {index} entries before it")
            del self._found[index]

    def _compare_edge(self, tile: Tile, before: list[bytes]) -> None:
        """The part of a tile that was there already must be as it was."""
        growing = Growing(Frontier())
        for leaf in before:
            growing.add(leaf)
        if growing.frontier.peaks != self._memory.frontier.below(8):
            raise VerificationError(tile.path, "the hashes that it had", "others")

    async def _leaves(self, tile: Tile, hashes: list[bytes], start: int) -> None:
        """The entries themselves: hashed, parsed, each on its exhibit's chain."""
        bundle = msgspec.structs.replace(tile, level=tiles.ENTRIES)
        leaves = tiles.split_entries(await self._tile(bundle), bundle)
        for place in range(start, tile.width):
            index = tile.index * TILE + place
            if tree.leaf_hash(leaves[place]) != hashes[place]:
                raise VerificationError(bundle.path, f"entry {index} of hash {hashes[place].hex()}", "another")
            self._take(leaves[place], index)

    def _take(self, raw: bytes, index: int) -> None:
        """An entry that is signed, and yet not one that belongs there, is an alarm; the tree stands."""
        try:
            leaf = parse_leaf(raw, index)
            self._take_rotation(raw, index)
        except VerificationError as wrong:
            self._alarm(ENTRY, str(wrong))
            return
        if leaf.exhibit is None or leaf.n is None:
            return
        before = self.seen.items.get(leaf.exhibit) or self._items.item(leaf.exhibit)
        try:
            self.seen.items[leaf.exhibit] = step(before, leaf)
        except ValueError as wrong:
            self._alarm(ENTRY, str(wrong))  # said once: the chain goes on from there
            mended = msgspec.structs.replace(before or Item(0, ""), n=leaf.n - 1, prev=leaf.prev or "")
            self.seen.items[leaf.exhibit] = step(mended, leaf)

    def _take_rotation(self, raw: bytes, index: int) -> None:
        """Of this log's key: the entry of a successor may tell of its predecessor's."""
        found = rotation_in(index, raw) if MARK in raw else None
        if found is not None and found[1].old.name == _origin(self.seen.shown):
            self._found[index] = found[1]

    async def _upper(self, growing: Growing, size: int) -> None:
        """Tiles above the lowest: each subtree that became complete stands in its place."""
        kept: dict[tuple[int, int], list[bytes]] = {}
        for level, index, expected in growing.complete:
            number, place = divmod(index, TILE)
            width = min(TILE, tiles.element_count(size, level) - number * TILE)
            tile = Tile(level, number, width)
            try:
                if (level, number) not in kept:
                    kept[level, number] = tiles.split_hashes(await self._tile(tile), tile)
                if kept[level, number][place] != expected:
                    raise VerificationError(tile.path, f"hash {expected.hex()} at {place}", "another")  # noqa: TRY301
            except VerificationError as wrong:
                self._alarm(TILES, str(wrong))

    async def _tile(self, tile: Tile) -> bytes:
        for name in (tile.name, msgspec.structs.replace(tile, width=TILE).name):
            found = await self._source.read(f"tile/{name}")
            if found is not None:
                return _cut(found, tile)
        raise VerificationError(tile.path, "a tile", "none")

    async def _judge_witnesses(self, head: Checkpoint, now_s: float) -> None:
        """How far the quorum has cosigned: the checkpoint as served, or the newest that the log kept with its lines."""
        wanted, memory = self._witnesses, self.seen.memory
        if not wanted.quorum:
            return
        sizes = [memory.cosigned]
        for raw in (self.seen.shown.encode(), await self._source.read("cosigned")):
            size = None if raw is None else self._cosigned(raw, head)
            sizes += [] if size is None else [size]
        cosigned = max(sizes)
        behind = cosigned < head.size
        since = (memory.behind_since_s if memory.behind_since_s is not None else now_s) if behind else None
        if since is not None and now_s - since > wanted.patience_s:
            self._alarm("quorum", f"{cosigned} of {head.size} entries cosigned by {wanted.quorum}", integrity=False)
        self.seen.memory = msgspec.structs.replace(memory, cosigned=cosigned, behind_since_s=since)

    def _cosigned(self, raw: bytes, head: Checkpoint) -> int | None:
        """Size of this checkpoint where it is of this log, no longer than it, and enough operators cosigned it."""
        try:
            found, note = self._trusted.open(raw), parse_note(raw, "cosigned")
        except VerificationError:
            return None
        operators = {operator for operator, key in self._witnesses.keys if _has(note, key)}
        if found.size == head.size and found.root != head.root:
            self._alarm(FORK, f"witnesses cosigned another root of {found.size} entries")
        return found.size if len(operators) >= self._witnesses.quorum and found.size <= head.size else None


def _has(note: object, key: Vkey) -> bool:
    try:
        return cosigned_at(note, key, "cosigned") > 0  # type: ignore[arg-type]  # a note, as parsed
    except VerificationError:
        return False


def _cut(raw: bytes, tile: Tile) -> bytes:
    """As much of a wider tile as this one has."""
    if tile.level != tiles.ENTRIES:
        return raw[: tile.width * tiles.HASH]
    at = 0
    for _ in range(tile.width):
        at += 2 + int.from_bytes(raw[at : at + 2], "big")
    return raw[:at]


def _origin(note: str) -> str:
    return note.split("\n", 1)[0]


def compare(items: Mapping[str, Item], rows: Mapping[str, dict[str, object]]) -> list[Alarm]:
    """The catalogue against the items, both of the same size of the log."""
    found = []
    for name in sorted(items.keys() | rows.keys()):
        if name not in rows or name not in items:
            found.append(Alarm(CATALOGUE, f"{name}: in the {'log' if name in items else 'catalogue'} alone"))
        elif wrong := differs(items[name], rows[name]):
            found.append(Alarm(CATALOGUE, f"{name}: {', '.join(wrong)} is not what the log says"))
    return found
