"""age v1 files (age-encryption.org/v1): identities, the header, the chunked payload with random access.

Supported: X25519 recipients (one when writing; when reading, any stanza beside ours is passed over).
Not supported: scrypt and plugin recipients, ASCII armour.
"""

from __future__ import annotations

import base64
import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.crypto.bech32 import Bech32Error, from_bech32, to_bech32
from gateway.errors import GatewayError

CHUNK = 64 * 1024
TAG = 16
SEALED_CHUNK = CHUNK + TAG
STREAM_NONCE = 16
HEADER_CAP = 16 * 1024

_VERSION = b"age-encryption.org/v1\n"
_X25519_INFO = b"age-encryption.org/v1/X25519"
_IDENTITY_PREFIX = "age-secret-key-"
_RECIPIENT_PREFIX = "age"
_FILE_KEY = 16
_COLUMNS = 64


class AgeError(GatewayError):
    """Bytes are not an age v1 file for this identity, or not the ones that were written."""


class Aead(Protocol):
    """An AEAD cipher under one key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext and tag."""
        ...

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Plaintext; AgeError (through `opened`) when the tag does not fit."""
        ...


Cipher = Callable[[bytes], Aead]
"""From a 32-byte key to its AEAD; tests put a recording double here."""


def chacha20poly1305(key: bytes) -> Aead:
    """Give the AEAD of RFC 8439 under a key."""
    return ChaCha20Poly1305(key)


def opened(aead: Aead, nonce: bytes, sealed: bytes, associated: bytes | None = None) -> bytes:
    """Decrypt; AgeError when the bytes are not what was encrypted."""
    try:
        return aead.decrypt(nonce, sealed, associated)
    except (InvalidTag, ValueError) as error:
        raise AgeError("the authentication tag does not fit") from error


def fresh_key() -> bytes:
    """32 random bytes."""
    return os.urandom(32)


@dataclass(frozen=True, repr=False)
class Identity:
    """An X25519 identity: the secret that opens the files of its recipient."""

    secret: bytes

    @classmethod
    def fresh(cls) -> Identity:
        """A new random identity."""
        return cls(fresh_key())

    @classmethod
    def parse(cls, text: str) -> Identity:
        """Read `AGE-SECRET-KEY-1…`; AgeError for anything else."""
        if text != text.upper():
            raise AgeError("an age identity is written in upper case")
        return cls(_from_bech32(_IDENTITY_PREFIX, text.lower()))

    @property
    def recipient(self) -> bytes:
        """The 32-byte public key."""
        return X25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()

    def printed(self) -> str:
        """`AGE-SECRET-KEY-1…`, as the stock tool's identity files have it."""
        return to_bech32(_IDENTITY_PREFIX, self.secret).upper()

    def printed_recipient(self) -> str:
        """`age1…`, as the stock tool takes it after -r."""
        return to_bech32(_RECIPIENT_PREFIX, self.recipient)


def parse_recipient(text: str) -> bytes:
    """Read `age1…`; AgeError for anything else."""
    return _from_bech32(_RECIPIENT_PREFIX, text)


def _from_bech32(prefix: str, text: str) -> bytes:
    try:
        key = from_bech32(prefix, text)
    except Bech32Error as error:
        raise AgeError(str(error)) from error
    if len(key) != 32:
        raise AgeError(f"a key of {len(key)} bytes, not 32")
    return key


class Payload:
    """The STREAM of one file: chunk i is encrypted under the nonce that is its number."""

    def __init__(self, key: bytes, cipher: Cipher = chacha20poly1305) -> None:
        """Take the 32-byte payload key."""
        self._aead = cipher(key)

    def seal(self, number: int, content: bytes, *, last: bool) -> bytes:
        """Encrypt one chunk. Never seal two different contents under one number."""
        return self._aead.encrypt(_nonce(number, last=last), content, None)

    def open(self, number: int, sealed: bytes, *, last: bool) -> bytes:
        """Decrypt one chunk; AgeError where it is not the one that was written."""
        return opened(self._aead, _nonce(number, last=last), sealed)


