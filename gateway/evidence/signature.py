"""What a recording's device manifest proves: checked at the seal, recorded with it, never a reason to refuse."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from gateway.crypto.jws import JwsError, Token
from gateway.domain.devices import Credential, DeviceSignature
from gateway.domain.evidence import RecordingKey
from gateway.domain.ids import DeviceId
from gateway.domain.time import rfc3339
from gateway.evidence.vault.assembly import Intent
from gateway.ports import DeviceRights

AUTHORITY = DeviceId("gateway")
"""The first identity of every device authority: where it has none, there is no authority."""
INVALID, REVOKED, NOT_ENROLLED = "device_signature_invalid", "device_revoked", "device_not_enrolled"
TOO_LARGE = "manifest_too_large"
NUMBER_MAX = (1 << 53) - 1
PROBLEM_CHARS = 200


class Checked(msgspec.Struct, frozen=True):
    """The verdict, what the manifest says of its place among the device's recordings, the key, and flags."""

    signature: DeviceSignature
    place: dict[str, Any] = msgspec.field(default_factory=dict)
    key: bytes | None = None
    flags: tuple[str, ...] = ()

    def detail(self) -> dict[str, Any]:
        """As the seal's detail says it (docs/formats.md, "evidence.db")."""
        said: dict[str, Any] = {"device_signature": self.signature.verdict}
        for name in ("key_origin", "serial", "problem"):
            if (value := getattr(self.signature, name)) is not None:
                said[name] = value
        if self.key is not None:
            said["device_key"] = base64.b64encode(self.key).decode()
        if self.place:
            said["manifest"] = self.place
        return said


class _WrongError(Exception):
    """Why a manifest is not valid."""


def check_manifest(intent: Intent, key: RecordingKey, rights: DeviceRights | None, at: datetime) -> Checked:
    """The verdict on what came with the recording; never raises for what a device sent."""
    if intent.manifest is None:
        if TOO_LARGE in intent.flags:
            return _invalid("too large to be kept")
        return Checked(DeviceSignature("absent"))
    credential: Credential | None = None
    try:
        token = Token(base64.b64decode(intent.manifest))
        _matches(token.claims, intent, key)
        place = _place(token.claims)
        credential = _signer(token, () if rights is None else tuple(rights.credentials(key.device)))
        _stood(credential, at)
    except (JwsError, _WrongError) as problem:
        return _invalid(str(problem), credential)
    return Checked(DeviceSignature("valid", credential.key_origin, credential.serial), place, credential.public_key)


def device_flags(device: DeviceId, rights: DeviceRights | None, *, by_dock: bool) -> tuple[str, ...]:
    """What is odd about the device itself; one that a dock speaks for needs no certificate of its own."""
    if rights is None or not rights.credentials(AUTHORITY):
        return ()
    if rights.revoked(device):
        return (REVOKED,)
    return () if by_dock or rights.credentials(device) else (NOT_ENROLLED,)


def _invalid(problem: str, credential: Credential | None = None) -> Checked:
    origin, serial = (None, None) if credential is None else (credential.key_origin, credential.serial)
    # As canonical JSON can say it: a problem may quote what the device sent.
    said = problem.encode("ascii", "backslashreplace").decode()[:PROBLEM_CHARS]
    return Checked(DeviceSignature("invalid", origin, serial, said), flags=(INVALID,))


def _signer(token: Token, credentials: tuple[Credential, ...]) -> Credential:
    """The newest certificate of this device, and of no other, whose key signed."""
    if not credentials:
        raise _WrongError("no certificate of this device is known")
    for credential in reversed(credentials):
        if token.signed_by(credential.public_key):
            return credential
    raise _WrongError("not signed by a key of this device")


def _stood(credential: Credential, at: datetime) -> None:
    if credential.revoked_at is not None and credential.revoked_at <= at:
        raise _WrongError(f"the certificate of that key was revoked on {rfc3339(credential.revoked_at)}")
    if not credential.not_before <= at <= credential.not_after:
        span = f"{rfc3339(credential.not_before)} to {rfc3339(credential.not_after)}"
        raise _WrongError(f"the certificate of that key holds from {span}")


def _matches(claims: Mapping[str, Any], intent: Intent, key: RecordingKey) -> None:
    """It must be this device's word on this recording and these bytes, whole."""
    expected = {"v": 1, "device": key.device, "recording": key.recording, "size": intent.size, "sha256": intent.sha256}
    for name, value in expected.items():
        found = claims.get(name)
        if type(found) is not type(value) or found != value:
            raise _WrongError(f"{name} is {str(found)[:80]!r}, expected {value!r}")
    if not intent.complete:
        raise _WrongError("the recording is not complete")


def _place(claims: Mapping[str, Any]) -> dict[str, Any]:
    """n, prev, part, continues, where they are said, and can be what they should be."""
    said = {name: claims[name] for name in ("n", "prev", "part", "continues") if claims.get(name) is not None}
    for name, value in said.items():
        number = type(value) is int and 0 <= value <= NUMBER_MAX
        word = isinstance(value, str) and value.isprintable() and len(value) <= 255
        if not (number or word):
            raise _WrongError(f"{name} is {str(value)[:80]!r}, which it cannot be")
    return said
