"""Footage that came by no camera of ours: read once, encrypted and hashed on the way, sealed like any other.

Works beside a running gateway: nothing of it lies in staging. Before the first byte a marker in `imports/` names the
exhibit and its blob; the log gets `receive` and `seal` in one batch. Whoever imports next sweeps what a crash left:
with no entry in the log, marker, blob and identity go; with one, the marker alone (docs/formats.md, "imports").
"""

from __future__ import annotations

import contextlib
import fcntl
import mimetypes
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import msgspec

from gateway.crypto.age import Identity, chacha20poly1305
from gateway.domain.evidence import Act, Attribution, Recorded
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.domain.time import Instant, rfc3339
from gateway.errors import EvidenceError, StoreBusyError
from gateway.evidence.needs import KekInUse, Keyring, Retention
from gateway.evidence.rows import Exhibit
from gateway.evidence.upload import exhibit_id
from gateway.evidence.vault.blobs import BlobTree, BlobWriter, Digests
from gateway.evidence.vault.committer import busy
from gateway.evidence.vault.files import Files
from gateway.evidence.vault.room import Room

STEP = 1024 * 1024
NO_DEVICE = DeviceId("")
FLAG = "imported"


class Refused(EvidenceError):  # noqa: N818 - what became of the file, not a fault of ours
    """This file is not taken; it says why."""


class Told(msgspec.Struct, frozen=True):
    """What is said of the footage: from whom, how it came, who imports it, and of a device and time where known."""

    source: str
    means: str
    actor: str
    device: DeviceId | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Imported(msgspec.Struct, frozen=True):
    """What became of a file; already: these very bytes were sealed before, and that exhibit stands."""

    file: str
    exhibit: str
    sha256: str
    size: int
    log_index: int
    already: bool = False
    v: int = 1


class Marker(msgspec.Struct, frozen=True):
    """An import under way, by name."""

    exhibit: ExhibitId
    blob: str
    v: int = 1


class Shelf(Protocol):
    """The catalogue, read."""

    def exhibit(self, exhibit: str) -> Exhibit | None:
        """One exhibit."""
        ...

    def by_sha256(self, sha256: str) -> Sequence[Exhibit]:
        """Every sealed exhibit with this content."""
        ...


class Store(msgspec.Struct, frozen=True):
    """What an import stands on; record writes acts in one batch, all or none."""

    root: Path
    files: Files
    room: Room
    keyring: Keyring
    keks: KekInUse
    shelf: Shelf
    retention: Retention
    record: Callable[[Sequence[Act]], list[Recorded]]
    attribute: Callable[[DeviceId, datetime | None, datetime | None], Attribution]
    now: Callable[[], Instant]

    @property
    def folder(self) -> Path:
        """Where imports under way lie."""
        return self.root / "imports"

    @property
    def blobs(self) -> BlobTree:
        """Where blobs stay."""
        return BlobTree(self.root / "blobs", self.files)


@contextlib.contextmanager
def taking_turns(root: Path) -> Iterator[None]:
    """Imports of one store, one after the other. Open the log within: what an earlier one committed is then known."""
    folder = root / "imports"
    folder.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def sweep(store: Store) -> list[str]:
    """Take away what an import that died left behind; the exhibits that it would have been."""
    swept: list[str] = []
    for part in store.folder.glob("*.part"):
        store.files.remove_tree(part)
    for file in sorted(store.folder.glob("X-*.json")):
        marker = msgspec.json.decode(file.read_bytes(), type=Marker)
        if store.shelf.exhibit(marker.exhibit) is None:
            _discard(store, marker)
            swept.append(marker.exhibit)
        else:
            _done(store, marker)
    return swept


def import_file(store: Store, path: Path, told: Told) -> Imported:
    """Admit one file; Refused and StoreBusyError leave nothing of it."""
    with _opened(path) as fd:
        before = os.fstat(fd)
        store.room.check(store.now(), before.st_size)
        marker = Marker(exhibit_id(store.now().utc), secrets.token_hex(16))
        try:
            digests = _written(store, marker, fd)
            _still(path, fd, before, digests.size)
        except OSError as problem:
            _discard(store, marker)
            raise busy(problem) from problem
        except BaseException:
            _discard(store, marker)
            raise
    for row in store.shelf.by_sha256(digests.sha256):
        return _again(store, marker, path, told, row)
    return _sealed(store, marker, path, told, digests)


def _written(store: Store, marker: Marker, fd: int) -> Digests:
    """Marker and identity first, then the recording in one pass; durable on return."""
    _mark(store, marker)
    identity = Identity.fresh()
    store.keyring.put(f"identity/{marker.exhibit}", identity.secret)
    writer = BlobWriter.create(store.files, _temporary(store, marker), identity, chacha20poly1305)
    try:
        while part := os.read(fd, STEP):
            writer.feed(part)
        digests = writer.finish()
        writer.handle.datasync()
    finally:
        writer.handle.close()
    store.files.sync_directory(store.folder)
    return digests


