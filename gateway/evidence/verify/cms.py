"""CMS SignedData (RFC 5652), as exports and time-stamp tokens have it: one signer, signed attributes, a certificate."""

from __future__ import annotations

import hashlib

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.errors import VerificationError
from gateway.evidence.verify.der import INTEGER, OCTETS, OID, SEQUENCE, SET, Element, Reader, dotted
from gateway.evidence.verify.report import shown

SIGNED_DATA = "1.2.840.113549.1.7.2"
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"
SIGNATURE_TIME_STAMP = "1.2.840.113549.1.9.16.2.14"
SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.12", "1.2.840.113549.1.9.16.2.47"
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "2.16.840.1.101.3.4.2.1": hashes.SHA256(),
    "2.16.840.1.101.3.4.2.2": hashes.SHA384(),
    "2.16.840.1.101.3.4.2.3": hashes.SHA512(),
}
_SIGNATURES: dict[str, hashes.HashAlgorithm] = {
    **{f"1.2.840.10045.4.3.{last}": each for last, each in zip((2, 3, 4), _HASHES.values(), strict=True)},
    **{f"1.2.840.113549.1.1.{last}": each for last, each in zip((11, 12, 13), _HASHES.values(), strict=True)},
}
_UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip
_RSA_PLAIN = "1.2.840.113549.1.1.1"


class Signed(msgspec.Struct, frozen=True):
    """One SignedData, nothing verified yet. content is None where it is detached."""

    kind: str
    content: bytes | None
    certificates: tuple[bytes, ...]
    named: tuple[bytes, int]
    digest: str
    attributes: bytes
    algorithm: str
    signature: bytes
    path: str
    unsigned: bytes | None = None
    """Unsigned attributes, as they stand there."""

    def stamp(self) -> bytes | None:
        """The time-stamp token over the signature's value, where there is one (CAdES-T); VerificationError."""
        found = {} if self.unsigned is None else self._read_attributes(self.unsigned)
        tokens = found.pop(SIGNATURE_TIME_STAMP, None)
        if found or (tokens is not None and len(tokens) != 1):
            raise VerificationError(self.path, "at most one time-stamp as unsigned attribute", shown(sorted(found)))
        return None if tokens is None else b"\x30" + _length(len(tokens[0])) + tokens[0]

    def verify(self, content: bytes) -> x509.Certificate:
        """Verify over this content; gives the certificate of the key that signed. VerificationError."""
        certificate = self._signer()
        attributes = self._read_attributes(self.attributes)
        digest = self._hash(self.digest, content)
        if attributes.get(MESSAGE_DIGEST) != [digest]:
            raise VerificationError(self.path, f"a signature over {digest.hex()}", "one over other bytes")
        kinds = [dotted(Element(OID, each, b"")) for each in attributes.get(CONTENT_TYPE, [])]
        if kinds != [self.kind]:
            raise VerificationError(self.path, f"content type {self.kind}", shown(kinds))
        _check_named(certificate, attributes, self.path)
        self._check_signature(certificate)
        return certificate

    def _signer(self) -> x509.Certificate:
        for der in self.certificates:
            certificate = load_certificate(der, self.path)
            if (certificate.issuer.public_bytes(), certificate.serial_number) == self.named:
                return certificate
        raise VerificationError(self.path, f"the certificate {self.named[1]:x} that the signer names", "none")

    def _read_attributes(self, raw: bytes) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        for element in Reader(raw, self.path).rest():
            reader = Reader(element.content, self.path)
            name = dotted(reader.next(OID, "an attribute's type"))
            if name in found:
                raise VerificationError(self.path, f"one attribute {name}", "two")
            found[name] = [each.content for each in reader.inside(SET, "an attribute's values").rest()]
        return found

    def _hash(self, algorithm: str, content: bytes) -> bytes:
        if algorithm not in _HASHES:
            raise VerificationError(self.path, "SHA-256, SHA-384 or SHA-512", shown(algorithm))
        return hashlib.new(_HASHES[algorithm].name, content).digest()

    def _check_signature(self, certificate: x509.Certificate) -> None:
        # RFC 5652 clause 5.4: what is signed is the SET OF, not the [0] that it is written as.
        signed = b"\x31" + _length(len(self.attributes)) + self.attributes
        fallback = _HASHES[self.digest] if self.algorithm == _RSA_PLAIN else None
        algorithm = _SIGNATURES.get(self.algorithm, fallback)
        key = certificate.public_key()
        try:
            if isinstance(key, ec.EllipticCurvePublicKey) and algorithm is not None:
                key.verify(self.signature, signed, ec.ECDSA(algorithm))
            elif isinstance(key, rsa.RSAPublicKey) and algorithm is not None:
                key.verify(self.signature, signed, padding.PKCS1v15(), algorithm)
            else:
                raise VerificationError(self.path, "ECDSA or RSA with SHA-2", shown(self.algorithm))
        except InvalidSignature:
            raise VerificationError(self.path, "a valid signature", "one that does not verify") from None


