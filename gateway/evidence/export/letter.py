"""A bag encrypted to a recipient: a tar inside an age v1 file, so that `age -d | tar x` opens it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import IO, cast

from gateway.crypto.age import CHUNK, AgeError, parse_recipient, write_header
from gateway.evidence.export.order import OrderError
from gateway.evidence.vault.files import Files


def recipient_key(text: str) -> bytes:
    """The key of `age1…`; OrderError for anything else."""
    try:
        return parse_recipient(text)
    except AgeError as wrong:
        raise OrderError(f"to_age: {wrong}") from wrong


def write_letter(files: Files, bag: Path, name: str, path: Path, recipient: str) -> None:
    """Write the bag as `name/…` in a tar, encrypted, durable on return. Blocks."""
    files.remove_tree(path)
    envelope = _Envelope(files, path, recipient_key(recipient))
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", envelope), mode="w|", format=tarfile.PAX_FORMAT) as tar:
            tar.add(bag, name)
        envelope.end()
    finally:
        envelope.close()
    files.sync_directory(path.parent)


class _Envelope:
    """Takes bytes, writes them as age chunks; the newest is held back, for the last one's flag."""

    def __init__(self, files: Files, path: Path, key: bytes) -> None:
        self._files, self._handle = files, files.create(path)
        header, self._payload = write_header(key)
        self._at, self._number, self._held = 0, 0, bytearray()
        self._put(header)

    def write(self, content: bytes) -> int:
        """Take more."""
        self._held += content
        done = 0
        while len(self._held) - done > CHUNK:
            self._put(self._payload.seal(self._number, bytes(self._held[done : done + CHUNK]), last=False))
            self._number, done = self._number + 1, done + CHUNK
        del self._held[:done]
        return len(content)

    def end(self) -> None:
        """Write the last chunk; durable on return."""
        self._put(self._payload.seal(self._number, bytes(self._held), last=True))
        self._files.datasync(self._handle)

    def close(self) -> None:
        """Let the file go."""
        os.close(self._handle)

    def _put(self, octets: bytes) -> None:
        self._files.write(self._handle, octets, self._at)
        self._at += len(octets)
