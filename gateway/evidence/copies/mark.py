"""copy.json, the mark of a second place: whose copy it is. A place without one, or with another's, is not touched."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from gateway.crypto.canonical import canonical
from gateway.crypto.notes import VerifierKey
from gateway.evidence.copies.transfer import PART, CopyError, read_small, write_whole
from gateway.evidence.log.generations import generation_of
from gateway.evidence.vault.files import Files

MARK = "copy.json"
KNOWN = "copies.json"
LOCK = "gateway.lock"
EMPTY = frozenset({"lost+found", MARK + PART, LOCK})
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class AwayError(CopyError):
    """The place is not there now."""


class Mark(msgspec.Struct, frozen=True):
    """A place's own id, and whose copy it is: the log's first origin, its key id (hex) and its public key (hex)."""

    id: str
    origin: str
    key_id: str
    public: str
    v: int = 1

    def is_of(self, key: VerifierKey) -> bool:
        """Whether it is a copy of this log or of one that it succeeds."""
        return (self.origin, self.public) == (generation_of(key.name)[0], key.public.hex())


class Known(msgspec.Struct, frozen=True):
    """Which copy lay at which path when it was last seen."""

    places: dict[str, str]
    v: int = 1


def fresh_mark(key: VerifierKey, at: datetime) -> Mark:
    """A new place's mark: `C-` and twelve letters, seven of the time and five at random."""
    number = (int(at.timestamp()) << 25 | secrets.randbits(25)) & ((1 << 60) - 1)
    name = "C-" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(55, -1, -5))
    first = VerifierKey(generation_of(key.name)[0], key.public)
    return Mark(name, first.name, first.key_id.hex(), first.public.hex())


def read_mark(place: Path) -> Mark | None:
    """A place's mark; None where it has none. CopyError where it cannot be read."""
    raw = read_small(place / MARK)
    if raw is None:
        return None
    try:
        return msgspec.json.decode(raw, type=Mark)
    except msgspec.MsgspecError as wrong:
        raise CopyError(f"{place / MARK} is not a copy's mark: {wrong}") from wrong


def write_mark(place: Path, mark: Mark, files: Files) -> None:
    """Mark an empty place; durable on return."""
    write_whole(files, place / MARK, canonical(msgspec.to_builtins(mark)) + b"\n", place)


def is_empty(place: Path) -> bool:
    """Whether nothing lies there but what a new file system, or an attempt that died, leaves."""
    return {each.name for each in place.iterdir()} <= EMPTY


def known_places(evidence: Path) -> dict[str, str]:
    """The id that each place had when it was last seen, by its path: so that an empty mount point is not taken."""
    raw = read_small(evidence / KNOWN)
    try:
        return {} if raw is None else msgspec.json.decode(raw, type=Known).places
    except msgspec.MsgspecError:
        return {}  # it protects, and is no evidence: seen again, it is written again


def remember_place(evidence: Path, place: Path, mark: Mark | None, files: Files) -> None:
    """Remember which copy lies at a path, or (None) forget it."""
    known = known_places(evidence)
    wanted = {path: name for path, name in known.items() if path != str(place)}
    wanted |= {} if mark is None else {str(place): mark.id}
    if wanted != known:
        write_whole(files, evidence / KNOWN, canonical({"v": 1, "places": wanted}) + b"\n", evidence)


@contextmanager
def claimed(place: Path) -> Iterator[None]:
    """Hold the place's gateway.lock: a gateway that has taken it over as its own store keeps us out, and we it."""
    descriptor = os.open(place / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise CopyError(f"{place}: another process uses it: a gateway runs on it, or copies to it") from taken
        yield
    finally:
        os.close(descriptor)
