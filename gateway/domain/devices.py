"""Devices as their authority knows them: keys, certificates, whether they still hold, for whom a dock may speak."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from gateway.domain.ids import DeviceId

KeyOrigin = Literal["device", "operator"]
"""Where a private key was made: inside the device (CSR), or by the authority for a device that can't."""
CredentialKind = Literal["camera", "beacon", "dock", "consumer", "gateway", "broker"]
Verdict = Literal["valid", "invalid", "absent"]


class Credential(msgspec.Struct, frozen=True):
    """One certificate of one device: serial (hex), SubjectPublicKeyInfo (DER), validity, revocation.

    cameras: for a dock, the devices that it may speak for. agency: for a consumer of the feed, whose view it reads.
    """

    device: DeviceId
    kind: CredentialKind
    serial: str
    public_key: bytes
    key_origin: KeyOrigin
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None = None
    reason: str | None = None
    cameras: tuple[DeviceId, ...] = ()
    agency: str | None = None


class DeviceSignature(msgspec.Struct, frozen=True):
    """What became of checking a recording's manifest: absent is said, never taken for valid.

    serial is of the certificate whose key made a valid signature; problem says why one is invalid.
    """

    verdict: Verdict
    key_origin: KeyOrigin | None = None
    serial: str | None = None
    problem: str | None = None