def _again(store: Store, marker: Marker, path: Path, told: Told, row: Exhibit) -> Imported:
    """These bytes are there already: said so in that exhibit's chain; nothing is kept twice."""
    detail = {"imported_again": {"file": _shown(path), "from": told.source, "means": told.means}}
    try:
        store.record([Act("amend", told.actor, ExhibitId(row.id), detail=detail)])
    finally:
        _discard(store, marker)
    return Imported(str(path), row.id, row.sha256 or "", row.size or 0, row.log_index, already=True)


def _sealed(store: Store, marker: Marker, path: Path, told: Told, digests: Digests) -> Imported:
    try:
        store.blobs.place(_temporary(store, marker), marker.blob)
        recorded = store.record(_acts(store, marker, path, told, digests))
    except StoreBusyError:  # nothing was written
        _discard(store, marker)
        raise
    except OSError as problem:
        _discard(store, marker)
        raise busy(problem) from problem
    _done(store, marker)
    return Imported(str(path), marker.exhibit, digests.sha256, digests.size, recorded[-1].index)


def _acts(store: Store, marker: Marker, path: Path, told: Told, digests: Digests) -> list[Act]:
    terms = store.retention.terms(told.device or NO_DEVICE, store.now().utc)
    came = {"from": told.source, "means": told.means, "file": _shown(path)}
    facts: dict[str, Any] = {
        "controller": terms.controller,
        "category": "uncategorised",
        "sha256": digests.sha256,
        "size": digests.size,
        "complete": True,
        "rule": terms.rule,
        "due": terms.due.isoformat(),
        "held": False,
        "blob": marker.blob,
        "blob_sha256": digests.blob_sha256,
        "key": store.keks.kek_ids[-1],
    }
    return [
        Act("receive", told.actor, marker.exhibit, {"controller": terms.controller}, {"imported": came}),
        Act("seal", told.actor, marker.exhibit, facts, {"imported": came, **_detail(store, path, told)}),
    ]


def _detail(store: Store, path: Path, told: Told) -> dict[str, Any]:
    who = Attribution(None)
    if told.device is not None:
        who = store.attribute(told.device, told.started_at, told.ended_at)
    return {
        "device": told.device,
        "recording": None,
        "name": _shown(path),
        "content_type": mimetypes.guess_type(_shown(path))[0],
        "holder": who.holder,
        "candidates": list(who.candidates),
        "started_at": None if told.started_at is None else rfc3339(told.started_at),
        "ended_at": None if told.ended_at is None else rfc3339(told.ended_at),
        "user_data": {},
        "flags": [FLAG, *who.flags],
        "device_signature": "absent",
    }


def _mark(store: Store, marker: Marker) -> None:
    part = store.folder / f"{marker.exhibit}.part"
    store.files.remove_tree(part)
    fd = store.files.create(part)
    try:
        store.files.write(fd, msgspec.json.encode(marker), 0)
        store.files.datasync(fd)
    finally:
        os.close(fd)
    store.files.rename(part, _marker(store, marker))
    store.files.sync_directory(store.folder)


def _discard(store: Store, marker: Marker) -> None:
    """Blob and identity, the marker last; again is no error. What the disk refuses now, the next import sweeps."""
    with contextlib.suppress(OSError):
        for path in (_temporary(store, marker), store.blobs.path(marker.blob)):
            store.files.remove_tree(path)
        store.keyring.delete(f"identity/{marker.exhibit}")
        _done(store, marker)


def _done(store: Store, marker: Marker) -> None:
    """The marker goes; where the disk refuses, the next import takes it away."""
    with contextlib.suppress(OSError):
        for path in (_temporary(store, marker), _marker(store, marker), _marker(store, marker).with_suffix(".part")):
            store.files.remove_tree(path)
        store.files.sync_directory(store.folder)


def _marker(store: Store, marker: Marker) -> Path:
    return store.folder / f"{marker.exhibit}.json"


def _temporary(store: Store, marker: Marker) -> Path:
    return store.folder / f"{marker.exhibit}.age"


def _shown(path: Path) -> str:
    """A file's name as text, whatever its bytes are."""
    return path.name.encode("utf-8", "backslashreplace").decode()


def _still(path: Path, fd: int, before: os.stat_result, octets: int) -> None:
    if _stamp(os.fstat(fd)) != _stamp(before) or octets != before.st_size:
        raise Refused(f"{path}: was written while it was read")


def _stamp(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as wrong:
        raise Refused(f"{path}: {wrong.strerror}") from wrong
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused(f"{path}: is no regular file")
        yield fd
    finally:
        os.close(fd)
