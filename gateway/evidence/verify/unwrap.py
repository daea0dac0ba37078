"""Key-encryption keys, and the keys of `keys.db` that they open (AES-256-GCM)."""

from __future__ import annotations

import re
from pathlib import Path

from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from gateway.errors import VerificationError
from gateway.evidence.verify.files import ascii_text, from_base64, read_whole, walk
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.sqlite import rows, snapshot

KEYS = "keys.db"
KEY_FILE_MAX = 4096
_KEK = re.compile(r"kek-(0|[1-9][0-9]*)\.key")
_LOG_KEY = re.compile(r"log(?:-(?:[2-9]|[1-9][0-9]+))?\.key")
_NAME = re.compile(r"identity/[^/]+(?:/next)?|run/[^/]+/[0-9]+|details/[0-9]{6}")


def open_sealed(kek: bytes, name: str, sealed: bytes) -> bytes | None:
    """Open nonce ‖ ciphertext ‖ tag under a KEK for this name; None when it does not open."""
    try:
        return AESGCM(kek).decrypt(sealed[:12], sealed[12:], b"lapel/v1 " + name.encode("utf-8", "replace"))
    except (InvalidTag, ValueError):
        return None


def read_keks(keys: Path, report: Report) -> dict[str, bytes]:
    """Every `kek-<n>.key` of a directory, by its id."""
    keks: dict[str, bytes] = {}
    with report.collecting():
        for name in walk(keys, "keys"):
            if not _KEK.fullmatch(name):
                continue
            path = f"keys/{name}"
            with report.collecting():
                line = ascii_text(read_whole(keys / name, KEY_FILE_MAX, path), path)
                keks[name.removesuffix(".key")] = from_base64(line.removesuffix("\n"), 32, path, "a key")
    return keks


def log_key_publics(keys: Path) -> list[bytes]:
    """Public halves of `log.key` and its successors `log-<n>.key` (PKCS#8 PEM, as it prints)."""
    return [_public(keys, name) for name in sorted(walk(keys, "keys")) if _LOG_KEY.fullmatch(name)]


def _public(keys: Path, name: str) -> bytes:
    path = f"keys/{name}"
    raw = read_whole(keys / name, KEY_FILE_MAX, path)
    try:
        key = load_pem_private_key(raw, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise VerificationError(path, "an unencrypted PKCS#8 key in PEM", "something else") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise VerificationError(path, "an Ed25519 key", "another kind")
    if key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) != raw:
        raise VerificationError(path, "PEM as it is printed", "other bytes about the key")
    return key.public_key().public_bytes_raw()


class Keyring:
    """The wrapped keys as they were at one moment, and the KEKs to open them."""

    def __init__(self, keks: dict[str, bytes], wrapped: dict[str, tuple[str, bytes]]) -> None:
        self._keks = keks
        self._wrapped = wrapped

    @property
    def names(self) -> dict[str, str]:
        """Every name that has a wrapped key, with the KEK that it is wrapped under."""
        return {name: kek for name, (kek, _sealed) in self._wrapped.items()}

    def has_kek(self, kek: str) -> bool:
        """Whether there is a key file of this id."""
        return kek in self._keks

    def opens(self, name: str) -> bool:
        """Whether the key of this name is there and opens."""
        try:
            self.open(name)
        except VerificationError:
            return False
        return True

    def open(self, name: str) -> bytes:
        """The 32-byte key of this name; VerificationError when it is missing or does not open."""
        where = f"{KEYS} {shown(name)}"
        if name not in self._wrapped:
            raise VerificationError(where, "a wrapped key", "none")
        kek, sealed = self._wrapped[name]
        if kek not in self._keks:
            raise VerificationError(where, f"a key file keys/{shown(kek)}.key", "none")
        key = open_sealed(self._keks[kek], name, sealed)
        if key is None:
            raise VerificationError(where, f"a key that {shown(kek)} opens", "one that does not open")
        if len(key) != 32:
            raise VerificationError(where, "a key of 32 bytes", f"{len(key)}")
        return key

    def of_exhibit(self, exhibit: str) -> list[str]:
        """Names of every key of one exhibit that is there."""
        mine = (f"identity/{exhibit}", f"identity/{exhibit}/next")
        return sorted(name for name in self._wrapped if name in mine or name.startswith(f"run/{exhibit}/"))

    def check(self, report: Report) -> None:
        """Open every key; a KEK that opens none of its own is named as the file that is wrong."""
        opened: dict[str, list[bool]] = {}
        for name, (kek, _sealed) in self._wrapped.items():
            if not _NAME.fullmatch(name):
                report.differs(f"{KEYS} {shown(name)}", "identity/…, run/… or details/…", "another name")
            good = False
            with report.collecting():
                self.open(name)
                good = True
            opened.setdefault(kek, []).append(good)
        for kek, outcomes in opened.items():
            if kek in self._keks and not any(outcomes):
                report.differs(f"keys/{kek}.key", f"the key of {len(outcomes)} wrapped keys", "it opens none")
        report.count("wrapped_keys", len(self._wrapped))


def read_keyring(evidence: Path, keys: Path, report: Report) -> Keyring:
    """Take the wrapped keys from keys.db and the KEKs from their directory."""
    wrapped: dict[str, tuple[str, bytes]] = {}
    with report.collecting(), snapshot(evidence / KEYS, KEYS) as copy:
        for row in rows(copy, "wrapped", ("name", "kek", "sealed"), KEYS):
            name, kek, sealed = row["name"], row["kek"], row["sealed"]
            if isinstance(name, str) and isinstance(kek, str) and isinstance(sealed, bytes):
                wrapped[name] = (kek, sealed)
            else:
                report.differs(f"{KEYS} {shown(name)}", "name and kek as text, sealed as bytes", "other types")
    return Keyring(read_keks(keys, report), wrapped)
