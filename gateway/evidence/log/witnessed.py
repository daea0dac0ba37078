"""What the log keeps of its witnesses: `log/cosigned`, and `log/halted` once it contradicts what they saw.

`cosigned` is the newest checkpoint that met the quorum, with the cosignatures. `halted` says that this log must not
sign any more: it was rolled back or forked, and holds the checkpoint that proves it.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from gateway.crypto.canonical import canonical
from gateway.crypto.notes import VerifierKey
from gateway.errors import IntegrityError
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.known_keys import KnownKeys

COSIGNED, HALTED = "cosigned", "halted"


class Cosigned(msgspec.Struct, frozen=True):
    """A checkpoint with its cosignatures."""

    note: str
    head: Checkpoint

    @property
    def size(self) -> int:
        """How many entries it covers."""
        return self.head.size


class Halt(msgspec.Struct, frozen=True):
    """Why a log must not sign any more, and the checkpoint of its own that says so (empty: the witness tells none)."""

    problem: str
    witness: str
    checkpoint: str


def read_cosigned(log: Path, key: VerifierKey) -> Cosigned | None:
    """The newest checkpoint that met the quorum; IntegrityError where the file is not what was written."""
    try:
        raw = (log / COSIGNED).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return Cosigned(raw.decode(), KnownKeys(log, key).open(raw))
    except ValueError as problem:
        raise IntegrityError(f"{log / COSIGNED}: {problem}") from problem


def keep_cosigned(log: Path, note: str, disk: Disk) -> None:
    """Replace the newest; durable on return."""
    disk.replace(log / COSIGNED, note.encode())


def halt(log: Path, why: Halt, disk: Disk) -> None:
    """Stop this log for good, for every process; durable on return. Of several reasons the largest checkpoint stays."""
    known = halted(log)
    if known is None or _size(known) < _size(why):
        told = {"v": 1, "problem": why.problem, "witness": why.witness, "checkpoint": why.checkpoint}
        disk.replace(log / HALTED, canonical(told) + b"\n")


def _size(why: Halt) -> int:
    lines = why.checkpoint.split("\n")
    return int(lines[1]) if len(lines) > 2 and lines[1].isdigit() else -1


def halted(log: Path) -> Halt | None:
    """Why this log must not sign; None while it may."""
    try:
        raw = (log / HALTED).read_bytes()
    except FileNotFoundError:
        return None
    try:
        told = json.loads(raw)
        return Halt(str(told["problem"]), str(told["witness"]), str(told["checkpoint"]))
    except (ValueError, KeyError, TypeError):
        return Halt(f"{log / HALTED} cannot be read", "", "")


def refuse_if_halted(log: Path) -> None:
    """IntegrityError where this log must not sign any more."""
    why = halted(log)
    if why is not None:
        raise IntegrityError(f"the log is halted: {why.problem} (witness {why.witness}; `lapel log recover`)")
