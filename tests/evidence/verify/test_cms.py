"""CMS as others write it: openssl's own signatures and a time-stamping authority with an RSA chain."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from gateway.crypto.cms import token_of
from gateway.crypto.export_keys import export_signer, stamping_certificate
from gateway.crypto.timestamp_query import timestamp_query
from gateway.errors import VerificationError
from gateway.evidence.verify.cms import open_signed
from gateway.evidence.verify.timestamps import check_timestamp, check_token
from gateway.outlets.own_timestamps import OwnTimestamps

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
CONTENT = b"a line\r\n"
_TSA = """[tsa]
default_tsa = t
[t]
serial = serial
certs = chain.pem
signer_digest = sha512
default_policy = 1.2.3.4
digests = sha256, sha512
ess_cert_id_chain = yes
ess_cert_id_alg = {ess}
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
[stamp]
basicConstraints = critical,CA:FALSE
extendedKeyUsage = {usage}
"""


def _openssl(folder: Path, words: str) -> None:
    subprocess.run(["openssl", *words.split()], cwd=folder, check=True, capture_output=True)


def test_every_changed_byte_of_ours_is_refused_or_means_the_same(tmp_path: Path) -> None:
    """Each byte of a signature: refused, or the same signer over the same content."""
    raw = export_signer(tmp_path, "x", NOW).sign(CONTENT, NOW)
    signer, refused = open_signed(raw, "x").verify(CONTENT), 0
    for at in range(len(raw)):
        try:
            assert open_signed(raw[:at] + bytes((raw[at] ^ 1,)) + raw[at + 1 :], "x").verify(CONTENT) == signer
        except VerificationError:
            refused += 1
    assert refused > 0.9 * len(raw)
    with pytest.raises(VerificationError, match="over other bytes"):
        open_signed(raw, "x").verify(CONTENT + b" ")


@pytest.mark.parametrize("kind", ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-384"])
def test_signatures_that_openssl_made(tmp_path: Path, kind: str) -> None:
    """RSA and P-384, CAdES; one without the signing certificate's name is refused."""
    (tmp_path / "content").write_bytes(CONTENT)
    _openssl(tmp_path, f"req -x509 -newkey {kind} -nodes -keyout key -out crt -subj /CN=x -days 30")
    sign = "cms -sign -binary -in content -signer crt -inkey key -outform DER -md sha384"
    _openssl(tmp_path, f"{sign} -cades -out good")
    _openssl(tmp_path, f"{sign} -out bare")
    signer = open_signed((tmp_path / "good").read_bytes(), "x").verify(CONTENT)
    assert signer == x509.load_pem_x509_certificate((tmp_path / "crt").read_bytes())
    with pytest.raises(VerificationError, match="signing certificate"):
        open_signed((tmp_path / "bare").read_bytes(), "x").verify(CONTENT)


def _authority(folder: Path, usage: str, ess: str) -> bytes:
    """An RSA authority below an intermediate below a root; its reply over CONTENT."""
    (folder / "cnf").write_text(_TSA.format(usage=usage, ess=ess))
    (folder / "serial").write_text("01\n")
    (folder / "query").write_bytes(timestamp_query(CONTENT, 5))
    _openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout rk -out root.pem -subj /CN=root -days 30")
    for name, above, section in (("mid", ("root.pem", "rk"), "ca"), ("leaf", ("mid.pem", "midk"), "stamp")):
        _openssl(folder, f"req -new -newkey rsa:2048 -nodes -keyout {name}k -out {name}.csr -subj /CN={name}")
        issuer = f"-CA {above[0]} -CAkey {above[1]} -CAcreateserial -extfile cnf -extensions {section}"
        _openssl(folder, f"x509 -req -in {name}.csr {issuer} -out {name}.pem -days 30")
    (folder / "chain.pem").write_bytes((folder / "mid.pem").read_bytes())
    _openssl(folder, "ts -reply -config cnf -queryfile query -inkey leafk -signer leaf.pem -out reply")
    return (folder / "reply").read_bytes()


@pytest.mark.parametrize("ess", ["sha1", "sha256"])
def test_an_authority_with_a_chain(tmp_path: Path, ess: str) -> None:
    """Trusted by its root, its intermediate or itself; not by a stranger of the same name."""
    reply = _authority(tmp_path, "critical,timeStamping", ess)
    for name in ("root", "mid", "leaf"):
        anchor = x509.load_pem_x509_certificate((tmp_path / f"{name}.pem").read_bytes())
        assert check_timestamp(reply, CONTENT, [anchor], "x").serial == 2
    _openssl(tmp_path, "req -x509 -newkey rsa:2048 -nodes -keyout ok -out other.pem -subj /CN=root -days 30")
    other = x509.load_pem_x509_certificate((tmp_path / "other.pem").read_bytes())
    with pytest.raises(VerificationError, match="leads to the trusted one"):
        check_timestamp(reply, CONTENT, [other], "x")


def test_a_time_within_the_signature(tmp_path: Path) -> None:
    """Read back as it was put in and checked over the signature's value; any other unsigned attribute is refused."""
    stamping = stamping_certificate(tmp_path, "y", NOW)
    made = export_signer(tmp_path, "x", NOW).signature(CONTENT, NOW)
    reply = asyncio.run(OwnTimestamps(tmp_path).stamp(timestamp_query(made.signature, 5)))
    anchors = [x509.load_pem_x509_certificate(stamping)]
    signed = open_signed(made.der(token_of(reply)), "x")
    assert signed.verify(CONTENT).serial_number == signed.named[1]
    token = signed.stamp()
    assert token == token_of(reply)
    assert check_token(token, signed.signature, anchors, "x").serial
    with pytest.raises(VerificationError, match="over other bytes"):
        check_token(token, CONTENT, anchors, "x")
    assert open_signed(made.der(), "x").stamp() is None
    raw = made.der(token_of(reply))
    other = bytes.fromhex("060b2a864886f70d010910020e")
    assert raw.count(other) == 1
    with pytest.raises(VerificationError, match="unsigned attribute"):
        open_signed(raw.replace(other, other[:-1] + b"\x0f"), "x").stamp()