def open_signed(raw: bytes, path: str) -> Signed:
    """Read a ContentInfo of SignedData with one signer; VerificationError."""
    outer = Reader(raw, path)
    info = outer.inside(SEQUENCE, "a ContentInfo")
    outer.end()
    kind = dotted(info.next(OID, "a content type"))
    if kind != SIGNED_DATA:
        raise VerificationError(path, "SignedData", shown(kind))
    wrapped = info.inside(0xA0, "the content")
    info.end()
    body = wrapped.inside(SEQUENCE, "SignedData")
    wrapped.end()
    body.next(INTEGER, "a version")
    body.next(SET, "digest algorithms")
    eci = body.inside(SEQUENCE, "what is signed")
    content_type, content = dotted(eci.next(OID, "a content type")), eci.optional(0xA0)
    certificates = body.optional(0xA0)
    body.optional(0xA1)
    signers = body.inside(SET, "signers")
    body.end()
    signer = signers.inside(SEQUENCE, "a signer")
    signers.end()
    return _signer_info(
        signer,
        content_type,
        None if content is None else Reader(content.content, path).next(OCTETS, "the content").content,
        () if certificates is None else tuple(each.whole for each in Reader(certificates.content, path).rest()),
    )


def _signer_info(signer: Reader, kind: str, content: bytes | None, certificates: tuple[bytes, ...]) -> Signed:
    """SignerInfo (clause 5.3), named by issuer and serial number."""
    signer.next(INTEGER, "a version")
    named = signer.inside(SEQUENCE, "issuer and serial number")
    issuer = named.next(SEQUENCE, "an issuer").whole
    serial = int.from_bytes(named.next(INTEGER, "a serial number").content, "big")
    digest = dotted(signer.inside(SEQUENCE, "a digest algorithm").next(OID, "its name"))
    attributes = signer.next(0xA0, "signed attributes").content
    algorithm = dotted(signer.inside(SEQUENCE, "a signature algorithm").next(OID, "its name"))
    signature = signer.next(OCTETS, "a signature").content
    unsigned = signer.optional(0xA1)
    signer.end()
    return Signed(
        kind, content, certificates, (issuer, serial), digest, attributes, algorithm, signature, signer.path,
        None if unsigned is None else unsigned.content,
    )  # fmt: skip


def load_certificate(raw: bytes, path: str) -> x509.Certificate:
    """Read one certificate, PEM or DER, with everything that is asked of it later; VerificationError."""
    try:
        pem = raw.startswith(b"-----")
        certificate = x509.load_pem_x509_certificate(raw) if pem else x509.load_der_x509_certificate(raw)
        _ = certificate.public_key(), certificate.extensions, certificate.not_valid_before_utc
        _ = certificate.not_valid_after_utc, certificate.issuer.public_bytes(), certificate.subject.public_bytes()
    except _UNREADABLE as problem:
        raise VerificationError(path, "a certificate", shown(problem)) from None
    return certificate


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the certificate, hex."""
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()


def _check_named(certificate: x509.Certificate, attributes: dict[str, list[bytes]], path: str) -> None:
    """The signature names the certificate that it is to be checked with (RFC 5035 clause 3, RFC 2634 clause 5.4)."""
    der = certificate.public_bytes(Encoding.DER)
    second, first = attributes.get(SIGNING_CERTIFICATE_V2), attributes.get(SIGNING_CERTIFICATE)
    found = second or first
    if not found:
        raise VerificationError(path, "the signing certificate as a signed attribute", "none")
    identifier = Reader(found[0], path).inside(SEQUENCE, "certificates").inside(SEQUENCE, "a certificate's name")
    name = "sha256" if second else "sha1"
    algorithm = identifier.optional(SEQUENCE)
    if algorithm is not None:
        stated = dotted(Reader(algorithm.content, path).next(OID, "a digest algorithm"))
        if stated not in _HASHES:
            raise VerificationError(path, "SHA-256, SHA-384 or SHA-512", shown(stated))
        name = _HASHES[stated].name
    if identifier.next(OCTETS, "a certificate's digest").content != hashlib.new(name, der).digest():
        raise VerificationError(path, "the certificate that the signature names", "another")


def _length(length: int) -> bytes:
    if length < 0x80:
        return bytes((length,))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((0x80 | len(octets),)) + octets
