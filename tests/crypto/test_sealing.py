"""AES-256-GCM wrapping as formats.md says it, checked against the primitive itself."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto import sealing
from gateway.errors import IntegrityError

KEK = bytes(range(32))


@given(st.binary(max_size=200), st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_round_trip(secret: bytes, name: str) -> None:
    """Unwrap undoes wrap, for that name alone."""
    sealed = sealing.wrap(KEK, name, secret)
    assert sealing.unwrap(KEK, name, sealed) == secret
    assert len(sealed) == 12 + len(secret) + 16
    with pytest.raises(IntegrityError):
        sealing.unwrap(KEK, name + "x", sealed)


def test_the_form_is_that_of_the_document() -> None:
    """Nonce ‖ ciphertext ‖ tag, associated data `lapel/v1 ` and the name: somebody else's code opens it."""
    sealed = sealing.wrap(KEK, "identity/X-1", b"secret")
    assert AESGCM(KEK).decrypt(sealed[:12], sealed[12:], b"lapel/v1 identity/X-1") == b"secret"
    theirs = b"n" * 12 + AESGCM(KEK).encrypt(b"n" * 12, b"theirs", b"lapel/v1 identity/X-2")
    assert sealing.unwrap(KEK, "identity/X-2", theirs) == b"theirs"


def test_every_bit_counts() -> None:
    """Any flipped bit, a cut and another key are refused."""
    sealed = sealing.wrap(KEK, "n", b"secret")
    for bit in range(8 * len(sealed)):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(IntegrityError):
            sealing.unwrap(KEK, "n", bytes(changed))
    for length in range(len(sealed)):
        with pytest.raises(IntegrityError):
            sealing.unwrap(KEK, "n", sealed[:length])
    with pytest.raises(IntegrityError):
        sealing.unwrap(bytes(32), "n", sealed)


def test_nonces_and_keys_are_fresh() -> None:
    """Two of them never agree."""
    assert len({sealing.wrap(KEK, "n", b"")[:12] for _ in range(1000)}) == 1000
    assert len({sealing.fresh_key() for _ in range(100)}) == 100
