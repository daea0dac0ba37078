"""Key files: read strictly, refused where others may use them, made whole or not at all."""

from __future__ import annotations

import contextlib
import os
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

from gateway.errors import ConfigError

_KEY_FILE_BYTES_MAX = 4096


class LogSigner:
    """The log's Ed25519 key (RFC 8032)."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        """Sign; 64 bytes."""
        return self._private.sign(message)

    def of(self, public: bytes) -> LogSigner | None:
        """This key, where it is the one that is asked for."""
        return self if public == self.public else None

    def still(self, public: bytes) -> LogSigner | None:
        """The same: in memory it stays."""
        return self.of(public)

    def publics(self) -> list[bytes]:
        """The one public key that is kept here."""
        return [self.public]


def signing_key(path: Path, *, create: bool = False) -> LogSigner:
    """One Ed25519 key in a file of its own; with create it is made where there is none."""
    if create and not path.exists():
        write_new(path, new_pem())
    return LogSigner(_private_key(path))


def new_pem() -> bytes:
    """Make an Ed25519 key: PEM PKCS#8, unencrypted."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def read_key(path: Path) -> bytes:
    """A key file as it lies there; ConfigError names it where it cannot be read, or others may use it."""
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise ConfigError("permissions", "group or others may use this key (chmod 600)", str(path))
            return file.read(_KEY_FILE_BYTES_MAX)
    except OSError as problem:
        raise ConfigError("key", f"cannot be read: {problem.strerror}", str(path)) from problem


def _private_key(path: Path) -> Ed25519PrivateKey:
    pem = read_key(path)
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as problem:
        raise ConfigError(path.name, "is not an unencrypted PEM private key", str(path)) from problem
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigError(path.name, "is not an Ed25519 key", str(path))
    return private


def write_new(path: Path, content: bytes) -> None:
    """Make a key file, whole or not at all, and never over another's: half of one would lock its owner out."""
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
    sync(path.parent)


def destroy(path: Path) -> None:
    """Remove a key file, and what a crash while it was made may have left of it beside it; durable on return."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    sync(path.parent)


def sync(directory: Path) -> None:
    """Return when the names in a directory are on the medium."""
    folder = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
