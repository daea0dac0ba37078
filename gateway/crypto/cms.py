"""A detached CMS signature (RFC 5652) with CAdES attributes (RFC 5126): what `openssl cms -verify -cades` takes.

`cryptography` builds PKCS #7 without signingCertificateV2, so that the structure is written here and only signed
there. Without a time-stamp it is CAdES-BES; with one over the signature value, as an unsigned attribute, CAdES-T.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.crypto.der import context, integer, octets, oid, parts, sequence, set_of, utc_time

_DATA, _SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME = (f"1.2.840.113549.1.9.{last}" for last in (3, 4, 5))
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"
_SHA256, _ECDSA_SHA256 = "2.16.840.1.101.3.4.2.1", "1.2.840.10045.4.3.2"


class Signature(msgspec.Struct, frozen=True):
    """A signature before it is written: the certificate, the signed attributes, and the signature's value."""

    certificate: bytes
    named: bytes
    attributes: bytes
    signature: bytes

    def der(self, token: bytes | None = None) -> bytes:
        """The detached SignedData; token is a time-stamp (a ContentInfo, DER) over the signature's value."""
        unsigned = b"" if token is None else context(1, _attribute(_SIGNATURE_TIME_STAMP, token))
        signer = sequence(
            integer(1),
            self.named,
            sequence(oid(_SHA256)),
            # RFC 5652 clause 5.4: signed as a SET OF, written under [0].
            b"\xa0" + self.attributes[1:],
            sequence(oid(_ECDSA_SHA256)),
            octets(self.signature),
            unsigned,
        )
        digests, kind = set_of(sequence(oid(_SHA256))), sequence(oid(_DATA))
        signed = sequence(integer(1), digests, kind, context(0, self.certificate), set_of(signer))
        return sequence(oid(_SIGNED_DATA), context(0, signed))


def signature(content: bytes, certificate: x509.Certificate, key: EllipticCurvePrivateKey, at: datetime) -> Signature:
    """Sign; the certificate goes in, the content does not."""
    whole = certificate.public_bytes(Encoding.DER)
    attributes = _attributes(content, whole, at)
    named = sequence(certificate.issuer.public_bytes(), integer(certificate.serial_number))
    return Signature(whole, named, attributes, key.sign(attributes, ECDSA(hashes.SHA256())))


def token_of(reply: bytes) -> bytes:
    """The token of a granted TimeStampResp (RFC 3161 clause 2.4.2); ValueError where there is none."""
    (whole,) = parts(reply)
    status, *rest = parts(whole.content)
    (granted, *_) = parts(status.content)
    if int.from_bytes(granted.content, "big") not in (0, 1) or not rest:
        raise ValueError("a time-stamp that was not granted")
    return rest[0].whole


def _attributes(content: bytes, certificate: bytes, at: datetime) -> bytes:
    """The signed attributes (RFC 5652 clause 11, RFC 5035 clause 3)."""
    digest, fingerprint = hashlib.sha256(content).digest(), hashlib.sha256(certificate).digest()
    # ESSCertIDv2 of SHA-256: its algorithm is the default, so that DER leaves it out.
    named = sequence(sequence(sequence(octets(fingerprint))))
    return set_of(
        _attribute(_CONTENT_TYPE, oid(_DATA)),
        _attribute(_SIGNING_TIME, utc_time(at.astimezone(UTC).strftime("%y%m%d%H%M%SZ"))),
        _attribute(_MESSAGE_DIGEST, octets(digest)),
        _attribute(_SIGNING_CERTIFICATE_V2, named),
    )


def _attribute(name: str, value: bytes) -> bytes:
    return sequence(oid(name), set_of(value))
