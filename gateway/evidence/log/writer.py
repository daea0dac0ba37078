"""The log's writer: each batch is staged, committed, then applied by the code that recovery uses.

Order (docs/formats.md, "log"): pending renamed into place is the commit; tiles; checkpoint;
[the caller's catalogue]; pending removed. A failure before the new checkpoint has its name
takes the batch back; from there on it can only go forward.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from gateway.crypto.canonical import parse_canonical
from gateway.crypto.notes import Signer, VerifierKey, strict_base64
from gateway.errors import IntegrityError, StoreBusyError
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.disk import Disk, fresh
from gateway.evidence.log.known_keys import KnownKeys
from gateway.evidence.log.merkle import leaf_hash
from gateway.evidence.log.merkle import root as tree_root
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.rotation import Rotation, open_rotation
from gateway.evidence.log.tiles import ENTRIES, WIDTH, Edge, Growth, grow, pack_entry, tile_path, tile_width
from gateway.evidence.log.witnessed import refuse_if_halted

LOCK_PATIENCE_S = 30.0
LOCK_PAUSE_S = 0.002
PENDING_VERSION = 1
ROTATES = b'"kind":"key_rotate"'


class Signers(Signer, Protocol):
    """The log's private keys: as a signer the newest one, which begins a new log; `of` finds each by its public key."""

    def of(self, public: bytes) -> Signers | None:
        """The signer of a public key; None where there is none."""
        ...

    def still(self, public: bytes) -> Signer | None:
        """As `of`, but not once its private key was destroyed."""
        ...

    def publics(self) -> list[bytes]:
        """Every public key whose private key is kept here."""
        ...


class Staged(msgspec.Struct, frozen=True):
    """A batch between commit and removal of `pending`."""

    old_size: int
    leaves: tuple[bytes, ...]
    checkpoint: str


class Head(msgspec.Struct, frozen=True):
    """The published tree: its signed note, its edge, and the leaves of its newest bundle."""

    note: str
    edge: Edge
    tail: tuple[bytes, ...]


