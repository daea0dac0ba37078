"""Blobs: age v1 files written in order, read anywhere, placed under blobs/<aa>/<bb>/ (docs/formats.md "blobs")."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import Executor, Future
from pathlib import Path

import msgspec

from gateway.crypto.age import (
    CHUNK,
    HEADER_CAP,
    SEALED_CHUNK,
    STREAM_NONCE,
    AgeError,
    Cipher,
    Identity,
    Payload,
    chacha20poly1305,
    plain_size,
    read_header,
    write_header,
)
from gateway.errors import IntegrityError
from gateway.evidence.vault.files import Files, Handle

_WORTH_A_THREAD = 32 * 1024

_BLOB_ID = re.compile(r"[0-9a-f]{32}")


class Digests(msgspec.Struct, frozen=True):
    """What a finished blob holds: SHA-256 (hex) of the recording and of the age file, and the recording's size."""

    sha256: str
    blob_sha256: str
    size: int


class _Digest:
    """A SHA-256 that may run in a thread of its own, beside encryption and writing."""

    def __init__(self, thread: Executor | None) -> None:
        self._sha, self._thread = hashlib.sha256(), thread
        self._last: Future[None] | None = None

    def update(self, content: bytes | bytearray | memoryview) -> None:
        """Take the next bytes, which nobody changes any more."""
        if self._thread is None or (len(content) < _WORTH_A_THREAD and self._last is None):
            self._sha.update(content)
        else:
            self._last = self._thread.submit(self._sha.update, content)

    def wait(self) -> None:
        """Return once all that was given is in."""
        if self._last is not None:
            self._last.result()
            self._last = None

    def hexdigest(self) -> str:
        """The digest of all that was given."""
        self.wait()
        return self._sha.hexdigest()


class Chunks:
    """The chunks of one age file that are not its last: read one at a time, by number."""

    def __init__(self, handle: Handle, payload: Payload, start: int) -> None:
        """Take the file, its payload cipher, and where chunk 0 begins."""
        self.handle, self._payload, self._start = handle, payload, start

    def chunk(self, number: int) -> bytes:
        """One 64 KiB chunk; AgeError where it does not open."""
        return self._payload.open(number, self.handle.read(SEALED_CHUNK, self.place(number)), last=False)

    def count_opening(self) -> int:
        """How many chunks from the first on are whole and open."""
        number = 0
        try:
            while True:
                self.chunk(number)
                number += 1
        except AgeError:
            return number

    def place(self, number: int) -> int:
        """Where that chunk begins in the file."""
        return self._start + number * SEALED_CHUNK


class BlobWriter:
    """Writes one age file in order, each chunk once; holds the newest full chunk back for the last-chunk flag."""

    def __init__(self, handle: Handle, header: bytes, payload: Payload, hashing: Executor | None) -> None:
        """Take a new file, its header and payload; `create` makes them. hashing is one thread, or none."""
        self.handle = handle
        self.stored = Chunks(handle, payload, len(header))
        self.chunks = 0
        self.tail = bytearray()
        self._payload = payload
        self._plain, self._sealed = _Digest(hashing), _Digest(hashing)
        self._sealed.update(header)
        handle.write(header, 0)

    @classmethod
    def create(
        cls, files: Files, path: Path, identity: Identity, cipher: Cipher, hashing: Executor | None = None
    ) -> BlobWriter:
        """Begin a new file for an identity that has never had one."""
        header, payload = write_header(identity.recipient, cipher)
        handle = Handle.create(files, path)
        with handle.closed_on_failure():
            return cls(handle, header, payload, hashing)

    @property
    def chunked(self) -> int:
        """Bytes of the recording that are in the file as chunks."""
        return self.chunks * CHUNK

    @property
    def size(self) -> int:
        """Bytes fed so far."""
        return self.chunked + len(self.tail)

    def feed(self, content: bytes | bytearray | memoryview) -> None:
        """Take the next bytes; what makes full chunks with more behind them is encrypted and written."""
        self._plain.update(content)
        view = memoryview(content)
        if len(self.tail) + len(view) <= CHUNK:
            self.tail += view
            return
        room = CHUNK - len(self.tail)
        self.tail += view[:room]
        full = [bytes(self.tail)]
        while len(view) - room > CHUNK:
            full.append(view[room : room + CHUNK])  # type: ignore[arg-type]  # any buffer serves
            room += CHUNK
        self.tail = bytearray(view[room:])
        self._write(full, last=False)

    def wait(self) -> None:
        """Return once the digests have caught up: what is fed is not held in memory beyond this."""
        self._plain.wait()
        self._sealed.wait()

    def finish(self) -> Digests:
        """Write the last chunk (empty only where the whole recording is) and tell the digests."""
        size = self.size
        self._write([bytes(self.tail)], last=True)
        return Digests(self._plain.hexdigest(), self._sealed.hexdigest(), size)

    def _write(self, contents: list[bytes], *, last: bool) -> None:
        at, first = self.stored.place(self.chunks), self.chunks
        # Counted first: whatever becomes of the write, these numbers are used up.
        self.chunks += len(contents)
        sealed = b"".join(self._payload.seal(first + i, content, last=last) for i, content in enumerate(contents))
        self._sealed.update(sealed)
        self.handle.write(sealed, at)


