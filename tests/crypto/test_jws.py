"""Compact JWS: what is accepted (vectors of the RFC, both algorithms), and every way that is tried to get round it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.jws import TOKEN_BYTES_MAX, JwsError, Token

# RFC 7515 appendix A.3.
RFC_TOKEN = (
    b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    b"fQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
)
RFC_X, RFC_Y = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
P256, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
CLAIMS = b'{"v":1,"device":"cam-a"}'


def b64(content: bytes) -> bytes:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def number(text: str) -> int:
    """A coordinate of a JWK."""
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def der(private) -> bytes:
    """The public half."""
    public = private.public_key() if hasattr(private, "public_key") else private
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def es256(content: bytes, key=P256) -> bytes:
    """R and s, 32 octets each."""
    r, s = decode_dss_signature(key.sign(content, ec.ECDSA(hashes.SHA256())))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def token(header=None, claims: bytes = CLAIMS, sign=es256) -> bytes:
    """A token of any header."""
    signed = b64(json.dumps(header or {"alg": "ES256"}).encode()) + b"." + b64(claims)
    return signed + b"." + b64(sign(signed))


def test_the_vector_of_the_rfc_is_accepted():
    """RFC 7515 appendix A.3: claims read, signature right; with a claim changed it is wrong."""
    key = ec.EllipticCurvePublicNumbers(number(RFC_X), number(RFC_Y), ec.SECP256R1()).public_key()
    read = Token(RFC_TOKEN)
    assert read.claims["iss"] == "joe"
    assert read.signed_by(der(key))
    assert not read.signed_by(der(P256))


def test_both_algorithms_sign():
    """ES256 by P-256, EdDSA by Ed25519; each only by its own kind of key and by its own key."""
    assert Token(token()).signed_by(der(P256))
    assert not Token(token()).signed_by(der(OTHER))
    edwards = Token(token({"alg": "EdDSA"}, sign=ED.sign))
    assert edwards.signed_by(der(ED))
    assert edwards.claims == {"v": 1, "device": "cam-a"}


def test_the_key_decides_the_algorithm():
    """An EdDSA signature under an ES256 header, and the reverse, prove nothing; nor a key of another kind."""
    assert not Token(token({"alg": "ES256"}, sign=ED.sign)).signed_by(der(ED))
    assert not Token(token({"alg": "EdDSA"})).signed_by(der(P256))
    assert not Token(token()).signed_by(der(ec.generate_private_key(ec.SECP384R1())))
    assert not Token(token()).signed_by(der(rsa.generate_private_key(65537, 2048)))
    assert not Token(token()).signed_by(b"no key at all")


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "RS256", "ES384", "es256", "", None, 1, ["ES256"], {"a": 1}])
def test_no_other_algorithm_has_a_door(alg):
    """`none` and HMAC with the public key as its secret are refused by name."""

    def mac(content: bytes) -> bytes:
        return hmac.digest(der(P256), content, hashlib.sha256) * 2

    with pytest.raises(JwsError, match="alg is"):
        Token(token({"alg": alg}, sign=mac))


def test_none_without_a_signature_is_refused():
    """The classic: an empty third part."""
    with pytest.raises(JwsError):
        Token(token({"alg": "none"}, sign=lambda _: b""))
    with pytest.raises(JwsError, match="signature of 0"):
        Token(token(sign=lambda _: b""))


def test_a_key_in_the_header_is_not_used():
    """`jwk`, `jku`, `x5c`, `kid` in a header change nothing: the key is the credential's."""
    numbers = OTHER.public_key().public_numbers()
    jwk = {"kty": "EC", "crv": "P-256", "x": b64(numbers.x.to_bytes(32, "big")).decode(), "y": "…"}
    header = {"alg": "ES256", "jwk": jwk, "jku": "https://evil.invalid/", "kid": "../../etc/passwd", "x5c": ["…"]}
    forged = Token(token(header, sign=lambda content: es256(content, OTHER)))
    assert not forged.signed_by(der(P256))


@pytest.mark.parametrize("header", [{"alg": "ES256", "crit": ["exp"]}, {"alg": "ES256", "b64": False, "crit": ["b64"]}])
def test_extensions_are_refused(header):
    """What a header demands to be understood, and is not, refuses the token (RFC 7515 clause 4.1.11)."""
    with pytest.raises(JwsError, match="extension"):
        Token(token(header))


@pytest.mark.parametrize(
    "content",
    [
        b"", b".", b"..", b"...", b"a.b", token() + b".x", b"\xff" * 10, token() + b"=", b" " + token(),
        token() + b"\n", token(claims=b'{"a":NaN}'),
        token(claims=b"[]"), token(claims=b"1"), token(claims=b"{"), token(claims=b"\xff\xfe"),
        token(claims=b'{"v":1,"v":2}'), token(claims=b'{"a":{"b":1,"b":1}}'), token(claims=b"[" * 50_000),
        token(claims=b'{"a":' + b"9" * 5000 + b"}"),
        token(sign=lambda content: P256.sign(content, ec.ECDSA(hashes.SHA256()))),
        token(sign=lambda content: es256(content) + b"\0"),
    ],
)  # fmt: skip
def test_what_is_no_token_is_refused_with_its_reason(content):
    """Parts, base64url in its one form, JSON objects without doubled names, 64 octets of signature."""
    with pytest.raises(JwsError) as refused:
        Token(content)
    assert str(refused.value)


def test_base64_has_one_form():
    """Other bits behind the last octet give the same octets: refused, so that a token has one spelling."""
    whole = token()
    last = whole[-1:]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = bytes([alphabet[alphabet.index(last) ^ 1]])
    with pytest.raises(JwsError, match="one form"):
        Token(whole[:-1] + other)


def test_a_token_has_a_longest():
    """64 KiB and no more; refused before it is read."""
    with pytest.raises(JwsError, match="at most"):
        Token(b"a" * (TOKEN_BYTES_MAX + 1))


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(32) + b"\1" * 32])
def test_degenerate_signatures_prove_nothing(signature):
    """Zero for r or s, both beyond the order."""
    assert not Token(token(sign=lambda _: signature)).signed_by(der(P256))
    assert not Token(token({"alg": "EdDSA"}, sign=lambda _: signature)).signed_by(der(ED))


GOOD = token()


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_any_changed_octet_ends_its_validity(place, flip):
    """Every octet of the token counts."""
    changed = GOOD[:place] + bytes([GOOD[place] ^ flip]) + GOOD[place + 1 :]
    try:
        read = Token(changed)
    except JwsError:
        return
    assert not read.signed_by(der(P256))


@given(st.binary(max_size=300) | st.text(alphabet="abcAB-_.=", max_size=200).map(str.encode))
def test_junk_raises_nothing_else(content):
    """Whatever a device sends is a token or a JwsError."""
    try:
        Token(content).signed_by(der(P256))
    except JwsError:
        return
