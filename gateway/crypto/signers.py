"""Signers by URI: what `[log] signer` and `[evidence] export_signer` name, and the keys that follow when they rotate.

`file:log.key` is a file below the keys directory (or an absolute path); its successors are `log-2.key`, `log-3.key` …
beside it. Another scheme is one more line in `SCHEMES`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

from gateway.crypto.key_files import LogSigner, destroy, new_pem, signing_key, write_new
from gateway.errors import ConfigError

LOG_SETTING, EXPORT_SETTING = "log.signer", "evidence.export_signer"
_URI = re.compile(r"([a-z][a-z0-9+.-]*):(.+)", re.DOTALL)


class Uris(msgspec.Struct, frozen=True):
    """Where the signing keys lie."""

    log: str = "file:log.key"
    export: str = "file:export.key"


class LogKeys(Protocol):
    """The keys of one log: `public` and `sign` are the newest one's, which begins a log that has none."""

    public: bytes

    def load(self, *, create: bool = False) -> None:
        """Find every key; with create, make the first where there is none. ConfigError where there is none."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Sign by the newest; 64 bytes."""
        ...

    def of(self, public: bytes) -> LogSigner | None:
        """The signer of this public key; once loaded it serves, wherever the directory has gone."""
        ...

    def still(self, public: bytes) -> LogSigner | None:
        """As `of`, but only as long as its private key has not been destroyed."""
        ...

    def publics(self) -> list[bytes]:
        """Every public key whose private key is kept here, oldest first."""
        ...

    def fresh(self) -> LogSigner:
        """Make the next key; durable on return."""
        ...

    def forget(self, public: bytes) -> bool:
        """Destroy a private key; durable on return. Whether it was there."""
        ...

    def listed(self) -> list[tuple[str, bytes]]:
        """(where it lies, its public key), oldest first."""
        ...


class KeyFiles:
    """One key's files: `<stem>.key`, then `<stem>-2.key` and so on."""

    def __init__(self, first: Path) -> None:
        self.first = first

    @property
    def numbers(self) -> list[int]:
        """Which there are, oldest first."""
        wanted = re.compile(
            rf"{re.escape(self.first.stem)}(?:-([2-9]|[1-9][0-9]{{1,5}}))?{re.escape(self.first.suffix)}"
        )
        found = (wanted.fullmatch(path.name) for path in self.first.parent.glob(f"{self.first.stem}*"))
        return sorted(int(match[1] or 1) for match in found if match)

    def path(self, number: int) -> Path:
        """Where the n-th lies."""
        if number == 1:
            return self.first
        return self.first.with_name(f"{self.first.stem}-{number}{self.first.suffix}")


class FileLogKeys:
    """Ed25519 keys in files (`LogKeys`)."""

    def __init__(self, files: KeyFiles) -> None:
        self._files = files
        self._signers: dict[int, LogSigner] = {}
        self.public = b""

    def load(self, *, create: bool = False) -> None:
        """As LogKeys."""
        if create and not self._files.numbers:
            self._files.first.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(self._files.first, new_pem())
        numbers = self._files.numbers or [1]
        self._signers = {number: signing_key(self._files.path(number)) for number in numbers}
        self.public = self._signers[max(numbers)].public

    def sign(self, message: bytes) -> bytes:
        """As LogKeys."""
        return self._signers[max(self._signers)].sign(message)

    def of(self, public: bytes) -> LogSigner | None:
        """As LogKeys; what another process made meanwhile is found."""
        if self._number(public) is None:
            self.load()
        number = self._number(public)
        return None if number is None else self._signers[number]

    def still(self, public: bytes) -> LogSigner | None:
        """As LogKeys."""
        number = self._number(public)
        there = number is not None and self._files.path(number).exists()
        return self.of(public) if there or number is None else None

    def publics(self) -> list[bytes]:
        """As LogKeys."""
        return [public for _, public in self.listed()]

    def fresh(self) -> LogSigner:
        """As LogKeys; a key that an interrupted rotation left is not used: nobody knows whether it signed."""
        number = max(self._files.numbers, default=0) + 1
        write_new(self._files.path(number), new_pem())
        self.load()
        return self._signers[number]

    def forget(self, public: bytes) -> bool:
        """As LogKeys."""
        number = self._number(public)
        if number is None:
            return False
        destroy(self._files.path(number))
        self._signers.pop(number)
        return True

    def listed(self) -> list[tuple[str, bytes]]:
        """As LogKeys."""
        self.load()
        return [(self._files.path(number).name, signer.public) for number, signer in sorted(self._signers.items())]

    def _number(self, public: bytes) -> int | None:
        return next((number for number, signer in self._signers.items() if signer.public == public), None)


def _file(rest: str, keys: Path, setting: str) -> KeyFiles:
    path = keys / rest
    if path.suffix != ".key" or not path.stem:
        raise ConfigError(setting, f"{rest!r} is not the name of a key file (file:<name>.key)")
    return KeyFiles(path)


def _absent(scheme: str) -> Callable[[str, Path, str], KeyFiles]:
    def refuse(rest: str, keys: Path, setting: str) -> KeyFiles:
        del rest, keys
        raise ConfigError(setting, f"{scheme}: is not available in this build; use file:<name>.key")

    return refuse


SCHEMES: dict[str, Callable[[str, Path, str], KeyFiles]] = {"file": _file, "pkcs11": _absent("pkcs11")}


def log_keys(uri: str, keys: Path, setting: str = LOG_SETTING) -> LogKeys:
    """The log's signing keys, not yet loaded; ConfigError names the setting where the URI is none of ours."""
    return FileLogKeys(key_files(uri, keys, setting))


def key_files(uri: str, keys: Path, setting: str = EXPORT_SETTING) -> KeyFiles:
    """The files that a URI names."""
    found = _URI.fullmatch(uri)
    if found is None:
        raise ConfigError(setting, f"{uri!r} has no scheme; write it as file:<name>.key")
    scheme = SCHEMES.get(found[1])
    if scheme is None:
        known = ", ".join(f"{name}:" for name in SCHEMES)
        raise ConfigError(setting, f"{found[1]}: is no scheme of a signer (there are {known})")
    return scheme(found[2], keys, setting)


def check_uris(uris: Uris) -> None:
    """ConfigError names the first setting that cannot be used."""
    key_files(uris.log, Path(), LOG_SETTING)
    key_files(uris.export, Path(), EXPORT_SETTING)
