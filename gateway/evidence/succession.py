"""A successor for a log that a witness has seen more of than there is (docs/formats.md, "Successor").

The successor is a log of its own under the next origin. Its entry 0 names the old origin, the surviving and the
witnessed checkpoint and the missing indexes; behind it come the surviving entries, byte for byte, so that chains,
details and hashes stay what they were and the old root can be made again from the new log alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.domain.evidence import Act
from gateway.errors import ConfigError, IntegrityError
from gateway.evidence.batches import compose_alone
from gateway.evidence.details import Details
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.generations import generation_of, successor_of
from gateway.evidence.log.merkle import root
from gateway.evidence.log.witnessed import Halt, halt, halted, read_cosigned
from gateway.evidence.log.writer import LogWriter, Signers
from gateway.ports import Clock

KIND = "successor"
BATCH = 4096
Plugs = tuple[Details, Callable[[], None]]


class Former(msgspec.Struct, frozen=True):
    """The log that is succeeded: its key, what survives of it, and what a witness saw."""

    key: VerifierKey
    surviving: Checkpoint
    surviving_note: str
    witnessed_note: str
    agreed: int
    missing: tuple[tuple[int, int], ...]
    witnessed_key: VerifierKey | None = None
    key_lost: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """What entry 0 of the successor says in clear."""
        other = {} if self.witnessed_key is None else {"witnessed_vkey": str(self.witnessed_key)}
        return {
            "former": {
                "origin": self.key.name,
                "vkey": str(self.key),
                "surviving": self.surviving_note,
                "witnessed": self.witnessed_note or None,
                "agreed": self.agreed,
                "missing": [list(span) for span in self.missing],
                **other,
            }
        }


class Begun(msgspec.Struct, frozen=True):
    """The successor: its verifier key, and what it could not take over."""

    vkey: str
    origin: str
    former: str
    surviving: int
    missing: tuple[tuple[int, int], ...]


def former_of(writer: LogWriter, witnessed: str, unproven_size: int | None) -> Former:
    """What entry 0 has to say; ConfigError where nothing contradicts the log as it is. Wants the writer's lock."""
    writer.refresh(even_halted=True)
    writer.recover()
    writer.clear()
    head, key = writer.head, writer.key
    witnessed_key = key
    cosigned = read_cosigned(writer.directory, key)
    agreed = 0 if cosigned is None else min(cosigned.size, head.edge.size)
    if unproven_size is not None:
        seen_size, contradicts = unproven_size, unproven_size > head.edge.size
    else:
        seen, witnessed_key = _shown(writer, witnessed)
        seen_size = seen.size
        contradicts = seen.size > head.edge.size or root(seen.size, writer.tiles.node(head.edge.size)) != seen.root
    if not contradicts:
        raise ConfigError("", f"the log of {head.edge.size} entries agrees with what a witness saw ({seen_size})")
    begin = head.edge.size if seen_size > head.edge.size else min(agreed, seen_size)
    surviving = Checkpoint(key.name, head.edge.size, head.edge.root())
    spans = ((begin, seen_size),)
    return Former(key, surviving, head.note, witnessed, agreed, spans, None if witnessed_key == key else witnessed_key)


def former_without_key(writer: LogWriter) -> Former:
    """What entry 0 has to say of a log whose private key is lost: it is whole, and signs no more. Wants its lock."""
    writer.refresh(even_halted=True)
    writer.recover()
    writer.clear()
    head, cosigned = writer.head, read_cosigned(writer.directory, writer.key)
    surviving = Checkpoint(writer.key.name, head.edge.size, head.edge.root())
    agreed = 0 if cosigned is None else cosigned.size
    return Former(writer.key, surviving, head.note, "", agreed, (), key_lost=True)