class LogWriter:
    """One log directory. Every method but `locked` and `head` wants the lock."""

    def __init__(self, directory: Path, origin: str, signers: Signers, disk: Disk) -> None:
        self.directory, self.disk = directory, disk
        self.known = KnownKeys(directory, VerifierKey(origin, signers.public), signers.publics)
        self.tiles = TileReader(directory)
        self._signers = signers
        self._head: Head | None = None

    @property
    def key(self) -> VerifierKey:
        """The key that counts, as last seen."""
        return self.known.current

    @property
    def head(self) -> Head:
        """The published tree as last seen; IntegrityError before the log was opened."""
        if self._head is None:
            raise IntegrityError("the log is not open")
        return self._head

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold `log/lock` against other processes; StoreBusyError when it stays taken."""
        self.disk.ensure(self.directory)
        descriptor = os.open(self.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _flock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def refresh(self, *, even_halted: bool = False) -> None:
        """Take the checkpoint on disk, made by us or another process, as the head; found a new log.

        IntegrityError where a witness's proof has halted the log, unless it is only to be succeeded.
        """
        if not even_halted:
            refuse_if_halted(self.directory)
        path = self.directory / "checkpoint"
        if not path.exists():
            self._found(path)
        note = path.read_bytes()
        if self._head is None or note != self._head.note.encode():
            self._adopt(note)

    def recover(self) -> None:
        """Finish a batch whose commit is on disk; `clear` afterwards."""
        staged = self._pending()
        if staged is None:
            return
        size, end = self.head.edge.size, staged.old_size + len(staged.leaves)
        if size == staged.old_size:
            self._publish(staged, self._grown(staged))
        elif size < end or tree_root(end, self.tiles.node(size)) != self._opened(staged.checkpoint, "pending").root:
            raise IntegrityError(f"pending goes from {staged.old_size} to {end}, which is not on this log")
        self.disk.fsync(self.directory)

    def append(self, leaves: Sequence[bytes], fresh_key: Signer | None = None) -> bool:
        """Commit and publish leaves; OSError means that the batch was taken back.

        False: published, but its checkpoint may not be durable yet, so `pending` has to stay.
        With a fresh key, whose rotation they end with, the checkpoint bears its signature too.
        """
        hashes = [leaf_hash(leaf) for leaf in leaves]
        growth = grow(self.head.edge, hashes)
        staged = self._commit(leaves, growth.edge, fresh_key)
        try:
            self._publish(staged, growth)
        except OSError:
            if self.head.note == staged.checkpoint:
                return False
            self._take_back(list(self._files(staged, growth)))
            raise
        return True

    def rotation(self, fresh_key: Signer, *, overlap: bool) -> str:
        """The statement, by the present key and the fresh one, that the next entry hands over. Wants a settled log."""
        edge, key = self.head.edge, VerifierKey(self.key.name, fresh_key.public)
        return Rotation(self.key, key, edge.size, edge.root(), overlap).sign(self._signer(), fresh_key)

    def turn_over(self) -> None:
        """Finish a rotation whose entry is the newest, and durably published: from here on the new key signs."""
        note = self._handed_over()
        if note is not None:
            self.known.turn(note, self.disk)

    def _handed_over(self) -> str | None:
        """The statement in the newest entry, where it is by the key that still counts."""
        size = self.head.edge.size
        if not size:
            return None
        newest = self.head.tail[-1] if self.head.tail else self.tiles.bundle(size // WIDTH - 1, size)[-1]
        if ROTATES not in newest:
            return None
        try:
            note = str(parse_canonical(newest)["signed"])
            return note if open_rotation(note).old == self.key else None
        except (ValueError, KeyError):
            return None  # a rotation of other keys, or of a log that this one succeeds

    def _signer(self) -> Signer:
        """The private key that counts; IntegrityError where it is not here: nothing else may sign."""
        found = self._signers.of(self.key.public)
        if found is None:
            raise IntegrityError(f"the keys have no private key of {self.key}, which signs this log")
        return found

    def _sign(self, checkpoint: Checkpoint, fresh_key: Signer | None) -> str:
        """By the key that counts; by the former too as long as it goes on, and by the one that takes over."""
        newest = self.known.rotations[-1:]
        former = [self._signers.still(rotation.old.public) for rotation in newest if rotation.overlap]
        others = [each for each in (*former, fresh_key) if each is not None]
        return checkpoint.sign(self._signer(), *others)

    def _commit(self, leaves: Sequence[bytes], grown: Edge, fresh_key: Signer | None) -> Staged:
        head = self.head
        note = self._sign(Checkpoint(self.key.name, grown.size, grown.root()), fresh_key)
        staged = Staged(head.edge.size, tuple(leaves), note)
        try:
            self.disk.replace(self.directory / "pending", _print_pending(staged))
        except OSError:
            self._take_back([])
            raise
        return staged

    def _publish(self, staged: Staged, growth: Growth) -> None:
        files = self._files(staged, growth)
        path = self.directory / "checkpoint"
        self.disk.replace_all(files)
        self.disk.prepare(path, staged.checkpoint.encode())
        try:
            self.disk.rename(fresh(path), path)
        except OSError:
            if path.read_bytes() != staged.checkpoint.encode():
                raise
        self._adopted(staged, growth)
        self.disk.fsync(self.directory)

    def clear(self) -> None:
        """Forget a batch that is published and applied, and the partial tiles that full ones replace."""
        self.disk.unlink(self.directory / "pending")

    def prune(self, old_size: int) -> None:
        """Remove partial tiles that have become full since a size; their full tiles are durable."""
        size = self.head.edge.size
        for level in range(len(self.head.edge.rows)):
            first, last = (old_size >> (8 * level)) // WIDTH, (size >> (8 * level)) // WIDTH
            for number in range(first, last):
                self._drop_partials(tile_path(level, number))
                if level == 0:
                    self._drop_partials(tile_path(ENTRIES, number))

    def _drop_partials(self, full: str) -> None:
        folder = self.directory / f"{full}.p"
        if folder.is_dir():
            for partial in sorted(folder.iterdir()):
                self.disk.unlink(partial)
            self.disk.rmdir(folder)

    def _found(self, path: Path) -> None:
        """Begin a log: its key, then its empty tree."""
        entries = (self.directory / "tile", self.directory / "pending", self.directory.parent / "details")
        if any(left.exists() for left in entries):
            raise IntegrityError(f"{path} is missing, but the log has had entries")
        self.begin()

    def begin(self) -> None:
        """Write the key and the empty tree of a log that never was, and take it as the head."""
        path = self.directory / "checkpoint"
        self.disk.replace(self.directory / "log.vkey", f"{self.key}\n".encode())
        empty = Checkpoint(self.key.name, 0, Edge().root()).sign(self._signer())
        self.disk.replace(path, empty.encode())
        if self._head is None:
            self._adopt(empty.encode())

    def _adopt(self, note: bytes) -> None:
        """Make a checkpoint the head only if we signed it, its tiles yield it, and it extends what we saw."""
        self.known.reload()
        found = self._opened(note.decode(errors="replace"), "checkpoint")
        self.tiles.forget()
        edge = self.tiles.edge(found.size)
        if edge.root() != found.root:
            raise IntegrityError(f"the tiles do not have the root that the checkpoint of size {found.size} signs")
        if self._head is not None:
            before = self._head.edge
            if found.size < before.size or tree_root(before.size, self.tiles.node(found.size)) != before.root():
                raise IntegrityError(f"the checkpoint of size {found.size} does not extend ours of {before.size}")
        self._signer()
        self._head = Head(note.decode(), edge, self.tiles.tail(found.size))

    def _opened(self, note: str, what: str) -> Checkpoint:
        try:
            return self.known.open(note.encode())
        except ValueError as problem:
            raise IntegrityError(f"{self.directory / what}: {problem}") from problem

    def _pending(self) -> Staged | None:
        path = self.directory / "pending"
        if not path.exists():
            return None
        try:
            staged = _parse_pending(path.read_bytes())
        except (ValueError, KeyError, TypeError) as problem:
            raise IntegrityError(f"{path} cannot be read: {problem}") from problem
        if self._opened(staged.checkpoint, "pending").size != staged.old_size + len(staged.leaves):
            raise IntegrityError(f"{path} has leaves that its checkpoint does not count")
        return staged

    def _grown(self, staged: Staged) -> Growth:
        """What a batch found on disk makes of the tree, but only if it has the root that its checkpoint signs."""
        growth = grow(self.head.edge, [leaf_hash(leaf) for leaf in staged.leaves])
        signed = self._opened(staged.checkpoint, "pending")
        if (signed.size, signed.root) != (growth.edge.size, growth.edge.root()):
            raise IntegrityError("the pending checkpoint is not that of its leaves on this tree")
        return growth

    def _files(self, staged: Staged, growth: Growth) -> dict[Path, bytes]:
        """The tiles of a batch."""
        head = self.head
        files = {
            self.directory / tile_path(level, number, tile_width(level, number, growth.edge.size)): tile
            for (level, number), tile in growth.tiles.items()
        }
        for number, bundle in _bundles(head, staged.leaves):
            width = tile_width(0, number, growth.edge.size)
            files[self.directory / tile_path(ENTRIES, number, width)] = bundle
        return files

    def _adopted(self, staged: Staged, growth: Growth) -> None:
        tail = (*self.head.tail, *staged.leaves)
        left = growth.edge.size % WIDTH
        self._head = Head(staged.checkpoint, growth.edge, tail[len(tail) - left :])
        self.tiles.remember(growth.tiles)

    def _take_back(self, files: Sequence[Path]) -> None:
        """Undo an unpublished batch: without its `pending` it never was.

        Where even this fails, `pending` stays and the next batch or start completes it.
        """
        with contextlib.suppress(OSError):
            self.disk.unlink(self.directory / "pending")
            self.disk.fsync(self.directory)
            for path in [self.directory / "pending", self.directory / "checkpoint", *files]:
                self.disk.unlink(fresh(path))
            for path in files:
                self.disk.unlink(path)


def _bundles(head: Head, leaves: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    whole = [*head.tail, *leaves]
    first = head.edge.size // WIDTH
    for at in range(0, len(whole), WIDTH):
        yield first + at // WIDTH, b"".join(pack_entry(leaf) for leaf in whole[at : at + WIDTH])


def _print_pending(staged: Staged) -> bytes:
    return json.dumps(
        {
            "v": PENDING_VERSION,
            "old_size": staged.old_size,
            "leaves": [base64.b64encode(leaf).decode() for leaf in staged.leaves],
            "checkpoint": staged.checkpoint,
        },
    ).encode()


def _parse_pending(text: bytes) -> Staged:
    found = json.loads(text)
    if found["v"] != PENDING_VERSION or type(found["old_size"]) is not int:
        raise ValueError("not a pending batch of version 1")
    return Staged(found["old_size"], tuple(strict_base64(leaf) for leaf in found["leaves"]), found["checkpoint"])


def _flock(descriptor: int) -> None:
    deadline_s = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            if time.monotonic() > deadline_s:
                raise StoreBusyError("another process holds the log's lock") from problem
            time.sleep(LOCK_PAUSE_S)
        else:
            return
