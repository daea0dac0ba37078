"""The device manifest v1: what a camera says of a recording, signed with the key of its certificate (compact JWS)."""

import base64
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from firmware_stubs.receipt import Recording

PRE_EVENT_S = 30
FIRMWARE = "2.4.1"


class Signer:
    """A camera's key, and its count of recordings: each manifest names the one before."""

    def __init__(self, key: Path) -> None:
        private = load_pem_private_key(key.read_bytes(), None)
        if not isinstance(private, Ed25519PrivateKey | EllipticCurvePrivateKey):
            raise TypeError(f"{key}: neither Ed25519 nor P-256")
        self._key = private
        self._number = 0
        self._before: str | None = None

    def manifest(self, recording: Recording) -> bytes:
        """Sign what is known of a recording."""
        self._number += 1
        claims = {
            "v": 1,
            "device": recording.device,
            "recording": recording.name,
            "n": self._number,
            "prev": self._before,
            "part": 1,
            "continues": None,
            "size": recording.size,
            "sha256": recording.sha256,
            "started_at": recording.started_at,
            "ended_at": recording.ended_at,
            "tz": "Europe/London",
            "clock": {"source": "gnss", "last_sync": recording.started_at},
            "pre_event_s": PRE_EVENT_S,
            "trigger": recording.trigger,
            "stop_reason": "button",
            "mutes": [],
            "firmware": FIRMWARE,
        }
        token = self.sign(json.dumps(claims, separators=(",", ":")).encode())
        self._before = hashlib.sha256(token).hexdigest()
        return token

    def sign(self, payload: bytes) -> bytes:
        """Compact JWS over a payload (RFC 7515 clause 3.1)."""
        edwards = isinstance(self._key, Ed25519PrivateKey)
        header = json.dumps({"alg": "EdDSA" if edwards else "ES256", "typ": "lapel-manifest+jws"}).encode()
        signed = _base64url(header) + b"." + _base64url(payload)
        if isinstance(self._key, Ed25519PrivateKey):
            return signed + b"." + _base64url(self._key.sign(signed))
        # RFC 7518 clause 3.4: r and s, 32 octets each, not the DER that libraries give.
        r, s = decode_dss_signature(self._key.sign(signed, ECDSA(SHA256())))
        return signed + b"." + _base64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))


def _base64url(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def signer_in(certificates: Path | None, device: str) -> Signer | None:
    """The signer of a device whose key lies in that folder; None where none does."""
    key = None if certificates is None else certificates / f"{device}.key"
    return Signer(key) if key is not None and key.exists() else None