def succeed(evidence: Path, signer: Signers, plugs: Plugs, act: tuple[Act, Clock, str], former: Former) -> Begun:
    """Write the successor beside the old log and put it in its place; may be called again after a crash.

    plugs are the details and what empties the catalogue, act is (the act without its facts, the clock, the build).
    """
    details, forget_catalogue = plugs
    disk = Disk()
    if halted(evidence / "log") is None:  # whatever happens from here on, the old one signs nothing
        halt(evidence / "log", Halt("succeeded", "", former.witnessed_note), disk)
    fresh = evidence / "log.next"
    if fresh.exists():
        shutil.rmtree(fresh)
    composed = compose_alone(msgspec.structs.replace(act[0], facts=former.facts), act[1].now().utc, act[2])
    details.append([composed])
    own = signer if former.key_lost else signer.of((former.witnessed_key or former.key).public)
    if own is None:
        raise ConfigError("log.signer", f"there is no private key of {former.witnessed_key or former.key} here")
    writer = LogWriter(fresh, successor_of(former.key.name), own, disk)
    with writer.locked():
        writer.begin()
        _append(writer, [composed.leaf])
        _copy(evidence / "log", former, writer)
    forget_catalogue()  # before the swap: indexes move by one, and nothing may be applied on top of the old ones
    finish(evidence, former.key.name, disk)
    return Begun(str(writer.key), writer.key.name, former.key.name, former.surviving.size, former.missing)


def finish(evidence: Path, old_origin: str, disk: Disk) -> None:
    """Move the old log to `former/<generation>` and the successor into its place; goes on after a crash between."""
    old = evidence / "former" / str(generation_of(old_origin)[1])
    disk.ensure(old.parent)
    if _is_log(evidence / "log"):
        disk.rename(evidence / "log", old)
    elif (evidence / "log").exists():
        shutil.rmtree(evidence / "log")  # a start in between found no log, and left its lock
    disk.fsync(old.parent)
    disk.rename(evidence / "log.next", evidence / "log")
    disk.fsync(evidence)


def interrupted(evidence: Path) -> str | None:
    """The old origin of a succession that stopped between its two renames; None where there is none."""
    if _is_log(evidence / "log") or not _is_log(evidence / "log.next"):
        return None
    first, number = generation_of(parse_vkey((evidence / "log.next" / "log.vkey").read_text("utf-8").strip()).name)
    return first if number == 2 else f"{first}/g{number - 1}"


def _is_log(folder: Path) -> bool:
    return (folder / "checkpoint").exists() and (folder / "log.vkey").exists()


def _copy(old: Path, former: Former, writer: LogWriter) -> None:
    """Every surviving entry, in order; the old root comes out again, or it is not what was signed."""
    source = LogWriter(old, former.key.name, Nobody(former.key.public), Disk())
    batch: list[bytes] = []
    for _, leaf in source.tiles.leaves(0, former.surviving.size):
        batch.append(leaf)
        if len(batch) == BATCH:
            _append(writer, batch)
            batch = []
    if batch:
        _append(writer, batch)
    size = writer.head.edge.size
    if size != former.surviving.size + 1:
        raise IntegrityError(f"{size - 1} entries were taken over of {former.surviving.size}")


def _append(writer: LogWriter, leaves: list[bytes]) -> None:
    before = writer.head.edge.size
    writer.append(leaves)
    writer.clear()
    writer.prune(before)


def _shown(writer: LogWriter, note: str) -> tuple[Checkpoint, VerifierKey]:
    try:
        return writer.known.shown(note.encode())
    except ValueError as wrong:
        raise ConfigError("checkpoint", f"is not one of this log: {wrong}") from wrong


class Nobody:
    """A signer for reading: it signs nothing."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    def of(self, public: bytes) -> Nobody | None:
        """Itself, where it is asked for."""
        return self if public == self.public else None

    def still(self, public: bytes) -> Nobody | None:
        """The same."""
        return self.of(public)

    def publics(self) -> list[bytes]:
        """The one."""
        return [self.public]

    def sign(self, message: bytes) -> bytes:
        """Refuse."""
        raise IntegrityError(f"a log that is read must not sign {len(message)} bytes")
