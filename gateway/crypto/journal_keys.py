"""A key a day for the journal, wrapped under the KEK (docs/formats.md, journal)."""

from __future__ import annotations

import base64
import os
from collections import Counter
from pathlib import Path

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from gateway.crypto.authority_files import PRIVATE, replace
from gateway.crypto.keys import KeyStore
from gateway.crypto.sealing import fresh_key
from gateway.errors import IntegrityError


class _KeyFile(msgspec.Struct, frozen=True):
    kek: str
    sealed: str
    v: int = 1


def _held(path: Path) -> _KeyFile:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_KeyFile)
    except (msgspec.DecodeError, ValueError) as wrong:
        raise IntegrityError(f"{path}: is not a day key: {wrong}") from wrong


class JournalKeys:
    """Makes, keeps and opens day keys."""

    def __init__(self, directory: Path, keystore: KeyStore) -> None:
        self._directory, self._keystore = directory, keystore

    def key(self, day: str) -> bytes:
        """The day's key; made and fsynced at its first use, before anything is sealed under it."""
        path, name = self._directory / f"{day}.key", f"journal/{day}"
        if not path.exists():
            kek, sealed = self._keystore.wrap(name, fresh_key())
            self._write(path, msgspec.json.encode(_KeyFile(kek, base64.b64encode(sealed).decode())))
        return self._opened(path, _held(path))

    def under(self) -> dict[str, int]:
        """How many day keys are wrapped under each KEK."""
        return dict(Counter(_held(path).kek for path in self._paths()))

    def rewrap(self) -> int:
        """Wrap every day key anew under the newest KEK, one file after another; how many. Cut off, it goes on."""
        newest, count = self._keystore.wrap("rewrap", b"")[0], 0
        for path in self._paths():
            held = _held(path)
            if held.kek != newest:
                kek, sealed = self._keystore.wrap(f"journal/{path.stem}", self._opened(path, held))
                replace(path, msgspec.json.encode(_KeyFile(kek, base64.b64encode(sealed).decode())), PRIVATE)
                count += 1
        return count

    def _paths(self) -> list[Path]:
        return sorted(self._directory.glob("*.key"))

    def _opened(self, path: Path, held: _KeyFile) -> bytes:
        try:
            sealed = base64.b64decode(held.sealed, validate=True)
        except ValueError as wrong:
            raise IntegrityError(f"{path}: is not a day key: {wrong}") from wrong
        return self._keystore.unwrap(f"journal/{path.stem}", held.kek, sealed)

    def _write(self, path: Path, content: bytes) -> None:
        fresh = path.with_suffix(f".{os.getpid()}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass  # another process made it first: that one counts
        finally:
            fresh.unlink()

    def seal(self, key: bytes, nonce: bytes, content: bytes, header: bytes) -> bytes:
        """ChaCha20-Poly1305 (RFC 8439)."""
        return ChaCha20Poly1305(key).encrypt(nonce, content, header)

    def open(self, key: bytes, nonce: bytes, sealed: bytes, header: bytes) -> bytes:
        """Undo seal; IntegrityError if a bit differs."""
        try:
            return ChaCha20Poly1305(key).decrypt(nonce, sealed, header)
        except InvalidTag as wrong:
            raise IntegrityError("a journal batch does not open") from wrong
