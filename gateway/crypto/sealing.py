"""AES-256-GCM as docs/formats.md uses it: keys wrapped under a KEK, and details under their file's key."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.errors import IntegrityError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


def fresh_key() -> bytes:
    """Draw 32 random bytes."""
    return os.urandom(KEY_BYTES)


def seal(key: bytes, plaintext: bytes, associated: bytes) -> bytes:
    """Encrypt under a nonce of its own: nonce ‖ ciphertext ‖ tag."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plaintext, associated)


def unseal(key: bytes, sealed: bytes, associated: bytes) -> bytes:
    """Open what seal made; IntegrityError when a bit, the key or the associated data differ."""
    if len(sealed) < NONCE_BYTES + TAG_BYTES:
        raise IntegrityError("sealed bytes are too short to be sealed")
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], associated)
    except InvalidTag as problem:
        raise IntegrityError("sealed bytes do not open") from problem


def wrap(kek: bytes, name: str, secret: bytes) -> bytes:
    """Wrap a secret under a KEK for this name (docs/formats.md, "Sealing under a KEK")."""
    return seal(kek, secret, b"lapel/v1 " + name.encode())


def unwrap(kek: bytes, name: str, sealed: bytes) -> bytes:
    """Unwrap a secret of this name; IntegrityError when it is another's or was changed."""
    return unseal(kek, sealed, b"lapel/v1 " + name.encode())
