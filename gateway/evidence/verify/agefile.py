"""Opens an age v1 file with an X25519 identity, one chunk after the other (c2sp.org/age)."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterator
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import VerificationError
from gateway.evidence.verify.report import shown

CHUNK = 65536
TAG = 16
LINE_MAX = 8192
HEADER_MAX = 1 << 16
_VERSION = b"age-encryption.org/v1\n"
_ARGUMENTS = re.compile(rb"-> ([!-~]+(?: [!-~]+)*)\n")


class Source(Protocol):
    """What is read from: a buffered binary file, or something that counts and hashes on the way."""

    def read(self, size: int, /) -> bytes:
        """Read exactly size bytes, fewer only at the end."""
        ...

    def readline(self, size: int, /) -> bytes:
        """Read up to and with the next newline, at most size bytes."""
        ...


class Stanza(msgspec.Struct, frozen=True):
    """One recipient stanza: its arguments (the first is the type) and its body."""

    arguments: tuple[str, ...]
    body: bytes


class Header(msgspec.Struct, frozen=True):
    """An age header: its stanzas, the bytes that its MAC covers, the MAC."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    mac: bytes


def _raw_base64(text: bytes, path: str) -> bytes:
    """Decode unpadded canonical base64."""
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise VerificationError(path, "base64 in the age header", shown(text)) from None
    if base64.b64encode(raw).rstrip(b"=") != text:
        raise VerificationError(path, "canonical base64 in the age header", shown(text))
    return raw


def _body(source: Source, path: str) -> tuple[bytes, bytes]:
    read = text = b""
    while len(read) <= HEADER_MAX:
        line = source.readline(LINE_MAX)
        read += line
        text += line[:-1]
        if not line.endswith(b"\n") or len(line) > 65:
            raise VerificationError(path, "a stanza body in lines of 64", shown(line))
        if len(line) < 65:
            return read, _raw_base64(text, path)
    raise VerificationError(path, f"an age header of at most {HEADER_MAX} bytes", "more")


def read_header(source: Source, path: str) -> Header:
    """Read the header; behind it the source stands at the payload's nonce."""
    covered = source.readline(LINE_MAX)
    if covered != _VERSION:
        raise VerificationError(path, "age-encryption.org/v1", shown(covered))
    stanzas: list[Stanza] = []
    while len(covered) <= HEADER_MAX:
        line = source.readline(LINE_MAX)
        if line.startswith(b"--- ") and line.endswith(b"\n") and stanzas:
            return Header(tuple(stanzas), covered + b"---", _raw_base64(line[4:-1], path))
        match = _ARGUMENTS.fullmatch(line)
        if match is None:
            raise VerificationError(path, "an age stanza or the header's MAC", shown(line))
        read, body = _body(source, path)
        covered += line + read
        stanzas.append(Stanza(tuple(match[1].decode("ascii").split(" ")), body))
    raise VerificationError(path, f"an age header of at most {HEADER_MAX} bytes", "more")


def _derived(material: bytes, salt: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), 32, salt, purpose.encode()).derive(material)


def _unwrapped(stanza: Stanza, identity: bytes, path: str) -> bytes | None:
    if len(stanza.arguments) != 2 or len(stanza.body) != 32:
        raise VerificationError(path, "an X25519 stanza of one share and 32 bytes", shown(stanza.arguments))
    share = _raw_base64(stanza.arguments[1].encode(), path)
    if len(share) != 32:
        raise VerificationError(path, "a share of 32 bytes", f"{len(share)}")
    secret = X25519PrivateKey.from_private_bytes(identity)
    try:
        shared = secret.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise VerificationError(path, "a share that gives a secret", "one of low order") from None
    salt = share + secret.public_key().public_bytes_raw()
    key = _derived(shared, salt, "age-encryption.org/v1/X25519")
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(12), stanza.body, None)
    except InvalidTag:
        return None


def file_key(header: Header, identity: bytes, path: str) -> bytes:
    """Open the header with a 32-byte identity: the 16-byte file key, under which the MAC is right."""
    ours = [stanza for stanza in header.stanzas if stanza.arguments[0] == "X25519"]
    for stanza in ours:
        key = _unwrapped(stanza, identity, path)
        if key is None:
            continue
        mac = hmac.digest(_derived(key, b"", "header"), header.covered, "sha256")
        if not hmac.compare_digest(mac, header.mac):
            raise VerificationError(path, "the age header's MAC", "another")
        return key
    raise VerificationError(path, "an X25519 stanza for the exhibit's identity", f"{len(ours)} for others")


def payload(source: Source, key: bytes, path: str) -> Iterator[bytes]:
    """Plaintext of the payload, chunk by chunk; nothing of a chunk that does not open."""
    nonce = source.read(16)
    if len(nonce) != 16:
        raise VerificationError(path, "a payload", "the end of the file")
    cipher = ChaCha20Poly1305(_derived(key, nonce, "payload"))
    chunk, number, last = source.read(CHUNK + TAG), 0, False
    while not last:
        following = source.read(CHUNK + TAG)
        last = not following
        try:
            plain = cipher.decrypt(number.to_bytes(11, "big") + bytes([last]), chunk, None)
        except (InvalidTag, ValueError):
            raise VerificationError(path, f"chunk {number} of the age payload", "one that does not open") from None
        if not plain and number:
            raise VerificationError(path, "no empty last chunk", "one")
        yield plain
        chunk, number = following, number + 1


def open_age(source: Source, identity: bytes, path: str) -> Iterator[bytes]:
    """Plaintext of an age v1 file, chunk by chunk; VerificationError at the first thing that is wrong."""
    yield from payload(source, file_key(read_header(source, path), identity, path), path)
