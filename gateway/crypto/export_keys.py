"""Keys that exports are signed with: `export` under the keys, and `tsa` of the embedded time-stamping authority.

P-256, because `openssl cms` signs and checks it everywhere; each with a certificate of its own, made at first use.
What makes it worth anything is its fingerprint, published outside every export (`lapel trust print`).
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.crypto import authority_files as store
from gateway.crypto.certificates import SLACK, new_key
from gateway.crypto.cms import Signature, signature
from gateway.crypto.key_files import sync
from gateway.crypto.signers import KeyFiles, Uris, key_files
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


class Next(msgspec.Struct, frozen=True):
    """A certificate that waits for its entry in the log, the one before it, and the old key's signature over it."""

    waiting: Path
    pem: bytes
    old_pem: bytes
    signed: bytes

    def activate(self) -> None:
        """From here on it is the one that counts; durable on return."""
        if self.waiting.exists():
            self.waiting.rename(self.waiting.with_suffix(""))
        sync(self.waiting.parent)


def export_signer(keys: Path, name: str, now: datetime, uri: str = Uris().export) -> ExportSigner:
    """The key that signs exports; made where there is none."""
    key, pem = _pair(key_files(uri, keys), name, now, stamping=False)
    return ExportSigner(key, pem)


def stamping_certificate(keys: Path, name: str, now: datetime) -> bytes:
    """The embedded authority's certificate, PEM (its key lies beside it); made where there is none."""
    return _pair(stamping_files(keys), name, now, stamping=True)[1]


def stamping_files(keys: Path) -> KeyFiles:
    """Where the embedded authority's keys lie."""
    return KeyFiles(keys / "tsa.key")


def stamping_pair(keys: Path) -> tuple[Path, Path]:
    """The key and the certificate with which the embedded authority answers."""
    path = stamping_files(keys).path(_current(stamping_files(keys)))
    return path, path.with_suffix(".crt")


def prepare(files: KeyFiles, name: str, now: datetime, *, stamping: bool) -> Next:
    """The next key with its certificate, not yet the one that counts; the same again after a crash.

    The old key signs the new certificate (CMS, detached, over its PEM).
    """
    old_key, old_pem = _pair(files, name, now, stamping=stamping)
    path = files.path(_current(files) + 1)
    waiting = path.with_suffix(".crt.next")
    if not path.exists():
        store.create(path, new_key())
    key = _private(path)
    if not waiting.exists():
        made = _certificate(key, name, now, stamping=stamping)
        store.create(waiting, made.public_bytes(Encoding.PEM), store.PUBLIC)
    pem = store.read(waiting)
    return Next(waiting, pem, old_pem, ExportSigner(old_key, old_pem).sign(pem, now))


def certificates(files: KeyFiles) -> list[tuple[str, bytes]]:
    """(where it lies, PEM) of each certificate that counts or did, oldest first; the last one counts."""
    paths = [path for number in _numbers(files) if (path := files.path(number).with_suffix(".crt")).exists()]
    return [(path.name, store.read(path)) for path in paths]


def fingerprint(pem: bytes) -> str:
    """SHA-256 of the first certificate of a PEM file, in hex; ConfigError where there is none."""
    try:
        return x509.load_pem_x509_certificates(pem)[0].fingerprint(hashes.SHA256()).hex()
    except ValueError as wrong:
        raise ConfigError("timestamp.ca", f"is no PEM certificate: {wrong}") from wrong


def _numbers(files: KeyFiles) -> list[int]:
    """Every generation of which there is a certificate; a former one's key may have been destroyed."""
    return KeyFiles(files.first.with_suffix(".crt")).numbers


def _current(files: KeyFiles) -> int:
    return max(_numbers(files), default=1)


def _private(path: Path) -> EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(store.read(path, private=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as wrong:
        raise ConfigError(path.stem, "is not an unencrypted PEM private key", str(path)) from wrong
    if not isinstance(key, EllipticCurvePrivateKey) or not isinstance(key.curve, SECP256R1):
        raise ConfigError(path.stem, "is not a P-256 key", str(path))
    return key


def _pair(files: KeyFiles, name: str, now: datetime, *, stamping: bool) -> tuple[EllipticCurvePrivateKey, bytes]:
    """The key and certificate that count; whoever is first to write one, counts."""
    private_path = files.path(_current(files))
    certificate_path = private_path.with_suffix(".crt")
    if not private_path.exists() and private_path == files.first:
        store.create(private_path, new_key())
    key = _private(private_path)
    if not certificate_path.exists():
        made = _certificate(key, name, now, stamping=stamping)
        store.create(certificate_path, made.public_bytes(Encoding.PEM), store.PUBLIC)
    pem = store.read(certificate_path)
    if x509.load_pem_x509_certificate(pem).public_key() != key.public_key():
        raise ConfigError(private_path.stem, f"is not the certificate of {private_path.name}", str(certificate_path))
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
