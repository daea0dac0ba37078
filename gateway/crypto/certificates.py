"""X.509 as the device authority uses it (RFC 5280): P-256 authorities, short certificates, revocation lists.

P-256 with SHA-256 is what every TLS library of a small device takes. A device's own key is P-256 or
Ed25519, because these sign manifests (ES256, EdDSA).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import GatewayError

REQUEST_BYTES_MAX = 16 * 1024
AUTHORITY_YEARS = 20
SLACK = timedelta(hours=1)
"""A certificate counts from so long before it was made: clocks of devices are never quite right."""

_HOST = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
DeviceKey = EllipticCurvePublicKey | Ed25519PublicKey


class RequestError(GatewayError):
    """A certificate signing request that is not one, or is not for who asks."""


class Issued(msgspec.Struct, frozen=True):
    """A certificate: its PEM, and what a credential says of it."""

    pem: bytes
    name: str
    serial: str
    public_key: bytes
    not_before: datetime
    not_after: datetime


class Request(msgspec.Struct, frozen=True):
    """What a checked request asks for: the name, and the key (DER)."""

    name: str
    public_key: bytes


class Revoked(msgspec.Struct, frozen=True):
    """One line of a revocation list."""

    serial: str
    at: datetime


def new_key() -> bytes:
    """Make a P-256 key: PEM PKCS#8, unencrypted."""
    return generate_ec(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_of(private_pem: bytes) -> bytes:
    """The public half of a private key, DER."""
    return _der(_private(private_pem).public_key())


def read_request(content: bytes) -> Request:
    """Check a PKCS#10 request (PEM or DER): signed by its own key, of a kind we take, naming one name."""
    if len(content) > REQUEST_BYTES_MAX:
        raise RequestError(f"the request has {len(content)} bytes, at most {REQUEST_BYTES_MAX}")
    try:
        load = x509.load_pem_x509_csr if b"-----BEGIN" in content else x509.load_der_x509_csr
        request = load(content)
        signed, key, names = request.is_signature_valid, request.public_key(), _names(request.subject)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as problem:
        raise RequestError(f"this is no certificate signing request: {problem}") from problem
    if not signed:
        raise RequestError("the request is not signed by the key that it names")
    if len(names) != 1:
        raise RequestError(f"the request names {len(names)} names (CN), expected one")
    return Request(names[0], _der(_device_key(key)))


def self_signed(private_pem: bytes, name: str, now: datetime) -> bytes:
    """An authority's own certificate, PEM."""
    private = _private(private_pem)
    subject = _subject(name)
    builder = _builder(subject, subject, private.public_key(), now, now + timedelta(days=365 * AUTHORITY_YEARS))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    made = builder.sign(private, hashes.SHA256())
    return made.public_bytes(Encoding.PEM)


class Authority:
    """One certificate authority: its key and certificate, in memory."""

    def __init__(self, private_pem: bytes, certificate_pem: bytes) -> None:
        """Read both; ValueError where they do not belong together."""
        self._private = _private(private_pem)
        self._certificate = x509.load_pem_x509_certificate(certificate_pem)
        if _der(self._certificate.public_key()) != _der(self._private.public_key()):
            raise ValueError("the certificate is not of this key")
        self.pem = certificate_pem

    @property
    def ends(self) -> datetime:
        """When this authority lapses."""
        return self._certificate.not_valid_after_utc

    def issue(self, request: Request, now: datetime, days: int, hosts: Sequence[str] = ()) -> Issued:
        """Certify a client of that name; with hosts, a server that answers to them."""
        key = load_der_public_key(request.public_key)
        until = min(now + timedelta(days=days), self.ends)
        builder = _builder(_subject(request.name), self._certificate.subject, _device_key(key), now, until)
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(authority=False), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._private.public_key())
        builder = builder.add_extension(issuer, critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(each) for each in hosts]), critical=False
            )
        return _issued(builder.sign(self._private, hashes.SHA256()))

    def issued(self, certificate_pem: bytes) -> Issued | None:
        """A certificate that this authority signed; None for any other."""
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            return None
        return _issued(certificate)

    def revocations(self, revoked: Iterable[Revoked], now: datetime) -> bytes:
        """The revocation list, PEM; it holds as long as the authority: one that lapsed would shut out every device."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self._certificate.subject)
        builder = builder.last_update(now - SLACK).next_update(self.ends)
        builder = builder.add_extension(x509.CRLNumber(int(now.timestamp() * 1000)), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._private.public_key())
        builder = builder.add_extension(issuer, critical=False)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(int(each.serial, 16)).revocation_date(each.at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._private, hashes.SHA256()).public_bytes(Encoding.PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: DeviceKey, now: datetime, until: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - SLACK).not_valid_after(until)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def host_ok(text: str) -> bool:
    """Whether a certificate can bear this as a server's name or address."""
    try:
        return isinstance(_host(text), x509.IPAddress) or _HOST.fullmatch(text) is not None
    except ValueError:
        return False


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _names(subject: x509.Name) -> list[str]:
    return [str(each.value) for each in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _issued(certificate: x509.Certificate) -> Issued:
    return Issued(
        pem=certificate.public_bytes(Encoding.PEM),
        name=_names(certificate.subject)[0],
        serial=f"{certificate.serial_number:x}",
        public_key=_der(certificate.public_key()),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _private(pem: bytes) -> EllipticCurvePrivateKey:
    private = load_pem_private_key(pem, password=None)
    if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
        raise TypeError("not a P-256 key")
    return private


def _device_key(key: object) -> DeviceKey:
    """Refuse keys that could not sign a manifest."""
    if isinstance(key, Ed25519PublicKey) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)
    ):
        return key
    raise RequestError("the key is neither P-256 nor Ed25519")


def _der(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded
