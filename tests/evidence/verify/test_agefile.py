"""age v1: files of the stock tool, of pyrage and of a naive writer open; damaged ones say so."""

import io
import os
import subprocess

import pyrage
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import VerificationError
from gateway.evidence.verify.agefile import open_age, read_header
from tests.evidence.verify.build_store import age_file

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
SIZES = [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000]


def secret_of(identity):
    """The 32 bytes of a bech32 AGE-SECRET-KEY-1… (checksum not looked at)."""
    bits = "".join(f"{CHARSET.index(c):05b}" for c in identity.lower().split("1", 1)[1][:-6])
    return bytes(int(bits[i : i + 8], 2) for i in range(0, 256, 8))


def opened(raw, secret):
    """Plaintext of a file in memory."""
    return b"".join(open_age(io.BytesIO(raw), secret, "a.age"))


def own(plain):
    """A file of the naive writer, and its secret."""
    secret = os.urandom(32)
    return age_file(plain, [X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()]), secret


@pytest.mark.parametrize("size", SIZES)
def test_pyrage_files_open(size):
    """What rage encrypts (with its grease stanzas) opens."""
    identity, plain = pyrage.x25519.Identity.generate(), os.urandom(size)
    raw = pyrage.encrypt(plain, [pyrage.x25519.Identity.generate().to_public(), identity.to_public()])
    assert opened(raw, secret_of(str(identity))) == plain


@pytest.mark.parametrize("size", SIZES)
def test_stock_age_files_open(size, tmp_path):
    """What the stock tool encrypts opens."""
    identity, plain = pyrage.x25519.Identity.generate(), os.urandom(size)
    command = ["age", "-r", str(identity.to_public())]
    raw = subprocess.run(command, input=plain, capture_output=True, check=True).stdout
    assert opened(raw, secret_of(str(identity))) == plain
    assert [stanza.arguments[0] for stanza in read_header(io.BytesIO(raw), "a").stanzas] == ["X25519"]


@pytest.mark.parametrize("size", SIZES)
def test_naive_files_open_here_and_in_rage(size):
    """The test's own writer writes age: rage and we read the same."""
    identity = pyrage.x25519.Identity.generate()
    secret, plain = secret_of(str(identity)), os.urandom(size)
    raw = age_file(plain, [X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()])
    assert opened(raw, secret) == pyrage.decrypt(raw, [identity]) == plain


def test_another_identity_does_not_open():
    """A file for somebody else is said to be so."""
    raw, _ = own(b"plain")
    with pytest.raises(VerificationError, match="1 for others"):
        opened(raw, os.urandom(32))


@given(st.data())
def test_no_flip_and_no_cut_passes(data):
    """Any flipped byte, any cut and any tail is a VerificationError."""
    raw, secret = OWN
    at = data.draw(st.integers(0, len(raw) - 1))
    flipped = bytearray(raw)
    flipped[at] ^= data.draw(st.integers(1, 255))
    for wrong in (bytes(flipped), raw[:at], raw + bytes(at + 1)):
        with pytest.raises(VerificationError):
            opened(wrong, secret)


@given(st.binary(max_size=300))
def test_garbage_behind_a_header(tail):
    """Garbage never raises anything but VerificationError."""
    for head in (b"", b"age-encryption.org/v1\n", b"age-encryption.org/v1\n-> X25519 AAAA\n"):
        with pytest.raises(VerificationError):
            opened(head + tail, bytes(32))


def test_chunks_do_not_move():
    """Two full chunks exchanged, or the last one dropped, do not open."""
    raw, secret = own(os.urandom(3 * 65_536))
    start = raw.index(b"\n", raw.index(b"---")) + 1 + 16
    step = 65_552
    chunks = [raw[start + i * step : start + (i + 1) * step] for i in range(3)]
    for order in ([1, 0, 2], [0, 1], [0, 2], [0, 1, 2, 2]):
        with pytest.raises(VerificationError, match="chunk"):
            opened(raw[:start] + b"".join(chunks[i] for i in order), secret)


def test_share_of_low_order():
    """An all-zero share gives no secret."""
    raw, secret = own(b"x")
    share = raw.split(b"X25519 ")[1][:43]
    with pytest.raises(VerificationError, match="share"):
        opened(raw.replace(share, b"A" * 43), secret)


def test_header_is_capped():
    """A header without end is not read without end."""
    with pytest.raises(VerificationError, match="at most"):
        opened(b"age-encryption.org/v1\n" + b"-> a\n\n" * 20_000, bytes(32))
    with pytest.raises(VerificationError, match="at most"):
        opened(b"age-encryption.org/v1\n-> a\n" + (b"A" * 64 + b"\n") * 2000, bytes(32))


OWN = own(os.urandom(66_000))
