"""The wrapped keys in a file of their own: one canonical JSON object a line, the last one hashes the rest."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from gateway.crypto.canonical import canonical, parse_canonical
from gateway.crypto.notes import strict_base64
from gateway.errors import VerificationError
from gateway.evidence.log.disk import Disk, fresh
from gateway.store.wrapped import Wrapped

BLANK = 1 << 20


class KeysHead(msgspec.Struct, frozen=True):
    """The first line: which backup of which log's keys, when, how many."""

    keys: str
    origin: str
    at: str
    names: int
    v: int = 1


class KeysFile(msgspec.Struct, frozen=True):
    """A whole file."""

    head: KeysHead
    rows: tuple[Wrapped, ...]

    def without(self, names: Collection[str]) -> KeysFile:
        """The same without these keys."""
        rows = tuple(row for row in self.rows if row.name not in names)
        return KeysFile(msgspec.structs.replace(self.head, names=len(rows)), rows)


def print_keys(file: KeysFile) -> bytes:
    """Print it."""
    lines = [canonical(msgspec.to_builtins(file.head))]
    for row in file.rows:
        sealed = base64.b64encode(row.sealed).decode()
        lines.append(canonical({"name": row.name, "kek": row.kek, "sealed": sealed}))
    above = b"\n".join(lines) + b"\n"
    return above + canonical({"sha256": hashlib.sha256(above).hexdigest()}) + b"\n"


def parse_keys(raw: bytes, name: str) -> KeysFile:
    """Read it; VerificationError where it is not what was written."""
    try:
        return _parsed(raw)
    except (ValueError, KeyError, TypeError) as wrong:
        raise VerificationError(name, "a backup of wrapped keys, as it was written", str(wrong)) from wrong


def read_keys(path: Path) -> KeysFile:
    """Read a file; VerificationError where it is not what was written, OSError where it cannot be read."""
    return parse_keys(path.read_bytes(), str(path))


def _parsed(raw: bytes) -> KeysFile:
    above, _, last = raw.removesuffix(b"\n").rpartition(b"\n")
    if parse_canonical(last) != {"sha256": hashlib.sha256(above + b"\n").hexdigest()}:
        raise ValueError("its last line is not the hash of those above")
    lines = above.split(b"\n")
    head = msgspec.convert(parse_canonical(lines[0]), KeysHead)
    rows = tuple(_row(parse_canonical(line)) for line in lines[1:])
    if head.v != 1 or head.names != len(rows):
        raise ValueError(f"{len(rows)} keys, not {head.names}")
    return KeysFile(head, rows)


def _row(told: dict[str, object]) -> Wrapped:
    return Wrapped(str(told["name"]), str(told["kek"]), strict_base64(str(told["sealed"])))


def put(path: Path, file: KeysFile, disk: Disk) -> None:
    """Write it in the place of what is there, durable on return; what it replaces is overwritten with zeros."""
    disk.prepare(path, print_keys(file))
    old = os.open(path, os.O_WRONLY | os.O_CLOEXEC) if path.exists() else None
    try:
        disk.rename(fresh(path), path)
        disk.fsync(path.parent)
        if old is not None:
            _blank(old)
    finally:
        if old is not None:
            os.close(old)


def remove(path: Path, disk: Disk) -> None:
    """Overwrite a file with zeros and take its name away; one that is gone already is no error."""
    remove_unfinished(path, disk)
    _take_away(path, disk)
    disk.fsync(path.parent)


def remove_unfinished(path: Path, disk: Disk) -> None:
    """What a write that was killed left beside its place holds keys as well."""
    _take_away(fresh(path), disk)


def _take_away(path: Path, disk: Disk) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _blank(descriptor)
    finally:
        os.close(descriptor)
    disk.unlink(path)


def _blank(descriptor: int) -> None:
    """As far as a file system lets anybody: some write elsewhere, and then the key-encryption key is what protects."""
    left, at = os.fstat(descriptor).st_size, 0
    while at < left:
        at += os.pwrite(descriptor, bytes(min(BLANK, left - at)), at)
    os.fsync(descriptor)


def names_of(rows: Iterable[Wrapped]) -> set[str]:
    """The names of these keys."""
    return {row.name for row in rows}