def _nonce(number: int, *, last: bool) -> bytes:
    """11-byte counter, then 0x01 for the last chunk (age-encryption.org/v1 "Payload")."""
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def write_header(recipient: bytes, cipher: Cipher = chacha20poly1305) -> tuple[bytes, Payload]:
    """Make the header of a new file (nonce included) and the payload it opens."""
    file_key = os.urandom(_FILE_KEY)
    share = X25519PrivateKey.generate()
    public = share.public_key().public_bytes_raw()
    wrap = _wrap_key(share, recipient, public + recipient)
    body = ChaCha20Poly1305(wrap).encrypt(bytes(12), file_key, None)
    head = _VERSION + b"-> X25519 " + _b64(public) + b"\n" + _b64(body) + b"\n---"
    nonce = os.urandom(STREAM_NONCE)
    header = head + b" " + _b64(_header_mac(file_key, head)) + b"\n" + nonce
    return header, Payload(_hkdf(file_key, nonce, b"payload"), cipher)


def read_header(start: bytes, identity: Identity, cipher: Cipher = chacha20poly1305) -> tuple[int, Payload]:
    """Open a file's first bytes (at most HEADER_CAP are read): where chunk 0 begins, and the payload."""
    head, mac, end = _split_header(start[:HEADER_CAP])
    file_key = _file_key(_stanzas(head), identity)
    if not hmac.compare_digest(_header_mac(file_key, head), mac):
        raise AgeError("the header's MAC does not fit")
    nonce = start[end : end + STREAM_NONCE]
    if len(nonce) != STREAM_NONCE:
        raise AgeError("the file ends in its header")
    return end + STREAM_NONCE, Payload(_hkdf(file_key, nonce, b"payload"), cipher)


def plain_size(octets: int) -> int:
    """Plaintext bytes in that many bytes of payload; AgeError where no payload is that long."""
    chunks, rest = divmod(octets, SEALED_CHUNK)
    if rest == 0 and chunks:
        return chunks * CHUNK
    if rest < TAG or (rest == TAG and chunks):
        raise AgeError("the file ends within a chunk")
    return chunks * CHUNK + rest - TAG


def _split_header(start: bytes) -> tuple[bytes, bytes, int]:
    """Everything up to `---`, the MAC behind it, and where the header's last line ends."""
    if not start.startswith(_VERSION):
        raise AgeError("not an age v1 file")
    mark = start.find(b"\n--- ")
    end = start.find(b"\n", mark + 1)
    if mark < 0 or end < 0:
        raise AgeError("the file ends in its header, or the header is over its cap")
    return start[: mark + 4], _unb64(start[mark + 5 : end]), end + 1


def _stanzas(head: bytes) -> list[tuple[list[bytes], bytes]]:
    """Arguments and body of each stanza: a body ends with its first line under 64 columns."""
    lines = head[len(_VERSION) : -3].split(b"\n")[:-1]
    stanzas: list[tuple[list[bytes], bytes]] = []
    while lines:
        start = lines.pop(0)
        if not start.startswith(b"-> "):
            raise AgeError("a stanza must begin with '-> '")
        body = b""
        while lines:
            line = lines.pop(0)
            body += line
            if len(line) < _COLUMNS:
                break
        stanzas.append((start[3:].split(b" "), _unb64(body)))
    return stanzas


def _file_key(stanzas: list[tuple[list[bytes], bytes]], identity: Identity) -> bytes:
    secret = X25519PrivateKey.from_private_bytes(identity.secret)
    recipient = secret.public_key().public_bytes_raw()
    for arguments, body in stanzas:
        if len(arguments) != 2 or arguments[0] != b"X25519" or len(body) != _FILE_KEY + TAG:
            continue
        share = _unb64(arguments[1])
        try:
            wrap = _wrap_key(secret, share, share + recipient)
            return opened(ChaCha20Poly1305(wrap), bytes(12), body)
        except (AgeError, ValueError):
            continue  # a stanza for somebody else
    raise AgeError("no stanza of this file opens with this identity")


def _wrap_key(secret: X25519PrivateKey, other: bytes, salt: bytes) -> bytes:
    shared = secret.exchange(X25519PublicKey.from_public_bytes(other))
    return _hkdf(shared, salt, _X25519_INFO)


def _hkdf(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=purpose).derive(key)


def _header_mac(file_key: bytes, head: bytes) -> bytes:
    return hmac.digest(_hkdf(file_key, b"", b"header"), head, "sha256")


def _b64(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")


def _unb64(text: bytes) -> bytes:
    """Strict unpadded base64: compared with the re-printed form, so that one value has one spelling."""
    try:
        content = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise AgeError("not base64") from error
    if _b64(content) != text:
        raise AgeError("base64 that is not canonical")
    return content
