"""The log at one moment, taken under its lock: what the checkpoint covers is what a backup holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.errors import ConfigError, IntegrityError
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.tiles import ENTRIES, WIDTH, levels, tile_path, tile_width
from gateway.evidence.log.writer import LogWriter
from gateway.evidence.succession import Nobody

SMALL = ("log.vkey", "keys.jsonl", "checkpoint", "cosigned", "halted")
ENDED = frozenset({"key_destroy", "dispose"})


class Wanted(msgspec.Struct):
    """What the log says must be in the vault."""

    blobs: dict[str, tuple[str, str]] = {}
    """blob id: (exhibit, SHA-256 of the age file)"""
    thumbnails: dict[str, str] = {}
    """exhibit: SHA-256 of its thumbnail's age file"""
    ended: set[str] = set()
    """exhibits whose key is destroyed, or that are disposed of"""
    exhibits: int = 0


class Moment(msgspec.Struct, frozen=True):
    """The log as it was: its small files, its edge, and how far each file of details counts."""

    key: VerifierKey
    checkpoint: Checkpoint
    small: dict[str, bytes]
    details: dict[str, int]

    def full_tiles(self) -> Iterator[str]:
        """Every full tile below this checkpoint, by its path below `log/`."""
        size = self.checkpoint.size
        for level in range(levels(size)):
            for number in range((size >> (8 * level)) // WIDTH):
                yield tile_path(level, number)
                if level == 0:
                    yield tile_path(ENTRIES, number)


def moment(evidence: Path) -> Moment:
    """Take the moment; writers wait for it as for one batch. ConfigError where there is no log."""
    log = evidence / "log"
    try:
        key = parse_vkey((log / "log.vkey").read_text("utf-8").strip())
    except (OSError, ValueError) as wrong:
        raise ConfigError("", f"there is no log here: {wrong}", str(log / "log.vkey")) from wrong
    writer = LogWriter(log, key.name, Nobody(key.public), Disk())
    with writer.locked():
        small = {f"log/{name}": (log / name).read_bytes() for name in SMALL if (log / name).exists()}
        try:
            found = writer.known.open(small.get("log/checkpoint", b""))
        except ValueError as wrong:
            raise IntegrityError(f"{log / 'checkpoint'}: {wrong}") from wrong
        for path in _edge(found.size):
            small[f"log/{path}"] = _read_edge(log, path)
        lengths = {path.name: path.stat().st_size for path in sorted((evidence / "details").glob("*.dtl"))}
    return Moment(key, found, small, lengths)


def _edge(size: int) -> Iterator[str]:
    for level in range(levels(size)):
        number = (size >> (8 * level)) // WIDTH
        width = tile_width(level, number, size)
        if width:
            yield tile_path(level, number, width)
        if width and level == 0:
            yield tile_path(ENTRIES, number, width)


def _read_edge(log: Path, path: str) -> bytes:
    """A partial tile; where a batch that was not published filled it meanwhile, it is the beginning of the full one."""
    try:
        return (log / path).read_bytes()
    except FileNotFoundError as wrong:
        raise IntegrityError(f"log/{path} is missing") from wrong


def wanted(evidence: Path, size: int) -> Wanted:
    """Read the first entries of the log: which blobs and thumbnails there have to be."""
    found, sealed = Wanted(), dict[str, tuple[str, str]]()
    seen: set[str] = set()
    for _, raw in TileReader(evidence / "log").leaves(0, size):
        leaf = json.loads(raw)
        exhibit = leaf.get("exhibit")
        if exhibit is None:
            continue
        seen.add(exhibit)
        if leaf["kind"] == "seal":
            sealed[exhibit] = (str(leaf["blob"]), str(leaf["blob_sha256"]))
        if leaf["kind"] in ENDED:
            found.ended.add(exhibit)
        if leaf["kind"] == "derive" and leaf.get("what") == "media":
            found.thumbnails.pop(exhibit, None)
            if isinstance(leaf.get("thumbnail"), str):
                found.thumbnails[exhibit] = leaf["thumbnail"]
    kept = {exhibit: told for exhibit, told in sealed.items() if exhibit not in found.ended}
    found.blobs = {blob: (exhibit, sha256) for exhibit, (blob, sha256) in kept.items()}
    found.thumbnails = {name: sha256 for name, sha256 in found.thumbnails.items() if name not in found.ended}
    found.exhibits = len(seen)
    return found
