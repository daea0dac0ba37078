"""The key files of docs/formats.md, "Keys": key-encryption keys and the log's signing key."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import stat
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.crypto import sealing
from gateway.crypto.notes import strict_base64
from gateway.errors import ConfigError, EvidenceError, MisuseError

_KEK_FILE = re.compile(r"kek-([1-9][0-9]{0,8})\.key")
_KEY_FILE_BYTES_MAX = 4096


class LogSigner:
    """The log's Ed25519 key (RFC 8032)."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        """Sign; 64 bytes."""
        return self._private.sign(message)


class KeyStore:
    """The keys directory, loaded once; secrets stay inside."""

    def __init__(self, directory: Path | str) -> None:
        self.directory = Path(directory)
        self._keks: dict[int, bytes] = {}
        self._signer: LogSigner | None = None

    def load(self, *, create: bool = False) -> None:
        """Read every key; with create, first make those of which there is none yet."""
        if create:
            self._create_missing()
        keks = {}
        for path in sorted(self.directory.glob("kek-*.key")):
            named = _KEK_FILE.fullmatch(path.name)
            if named is None:
                raise ConfigError("kek", "is not named kek-<n>.key", str(path))
            keks[int(named[1])] = _kek(path)
        if not keks:
            raise ConfigError("keys", "there is no kek-<n>.key", str(self.directory))
        self._signer = LogSigner(_private_key(self.directory / "log.key"))
        self._keks = keks

    @property
    def log_signer(self) -> LogSigner:
        """The log's signing key."""
        if self._signer is None:
            raise MisuseError("the key store is not loaded")
        return self._signer

    @property
    def kek_ids(self) -> tuple[str, ...]:
        """Ids of all KEKs, oldest first; the last one wraps."""
        return tuple(f"kek-{number}" for number in sorted(self._keks))

    def wrap(self, name: str, secret: bytes) -> tuple[str, bytes]:
        """Wrap under the newest KEK: its id and the sealed bytes."""
        if not self._keks:
            raise MisuseError("the key store is not loaded")
        newest = max(self._keks)
        return f"kek-{newest}", sealing.wrap(self._keks[newest], name, secret)

    def unwrap(self, name: str, kek_id: str, sealed: bytes) -> bytes:
        """Unwrap; EvidenceError where that KEK is gone, IntegrityError where the bytes were changed."""
        kek = next((kek for number, kek in self._keks.items() if f"kek-{number}" == kek_id), None)
        if kek is None:
            raise EvidenceError(f"{name} is wrapped under {kek_id}, which {self.directory} does not have")
        return sealing.unwrap(kek, name, sealed)

    def add_kek(self) -> str:
        """Make the next KEK, load it, and give its id; from now on it wraps."""
        number = max(self._keks, default=0) + 1
        path = self.directory / f"kek-{number}.key"
        _write_new(path, base64.b64encode(sealing.fresh_key()) + b"\n")
        self._keks = {**self._keks, number: _kek(path)}
        return f"kek-{number}"

    def _create_missing(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(self.directory.glob("kek-*.key")):
            _write_new(self.directory / "kek-1.key", base64.b64encode(sealing.fresh_key()) + b"\n")
        if not (self.directory / "log.key").exists():
            _write_new(self.directory / "log.key", _new_pem())


def signing_key(path: Path, *, create: bool = False) -> LogSigner:
    """One Ed25519 key in a file of its own; with create it is made where there is none."""
    if create and not path.exists():
        _write_new(path, _new_pem())
    return LogSigner(_private_key(path))


def _new_pem() -> bytes:
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigError("permissions", "group or others may use this key (chmod 600)", str(path))
            return file.read(_KEY_FILE_BYTES_MAX)
    except OSError as problem:
        raise ConfigError("key", f"cannot be read: {problem.strerror}", str(path)) from problem


def _kek(path: Path) -> bytes:
    try:
        key = strict_base64(_read(path).decode("ascii").removesuffix("\n"))
    except ValueError as problem:
        raise ConfigError("kek", "is not one line of base64", str(path)) from problem
    if len(key) != sealing.KEY_BYTES:
        raise ConfigError("kek", f"has {len(key)} bytes, expected {sealing.KEY_BYTES}", str(path))
    return key


def _private_key(path: Path) -> Ed25519PrivateKey:
    pem = _read(path)
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise ConfigError("log.key", "is not an unencrypted PEM private key", str(path)) from problem
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError("log.key", "is not an Ed25519 key", str(path))
    return private


def _write_new(path: Path, content: bytes) -> None:
    """Whole or not at all, and never over another's: a half-written key would lock its owner out."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):  # another process was first: its key counts
        os.link(fresh, path)
    fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
