"""A seal that says "device signature valid": the manifest, the key beside it and the leaf, checked anew.

RFC 7515 compact serialisation; EdDSA with Ed25519 (RFC 8037) and ES256 (RFC 7518 clause 3.4) alone. Whose key it
is, the authority's records say (docs/formats.md, "roster.db"); here it is that key and none other that signed.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gateway.errors import VerificationError
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report, shown

VERDICTS = ("valid", "invalid", "absent")


def check_signature(leaf: Leaf, detail: dict[str, Any], report: Report) -> None:
    """Judge what a seal's detail says of the device's signature."""
    verdict = detail.get("device_signature")
    if leaf.kind != "seal" or verdict is None:
        return
    if verdict not in VERDICTS:
        report.differs(leaf.where, f"device_signature one of {', '.join(VERDICTS)}", shown(verdict))
        return
    report.count(f"device_signatures_{verdict}")
    if verdict == "absent" and "device_manifest" in detail:
        report.differs(leaf.where, "a verdict on the device manifest that it holds", "absent")
    if verdict != "valid":
        return
    with report.collecting():
        claims = _signed_claims(leaf, detail)
        wanted = {name: leaf.facts.get(name) for name in ("size", "sha256")}
        wanted |= {name: detail.get(name) for name in ("device", "recording")}
        said = {name: claims.get(name) for name in wanted}
        if said != wanted or claims.get("v") != 1:
            raise VerificationError(leaf.where, f"a device manifest of {shown(wanted)}", shown(said))


def _signed_claims(leaf: Leaf, detail: dict[str, Any]) -> dict[str, Any]:
    """The manifest's payload, once its signature by the key in the detail was verified."""
    where = leaf.where
    try:
        token = base64.b64decode(str(detail.get("device_manifest")), validate=True)
        key = load_der_public_key(base64.b64decode(str(detail.get("device_key")), validate=True))
        head, body, tail = token.split(b".")
        header, signature = json.loads(_octets(head)), _octets(tail)
        _verify(key, header.get("alg"), signature, head + b"." + body)
        claims = json.loads(_octets(body))
    except InvalidSignature as problem:
        raise VerificationError(where, "a device manifest signed by device_key", "another signature") from problem
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error, UnsupportedAlgorithm) as problem:
        raise VerificationError(where, "a device manifest and its key", shown(problem)) from problem
    if not isinstance(claims, dict):
        raise VerificationError(where, "a device manifest that is an object", shown(claims))
    return claims


def _verify(key: object, algorithm: object, signature: bytes, signed: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == "EdDSA":
        key.verify(signature, signed)
    elif isinstance(key, ec.EllipticCurvePublicKey) and algorithm == "ES256" and len(signature) == 64:
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(encode_dss_signature(r, s), signed, ec.ECDSA(SHA256()))
    else:
        raise ValueError(f"{algorithm!r} is not of that key")


def _octets(part: bytes) -> bytes:
    return base64.b64decode(part + b"=" * (-len(part) % 4), altchars=b"-_", validate=True)
