"""The keys directory of docs/formats.md, "Keys": key-encryption keys, and the signers that the configuration names."""

from __future__ import annotations

import base64
import contextlib
import re
from pathlib import Path

from gateway.crypto import sealing
from gateway.crypto.key_files import LogSigner, destroy, read_key, signing_key, write_new
from gateway.crypto.notes import strict_base64
from gateway.crypto.signers import LogKeys, Uris, log_keys
from gateway.errors import ConfigError, EvidenceError, MisuseError

__all__ = ["KeyStore", "LogSigner", "signing_key"]
_KEK_FILE = re.compile(r"kek-([1-9][0-9]{0,8})\.key")


class KeyStore:
    """The keys directory; secrets stay inside. What another process adds to it is found when it is needed."""

    def __init__(self, directory: Path | str, uris: Uris | None = None) -> None:
        self.directory = Path(directory)
        self.uris = uris or Uris()
        self._keks: dict[int, bytes] = {}
        self._log_keys: LogKeys | None = None
        self._seen_ns = -1

    def load(self, *, create: bool = False) -> None:
        """Read every key; with create, first make those of which there is none yet."""
        signers = log_keys(self.uris.log, self.directory)
        if create:
            self._create_missing()
        self._read_keks()
        if not self._keks:
            raise ConfigError("keys", "there is no kek-<n>.key", str(self.directory))
        signers.load(create=create)
        self._log_keys = signers

    @property
    def log_keys(self) -> LogKeys:
        """The log's signing keys: the one that signs, and those that did before."""
        if self._log_keys is None:
            raise MisuseError("the key store is not loaded")
        return self._log_keys

    @property
    def log_signer(self) -> LogKeys:
        """The log's newest signing key."""
        return self.log_keys

    @property
    def kek_ids(self) -> tuple[str, ...]:
        """Ids of all KEKs, oldest first; the last one wraps."""
        return tuple(f"kek-{number}" for number in sorted(self._keks))

    def wrap(self, name: str, secret: bytes) -> tuple[str, bytes]:
        """Wrap under the newest KEK, whichever process made it: its id and the sealed bytes."""
        if not self._keks:
            raise MisuseError("the key store is not loaded")
        self._look()
        newest = max(self._keks)
        return f"kek-{newest}", sealing.wrap(self._keks[newest], name, secret)

    def unwrap(self, name: str, kek_id: str, sealed: bytes) -> bytes:
        """Unwrap; EvidenceError where that KEK is gone, IntegrityError where the bytes were changed."""
        kek = self._kek_of(kek_id)
        if kek is None:
            self._look()
            kek = self._kek_of(kek_id)
        if kek is None:
            raise EvidenceError(f"{name} is wrapped under {kek_id}, which {self.directory} does not have")
        return sealing.unwrap(kek, name, sealed)

    def refresh(self) -> None:
        """Read the KEKs again."""
        self._read_keks()

    def add_kek(self) -> str:
        """Make the next KEK, load it, and give its id; from now on it wraps."""
        self._read_keks()
        number = max(self._keks, default=0) + 1
        path = self.directory / f"kek-{number}.key"
        write_new(path, base64.b64encode(sealing.fresh_key()) + b"\n")
        self._keks = {**self._keks, number: _kek(path)}
        return f"kek-{number}"

    def retire_kek(self, kek_id: str) -> None:
        """Destroy a KEK that is not the newest; durable on return. What is wrapped under it is lost."""
        if kek_id == self.kek_ids[-1]:
            raise MisuseError(f"{kek_id} is the newest, and wraps")
        destroy(self.directory / f"{kek_id}.key")
        self._read_keks()

    def kek_made_at(self, kek_id: str) -> float:
        """When its file was made, in seconds since the epoch."""
        return (self.directory / f"{kek_id}.key").stat().st_mtime

    def _kek_of(self, kek_id: str) -> bytes | None:
        return next((kek for number, kek in self._keks.items() if f"kek-{number}" == kek_id), None)

    def _look(self) -> None:
        """Read the KEKs again where the directory has changed: another process may have added one."""
        try:
            changed = self.directory.stat().st_mtime_ns != self._seen_ns
        except OSError:
            return  # what was loaded still serves
        if changed:
            loaded = self._keks
            with contextlib.suppress(ConfigError):  # a start would name what is wrong with it
                self._read_keks()
            self._keks = {**loaded, **self._keks}

    def _read_keks(self) -> None:
        seen_ns = self.directory.stat().st_mtime_ns if self.directory.is_dir() else -1
        keks = {}
        for path in sorted(self.directory.glob("kek-*.key")):
            named = _KEK_FILE.fullmatch(path.name)
            if named is None:
                raise ConfigError("kek", "is not named kek-<n>.key", str(path))
            keks[int(named[1])] = _kek(path)
        self._keks, self._seen_ns = keks, seen_ns

    def _create_missing(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(self.directory.glob("kek-*.key")):
            write_new(self.directory / "kek-1.key", base64.b64encode(sealing.fresh_key()) + b"\n")


def _kek(path: Path) -> bytes:
    try:
        key = strict_base64(read_key(path).decode("ascii").removesuffix("\n"))
    except ValueError as problem:
        raise ConfigError("kek", "is not one line of base64", str(path)) from problem
    if len(key) != sealing.KEY_BYTES:
        raise ConfigError("kek", f"has {len(key)} bytes, expected {sealing.KEY_BYTES}", str(path))
    return key
