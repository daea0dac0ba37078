"""The verifier keys of one log: `log.vkey` is the one that counts, `keys.jsonl` how it came to it.

A rotation's entry is at index n: checkpoints up to n entries are the old key's, the one over n + 1 bears both
signatures, larger ones are the new key's. So an old key that leaks is worth nothing beyond n.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from gateway.crypto.canonical import canonical
from gateway.crypto.notes import VerifierKey, parse_note, parse_vkey
from gateway.errors import IntegrityError
from gateway.evidence.log.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.rotation import Rotation, open_rotation

VKEY, CHAIN = "log.vkey", "keys.jsonl"


class Line(msgspec.Struct, frozen=True):
    """One line of `keys.jsonl`."""

    v: int
    note: str


class KnownKeys:
    """As far as they were read; a checkpoint that does not open makes it look again, since another process rotates."""

    def __init__(self, log: Path, otherwise: VerifierKey, kept: Callable[[], Iterable[bytes]] = tuple) -> None:
        """Where there is no key of that origin on disk, the one given counts; kept are ours, whatever the log knows."""
        self._log, self._otherwise, self._kept = log, otherwise, kept
        self.current = otherwise
        self.notes: tuple[str, ...] = ()
        self.rotations: tuple[Rotation, ...] = ()

    def reload(self) -> bool:
        """Read both files; whether anything is new. IntegrityError where the chain is not what was written."""
        before = (self.current, self.notes)
        self.current = self._vkey()  # first: the chain is written before it
        chain = [(note, _opened(note, self._log / CHAIN)) for note in read_chain(self._log)]
        led: list[tuple[str, Rotation]] = []
        key = self.current
        for note, rotation in reversed(chain):
            if rotation.new == key:
                led, key = [(note, rotation), *led], rotation.old
        self.notes, self.rotations = tuple(note for note, _ in led), tuple(rotation for _, rotation in led)
        return before != (self.current, self.notes)

    def at(self, size: int) -> VerifierKey:
        """Whose signature counts on a checkpoint of that size."""
        return next((rotation.old for rotation in self.rotations if size <= rotation.size), self.current)

    def open(self, raw: bytes) -> Checkpoint:
        """Verify a checkpoint of this log; ValueError otherwise."""
        try:
            return self._open(raw)
        except ValueError:
            if not self.reload():
                raise
            return self._open(raw)

    def shown(self, raw: bytes) -> tuple[Checkpoint, VerifierKey]:
        """Verify a checkpoint that somebody shows us, and whose it is; ValueError otherwise.

        A store from before a rotation does not know the key any more that signed it; the keys directory does.
        """
        try:
            found = self.open(raw)
            return found, self.at(found.size)
        except ValueError as unknown:
            keys = [VerifierKey(self.current.name, public) for public in self._kept()]
            for key in keys:
                with contextlib.suppress(ValueError):
                    return open_checkpoint(raw, key), key
            raise ValueError(str(unknown)) from unknown

    def turn(self, note: str, disk: Disk) -> None:
        """Make the new key of a rotation the one that counts: the chain first, then the key; may be done again."""
        lines = read_chain(self._log)
        if note not in lines:
            chain = b"".join(canonical({"v": 1, "note": each}) + b"\n" for each in [*lines, note])
            disk.replace(self._log / CHAIN, chain)
        disk.replace(self._log / VKEY, f"{open_rotation(note).new}\n".encode())
        self.reload()

    def _open(self, raw: bytes) -> Checkpoint:
        return open_checkpoint(raw, self.at(parse_checkpoint(parse_note(raw).text).size))

    def _vkey(self) -> VerifierKey:
        try:
            found = parse_vkey((self._log / VKEY).read_text("utf-8").removesuffix("\n"))
        except (OSError, ValueError):
            return self._otherwise
        return found if found.name == self._otherwise.name else self._otherwise


def read_chain(log: Path) -> list[str]:
    """The notes of `keys.jsonl`, oldest first; IntegrityError where it is not what was written."""
    path = log / CHAIN
    try:
        return [msgspec.json.decode(line, type=Line).note for line in path.read_bytes().splitlines()]
    except FileNotFoundError:
        return []
    except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
        raise IntegrityError(f"{path}: {problem}") from problem


def _opened(note: str, path: Path) -> Rotation:
    try:
        return open_rotation(note)
    except ValueError as problem:
        raise IntegrityError(f"{path}: {problem}") from problem
