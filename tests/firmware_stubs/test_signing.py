"""The stub's manifest, read by tools that are neither its own nor the gateway's."""

import base64
import json
import subprocess

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from firmware_stubs.receipt import Recording
from firmware_stubs.signing import Signer, signer_in
from tests import peers

RECORDING = Recording("cam-a", "rec-1", 5, "ab" * 32, "2026-11-21T21:05:03Z", "2026-11-21T21:06:40Z")


def parts(token):
    """Header, claims, signature and what was signed."""
    head, body, signature = token.split(b".")
    header, claims, raw = (base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4)) for part in (head, body, signature))
    return json.loads(header), json.loads(claims), raw, head + b"." + body


def test_openssl_verifies_an_es256_manifest(tmp_path):
    """The signature is over header and claims, r and s of 32 octets; n counts, prev names the one before."""
    key, tool = tmp_path / "cam-a.key", peers.program("openssl")
    subprocess.run(
        [tool, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key], check=True
    )
    signer = signer_in(tmp_path, "cam-a")
    first, second = signer.manifest(RECORDING), signer.manifest(RECORDING)
    header, claims, raw, signed = parts(first)
    assert (header["alg"], len(raw)) == ("ES256", 64)
    words = "v device recording n prev part continues size sha256 started_at ended_at tz clock pre_event_s trigger"
    assert claims.keys() == {*words.split(), "stop_reason", "mutes", "firmware"}
    assert (claims["device"], claims["n"], claims["prev"]) == ("cam-a", 1, None)
    assert parts(second)[1]["n"] == 2
    assert len(parts(second)[1]["prev"]) == 64
    der = encode_dss_signature(int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    (tmp_path / "sig").write_bytes(der)
    (tmp_path / "signed").write_bytes(signed)
    subprocess.run([tool, "pkey", "-in", key, "-pubout", "-out", tmp_path / "pub"], check=True)
    words = [tool, "dgst", "-sha256", "-verify", tmp_path / "pub", "-signature", tmp_path / "sig", tmp_path / "signed"]
    assert subprocess.run(words, capture_output=True).returncode == 0


def test_an_ed25519_key_signs_eddsa(tmp_path):
    """As its kind of key says."""
    private = Ed25519PrivateKey.generate()
    path = tmp_path / "cam-a.key"
    path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    header, _claims, raw, signed = parts(Signer(path).manifest(RECORDING))
    assert header["alg"] == "EdDSA"
    private.public_key().verify(raw, signed)


def test_without_a_key_nothing_is_signed(tmp_path):
    """No folder, or no key of this device in it."""
    assert signer_in(None, "cam-a") is None
    assert signer_in(tmp_path, "cam-a") is None
