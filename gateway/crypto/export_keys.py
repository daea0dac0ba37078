"""Keys that exports are signed with: `export` under the keys, and `tsa` of the embedded time-stamping authority.

P-256, because `openssl cms` signs and checks it everywhere; each with a certificate of its own, made at first use.
What makes it worth anything is its fingerprint, published outside every export (`lapel trust print`).
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.crypto import authority_files as files
from gateway.crypto.certificates import SLACK, new_key
from gateway.crypto.cms import Signature, signature
from gateway.errors import ConfigError

YEARS = 20
SERIAL_BITS = 150


class ExportSigner:
    """Signs exports; `pem` is its certificate."""

    def __init__(self, key: EllipticCurvePrivateKey, pem: bytes) -> None:
        self._key, self.pem = key, pem

    def signature(self, content: bytes, at: datetime) -> Signature:
        """A detached CMS signature that a time-stamp can still go into."""
        return signature(content, x509.load_pem_x509_certificate(self.pem), self._key, at)

    def sign(self, content: bytes, at: datetime) -> bytes:
        """A detached CMS signature, DER, without a time-stamp."""
        return self.signature(content, at).der()


def export_signer(keys: Path, name: str, now: datetime) -> ExportSigner:
    """The key that signs exports; made where there is none."""
    key, pem = _pair(keys, "export", name, now)
    return ExportSigner(key, pem)


def stamping_certificate(keys: Path, name: str, now: datetime) -> bytes:
    """The embedded authority's certificate, PEM (its key lies beside it); made where there is none."""
    return _pair(keys, "tsa", name, now)[1]


def fingerprint(pem: bytes) -> str:
    """SHA-256 of the first certificate of a PEM file, in hex; ConfigError where there is none."""
    try:
        return x509.load_pem_x509_certificates(pem)[0].fingerprint(hashes.SHA256()).hex()
    except ValueError as wrong:
        raise ConfigError("timestamp.ca", f"is no PEM certificate: {wrong}") from wrong


def _pair(keys: Path, stem: str, name: str, now: datetime) -> tuple[EllipticCurvePrivateKey, bytes]:
    """Key and certificate; whoever is first to write one, counts."""
    private_path, certificate_path = keys / f"{stem}.key", keys / f"{stem}.crt"
    if not private_path.exists():
        files.create(private_path, new_key())
    key = load_pem_private_key(files.read(private_path, private=True), password=None)
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError(stem, "is not a P-256 key", str(private_path))
    if not certificate_path.exists():
        made = _certificate(key, name, now, stamping=stem == "tsa")
        files.create(certificate_path, made.public_bytes(Encoding.PEM), files.PUBLIC)
    pem = files.read(certificate_path)
    if x509.load_pem_x509_certificate(pem).public_key() != key.public_key():
        raise ConfigError(stem, f"is not the certificate of {private_path.name}", str(certificate_path))
    return key, pem


def _certificate(key: EllipticCurvePrivateKey, name: str, now: datetime, *, stamping: bool) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(secrets.randbits(SERIAL_BITS) + 1)
    builder = builder.not_valid_before(now - SLACK).not_valid_after(now + timedelta(days=365 * YEARS))
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(), critical=True)
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = builder.add_extension(own, critical=False)
    if stamping:  # RFC 3161 clause 2.3: this alone, and critical
        only = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(only, critical=True)
    return builder.sign(key, hashes.SHA256())


def _usage() -> x509.KeyUsage:
    """Signatures that their maker stands by, and nothing else."""
    others = ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    no = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=True, content_commitment=True, **no)
