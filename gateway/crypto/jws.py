"""Compact JWS (RFC 7515) of exactly two algorithms: EdDSA with Ed25519 (RFC 8037), ES256 (RFC 7518 clause 3.4).

The key decides the algorithm, never the token: `none`, HMAC and keys inside the header have no door here.
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.errors import GatewayError

TOKEN_BYTES_MAX = 64 * 1024
SIGNATURE_BYTES = 64
_PART = re.compile(r"[A-Za-z0-9_-]*")


class JwsError(GatewayError):
    """A token that is not what it should be."""


class Token:
    """A token taken apart; nothing in it is to be believed before `signed_by` says so."""

    def __init__(self, content: bytes) -> None:
        """Read it; JwsError says what is wrong with its form."""
        if len(content) > TOKEN_BYTES_MAX:
            raise JwsError(f"{len(content)} bytes, at most {TOKEN_BYTES_MAX}")
        try:
            parts = content.decode("ascii").split(".")
        except UnicodeDecodeError as problem:
            raise JwsError("not ASCII") from problem
        if len(parts) != 3:
            raise JwsError(f"{len(parts)} parts, expected three (compact serialisation)")
        header = _object(_bytes(parts[0]), "header")
        self._alg = header.get("alg")
        if self._alg not in ("EdDSA", "ES256"):
            raise JwsError(f"alg is {str(self._alg)[:40]!r}, expected EdDSA or ES256")
        if "crit" in header or "b64" in header:
            raise JwsError("the header asks for an extension")
        self.claims = _object(_bytes(parts[1]), "payload")
        self._signature = _bytes(parts[2])
        self._signed = f"{parts[0]}.{parts[1]}".encode()
        if len(self._signature) != SIGNATURE_BYTES:
            raise JwsError(f"a signature of {len(self._signature)} bytes, expected {SIGNATURE_BYTES}")

    def signed_by(self, public_key: bytes) -> bool:
        """Whether this key (SubjectPublicKeyInfo, DER) signed it, by the algorithm of that kind of key."""
        try:
            key = load_der_public_key(public_key)
            if isinstance(key, Ed25519PublicKey) and self._alg == "EdDSA":
                key.verify(self._signature, self._signed)
                return True
            if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1) and self._alg == "ES256":
                halves = (int.from_bytes(self._signature[:32], "big"), int.from_bytes(self._signature[32:], "big"))
                key.verify(encode_dss_signature(*halves), self._signed, ECDSA(hashes.SHA256()))
                return True
        except (InvalidSignature, UnsupportedAlgorithm, ValueError):
            return False
        return False


def _bytes(text: str) -> bytes:
    """Base64url without padding, in its one form (RFC 7515 clause 2)."""
    if not _PART.fullmatch(text):
        raise JwsError("not base64url")
    try:
        content = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as problem:
        raise JwsError("not base64url") from problem
    if base64.urlsafe_b64encode(content).rstrip(b"=").decode() != text:
        raise JwsError("not base64url in its one form")
    return content


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        found = json.loads(content.decode("utf-8"), object_pairs_hook=_once, parse_constant=_never)
    except (ValueError, RecursionError) as problem:
        raise JwsError(f"the {what} is not JSON") from problem
    if not isinstance(found, dict):
        raise JwsError(f"the {what} is no object")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two values of one name are read differently by different readers."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise JwsError("a name stands twice")
    return found


def _never(word: str) -> NoReturn:
    raise JwsError(f"{word} is not JSON")
