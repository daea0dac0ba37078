"""Details files (docs/formats.md, "details"): salted details, encrypted, each erasable by itself.

The writer is under the log's lock. A file whose last record is not whole (a crash) is never
cut or written again: writing goes on in the next file, so nothing durable can be destroyed.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from gateway.crypto import sealing
from gateway.crypto.notes import strict_base64
from gateway.errors import IntegrityError
from gateway.evidence.leaf import Composed, commitment
from gateway.evidence.log.disk import Disk
from gateway.evidence.rows import KeyringPlug

HEADER = b"LAPELDTL1\n"
RECORDS_MAX = 4096
FILES_KNOWN = 16
_FILE = re.compile(r"[0-9]{6}\.dtl")
_FIXED = 1 + 4 + 32 + 12


class Place(msgspec.Struct, frozen=True):
    """Where a record lies: file, offset of its first byte, bytes of ciphertext."""

    path: Path
    offset: int
    length: int


class _File(msgspec.Struct):
    """What is known of one file: how far it was read, and where its whole records lie."""

    path: Path
    end: int = len(HEADER)
    places: dict[bytes, Place] = {}

    def scan(self) -> None:
        """Read on from where it was last read, as far as records are whole."""
        size = self.path.stat().st_size
        if size <= self.end:
            return
        with self.path.open("rb") as file:
            whole = file.read(len(HEADER)) == HEADER
            while whole:
                file.seek(self.end)
                head = file.read(_FIXED)
                length = int.from_bytes(head[1:5], "big")
                whole = len(head) == _FIXED and head[:1] in {b"D", b"E"} and self.end + _FIXED + length <= size
                if whole:
                    self.add(head[5:37], length)

    def add(self, digest: bytes, length: int) -> None:
        """Take note of one more whole record."""
        self.places[digest] = Place(self.path, self.end, length)
        self.end += _FIXED + length


class Details:
    """The details directory of one evidence store."""

    def __init__(self, directory: Path, keyring: KeyringPlug, disk: Disk) -> None:
        self.directory = directory
        self._keyring, self._disk = keyring, disk
        self._files: OrderedDict[Path, _File] = OrderedDict()
        # What is known of the files is for one thread at a time: others read while the log's writes.
        self._guard = threading.RLock()

    def append(self, batch: Sequence[Composed]) -> None:
        """Write the details of a batch, durable on return; OSError leaves none of them in the way."""
        waiting = list(batch)
        while waiting:
            with self._guard:
                file = self._open_end()
            taken = waiting[: RECORDS_MAX - len(file.places)]
            waiting = waiting[len(taken) :]
            self._write(file, taken)

    def read(self, digest: bytes, index: int) -> tuple[dict[str, Any], bytes] | None:
        """The detail and salt that the entry of this index commits to; None where it was erased."""
        place = self._find(digest, index)
        with place.path.open("rb") as file:
            file.seek(place.offset)
            record = file.read(_FIXED + place.length)
        if record[:1] == b"E":
            return None
        sealed = record[_FIXED - sealing.NONCE_BYTES :]
        return _open(sealing.unseal(self._key(place.path), sealed, digest), digest)

    def erase(self, digest: bytes, index: int) -> None:
        """Make one detail unreadable for good; its leaf and its HMAC stay."""
        place = self._find(digest, index)
        self._disk.write_at(place.path, place.offset, b"E")
        self._disk.fsync(place.path)
        self._disk.write_at(place.path, place.offset + _FIXED, bytes(place.length))
        self._disk.fsync(place.path)

    def _write(self, file: _File, batch: Sequence[Composed]) -> None:
        key = self._key(file.path)
        records = [_record(key, composed) for composed in batch]
        start = file.path.stat().st_size if file.path.exists() else 0
        try:
            self._disk.write_at(file.path, start, (b"" if start else HEADER) + b"".join(records))
            self._disk.fsync(file.path)
            if not start:
                self._disk.fsync(self.directory)
        except OSError:
            # Nothing commits to what was written; where it cannot be cut off, the next file is used.
            with self._guard:
                self._files.pop(file.path, None)
            with contextlib.suppress(OSError):
                self._disk.truncate(file.path, start)
            raise
        with self._guard:
            if file.end != max(start, len(HEADER)):
                file.scan()  # somebody who read meanwhile has taken note of some already
                return
            for composed, record in zip(batch, records, strict=True):
                file.add(composed.hmac, len(record) - _FIXED)

    def _open_end(self) -> _File:
        """The file to write into: the newest while it is whole and not full, else a new one."""
        self._disk.ensure(self.directory)
        paths = self._paths()
        newest = int(paths[-1].stem) if paths else -1
        if paths:
            file = self._scanned(paths[-1])
            if file.path.stat().st_size in {0, file.end} and len(file.places) < RECORDS_MAX:
                return file
        name = f"{newest + 1:06d}"
        if self._keyring.get(f"details/{name}") is None:
            self._keyring.put(f"details/{name}", sealing.fresh_key())
        return self._remembered(self.directory / f"{name}.dtl")

    def _paths(self) -> list[Path]:
        return sorted(path for path in self.directory.glob("*.dtl") if _FILE.fullmatch(path.name))

    def _find(self, digest: bytes, index: int) -> Place:
        """Look where an entry of this index would lie, then further and further away."""
        near = index // RECORDS_MAX
        known = self._files.get(self.directory / f"{near:06d}.dtl")
        if known is not None and digest in known.places:
            return known.places[digest]
        for path in sorted(self._paths(), key=lambda path: abs(int(path.stem) - near)):
            with self._guard:
                place = self._scanned(path).places.get(digest)
            if place is not None:
                return place
        raise IntegrityError(f"{self.directory} has no detail for the commitment {digest.hex()}")

    def _scanned(self, path: Path) -> _File:
        file = self._remembered(path)
        file.scan()
        return file

    def _remembered(self, path: Path) -> _File:
        file = self._files.setdefault(path, _File(path))
        self._files.move_to_end(path)
        while len(self._files) > FILES_KNOWN:
            self._files.popitem(last=False)
        return file

    def _key(self, path: Path) -> bytes:
        key = self._keyring.get(f"details/{path.stem}")
        if key is None:
            raise IntegrityError(f"{path}: its key details/{path.stem} is gone")
        return key


def _record(key: bytes, composed: Composed) -> bytes:
    # Canonical as it stands: detail, salt and v in their order.
    plaintext = b'{"detail":' + composed.printed + b',"salt":"' + base64.b64encode(composed.salt) + b'","v":1}'
    sealed = sealing.seal(key, plaintext, composed.hmac)
    length = len(sealed) - sealing.NONCE_BYTES
    return b"D" + length.to_bytes(4, "big") + composed.hmac + sealed


def _open(plaintext: bytes, digest: bytes) -> tuple[dict[str, Any], bytes]:
    found = json.loads(plaintext)
    detail, salt = found["detail"], strict_base64(found["salt"])
    if commitment(salt, detail) != digest:
        raise IntegrityError(f"the detail of {digest.hex()} is not what its entry commits to")
    return detail, salt
