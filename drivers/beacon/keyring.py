"""What OwnTracks apps encrypt (`_type: encrypted`), opened with the passphrase of each device.

crypto_secretbox (XSalsa20-Poly1305); the key is the passphrase, filled up with zeros; the nonce stands first.
"""

from __future__ import annotations

import base64
import binascii
import stat
import tomllib
from pathlib import Path
from typing import Any, Protocol

import msgspec

from gateway.errors import WireError

KEY_OCTETS, NONCE_OCTETS = 32, 24
_SIGN = b'"encrypted"'


class Box(Protocol):
    """What opens with one key."""

    def decrypt(self, ciphertext: bytes, nonce: bytes) -> bytes:
        """Open it, or say that it is not what was closed."""
        ...


class _Encrypted(msgspec.Struct):
    type: str = msgspec.field(name="_type")
    data: str = ""


class Keyring:
    """The devices whose passphrase is known."""

    def __init__(self, boxes: dict[str, Box] | None = None) -> None:
        self._boxes = boxes or {}

    def opened(self, device: str | None, payload: bytes) -> bytes:
        """A message in clear, or as it is where it is not encrypted; WireError says why it stays shut."""
        if _SIGN not in payload:
            return payload
        try:
            said = msgspec.json.decode(payload, type=_Encrypted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return payload  # whoever reads it says what is wrong
        if said.type != "encrypted":
            return payload
        box = self._boxes.get(device or "")
        if box is None:
            raise WireError(f"_type: encrypted, and keys_file has no passphrase of {device}")
        return _opened(box, said.data)


def _opened(box: Box, text: str) -> bytes:
    try:
        sealed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise WireError(f"data: not base64: {wrong}") from wrong
    if len(sealed) < NONCE_OCTETS:
        raise WireError(f"data: {len(sealed)} bytes, shorter than its nonce")
    try:
        return box.decrypt(sealed[NONCE_OCTETS:], sealed[:NONCE_OCTETS])
    except Exception as wrong:  # whatever the library calls it, it was not closed with this key
        raise WireError("data: does not open with this device's passphrase") from wrong


def read(path: str) -> Keyring:
    """The keyring in a TOML file of `device = "passphrase"`; ValueError names the file and what is wrong."""
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
        found = tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as wrong:
        raise ValueError(f"keys_file: {path} cannot be read: {wrong.strerror}") from wrong
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ValueError(f"keys_file: {path} is not TOML: {wrong}") from wrong
    if mode & 0o077:
        raise ValueError(f"keys_file: group or others may use {path} (mode {mode:04o}; chmod 600)")
    return Keyring({device: _box(path, device, phrase) for device, phrase in found.items()})


def _box(path: str, device: str, phrase: Any) -> Box:  # noqa: ANN401 - TOML
    octets = phrase.encode() if isinstance(phrase, str) else b""
    if not 0 < len(octets) <= KEY_OCTETS:
        raise ValueError(f"keys_file: {path}: {device}: a passphrase has 1 to {KEY_OCTETS} bytes")
    try:
        from nacl.secret import SecretBox  # noqa: PLC0415 - an extra: not every site has it
    except ImportError as wrong:
        raise ValueError("keys_file: PyNaCl is not installed (the extra `owntracks`)") from wrong
    box: Box = SecretBox(octets.ljust(KEY_OCTETS, b"\0"))
    return box