class AgeFile:
    """A finished age file, opened for reading at any offset; IntegrityError names it where it is not whole."""

    def __init__(self, path: Path, identity: Identity, cipher: Cipher = chacha20poly1305) -> None:
        """Open the file and its header, and check its last chunk once, so that a cut is seen at once."""
        self._name = path.name
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise IntegrityError(f"blob {self._name} is not there") from error
        try:
            self._start, self._payload = read_header(os.pread(self._fd, HEADER_CAP + STREAM_NONCE, 0), identity, cipher)
            self.size = plain_size(os.fstat(self._fd).st_size - self._start)
            self._last = max(0, (self.size - 1) // CHUNK)
            self.chunk(self._last)
        except AgeError as error:
            self.close()
            raise IntegrityError(f"blob {self._name}: {error}") from error
        except IntegrityError:
            self.close()
            raise

    def chunk(self, number: int) -> bytes:
        """One chunk; IntegrityError names the blob where it does not open."""
        sealed = os.pread(self._fd, SEALED_CHUNK, self._start + number * SEALED_CHUNK)
        try:
            return self._payload.open(number, sealed, last=number == self._last)
        except AgeError as error:
            raise IntegrityError(f"blob {self._name}, chunk {number}: {error}") from error

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end), a chunk or less at a time."""
        while start < min(end, self.size):
            number, skip = divmod(start, CHUNK)
            part = self.chunk(number)[skip : skip + end - start]
            yield part
            start += len(part)

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class BlobTree:
    """blobs/<aa>/<bb>/<blob-id>.age."""

    def __init__(self, root: Path, files: Files) -> None:
        """Name the directory; nothing is made yet."""
        self._root, self._files = root, files

    def path(self, blob: str) -> Path:
        """Where a blob lies; ValueError for what is no blob-id (it comes from a database)."""
        if not _BLOB_ID.fullmatch(blob):
            raise ValueError(f"{blob!r} is not a blob-id")
        return self._root / blob[:2] / blob[2:4] / f"{blob}.age"

    def place(self, source: Path, blob: str) -> None:
        """Rename a synced file into the tree and sync every directory on the way; again is no error."""
        target = self.path(blob)
        self._make(target.parent)
        if source.exists():
            self._files.rename(source, target)
        elif not target.exists():
            raise IntegrityError(f"blob {blob} is neither in staging nor in blobs")
        self._files.sync_directory(target.parent)
        self._files.sync_directory(source.parent)

    def _make(self, leaf: Path) -> None:
        for directory in (self._root, leaf.parent, leaf):
            if not directory.exists():
                self._files.make_directory(directory)
            # Synced even where it is there: whoever made it may have died before its sync.
            self._files.sync_directory(directory.parent)
