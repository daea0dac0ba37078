"""RFC 3161 time-stamps: the reply, its token, whose it is, and what moment it states for which bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.errors import VerificationError
from gateway.evidence.verify.cms import load_certificate, open_signed
from gateway.evidence.verify.der import GENERALIZED_TIME, INTEGER, OCTETS, OID, SEQUENCE, Reader, dotted
from gateway.evidence.verify.report import shown

TST_INFO = "1.2.840.113549.1.9.16.1.4"
GRANTED = (0, 1)
DEPTH_MAX = 8
_DIGESTS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


class Stamped(msgspec.Struct, frozen=True):
    """A time-stamp that verified: when, under which serial number."""

    at: datetime
    serial: int


def check_timestamp(reply: bytes, content: bytes, anchors: Sequence[x509.Certificate], path: str) -> Stamped:
    """A granted time-stamp over this content by an authority that one of the anchors stands for; VerificationError."""
    outer = Reader(reply, path)
    body = outer.inside(SEQUENCE, "a TimeStampResp")
    outer.end()
    status = int.from_bytes(body.inside(SEQUENCE, "a status").next(INTEGER, "a status").content, "big")
    if status not in GRANTED:
        raise VerificationError(path, "a time-stamp that was granted", f"status {status}")
    raw = body.next(SEQUENCE, "a token").whole
    body.end()
    return check_token(raw, content, anchors, path)


def check_token(raw: bytes, content: bytes, anchors: Sequence[x509.Certificate], path: str) -> Stamped:
    """A token over this content by an authority that one of the anchors stands for; VerificationError."""
    token = open_signed(raw, path)
    if token.kind != TST_INFO or token.content is None:
        raise VerificationError(path, "a TSTInfo", shown(token.kind))
    signer = token.verify(token.content)
    stamped = _statement(token.content, content, path)
    _check_purpose(signer, path)
    others = [load_certificate(der, path) for der in token.certificates]
    if not _leads_to(signer, others, anchors, stamped.at):
        raise VerificationError(path, "an authority whose certificate leads to the trusted one", "another")
    return stamped


def _statement(raw: bytes, content: bytes, path: str) -> Stamped:
    """TSTInfo (clause 2.4.2): the imprint is of this content."""
    info = Reader(raw, path).inside(SEQUENCE, "a TSTInfo")
    info.next(INTEGER, "a version")
    info.next(OID, "a policy")
    imprint = info.inside(SEQUENCE, "an imprint")
    algorithm = dotted(imprint.inside(SEQUENCE, "an algorithm").next(OID, "its name"))
    if algorithm not in _DIGESTS:
        raise VerificationError(path, "an imprint by SHA-2", shown(algorithm))
    if imprint.next(OCTETS, "a digest").content != hashlib.new(_DIGESTS[algorithm], content).digest():
        raise VerificationError(path, "a time-stamp over this file", "one over other bytes")
    serial = int.from_bytes(info.next(INTEGER, "a serial number").content, "big")
    text = info.next(GENERALIZED_TIME, "a time").content.decode("ascii", "replace")
    try:
        at = datetime.strptime(text.partition(".")[0].rstrip("Z"), "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise VerificationError(path, "a GeneralizedTime", shown(text)) from None
    return Stamped(at, serial)


def _check_purpose(signer: x509.Certificate, path: str) -> None:
    """Clause 2.3: the certificate is for time-stamping, and for nothing else."""
    try:
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        raise VerificationError(path, "a certificate for time-stamping", "one for anything") from None
    if not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise VerificationError(path, "a certificate for time-stamping alone", "another")


def _leads_to(
    signer: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], at: datetime
) -> bool:
    """Whether the signer is an anchor, or issued by one through the certificates that came along."""
    here = signer
    for _ in range(DEPTH_MAX):
        if not here.not_valid_before_utc <= at <= here.not_valid_after_utc:
            return False
        if here in anchors:
            return True
        above = next((each for each in (*anchors, *others) if each != here and _issued(here, each)), None)
        if above is None:
            return False
        here = above
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
        authority = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return authority
