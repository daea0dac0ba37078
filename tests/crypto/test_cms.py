"""The CMS signature and the time-stamp query, judged by openssl; DER by published encodings."""

from __future__ import annotations

import asyncio
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.crypto import der
from gateway.crypto.cms import token_of
from gateway.crypto.export_keys import export_signer, fingerprint, stamping_certificate
from gateway.crypto.timestamp_query import timestamp_query
from gateway.errors import ConfigError
from gateway.outlets.own_timestamps import OwnTimestamps

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (der.integer(0), "020100"),
        (der.integer(127), "02017f"),
        (der.integer(128), "02020080"),
        (der.integer(256), "02020100"),
        (der.oid("1.2.840.113549"), "06062a864886f70d"),
        (der.oid("2.16.840.1.101.3.4.2.1"), "0609608648016503040201"),
        (der.octets(b"\x01\x02"), "04020102"),
        (der.sequence(der.NULL), "30020500"),
        (der.set_of(b"\x02\x01\x02", b"\x02\x01\x01"), "3106020101020102"),
        (der.tlv(4, bytes(128))[:3], "048180"),
        (der.tlv(4, bytes(256))[:4], "04820100"),
        (der.utc_time("910506234540Z"), "170d3931303530363233343534305a"),
    ],
)
def test_encodings_of_the_standard(made: bytes, wanted: str) -> None:
    """Examples of X.690 and of Microsoft's and Kaliski's guides."""
    assert made.hex() == wanted


def _openssl(*words: object) -> tuple[int, str]:
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_openssl_verifies_and_a_changed_byte_fails(tmp_path: Path) -> None:
    """CAdES, P-256, detached: good as it is, refused over other bytes and with another certificate."""
    signer = export_signer(tmp_path, "Exports of lapel.test/log", NOW)
    content, signature = tmp_path / "content", tmp_path / "content.p7s"
    content.write_bytes(b"line\r\nand a line\n")
    signature.write_bytes(signer.sign(content.read_bytes(), NOW))
    check = ("cms", "-verify", "-binary", "-inform", "DER", "-in", signature, "-content", content, "-cades")
    check += ("-no-CApath", "-no-CAstore", "-purpose", "any", "-out", "/dev/null", "-CAfile")
    assert _openssl(*check, tmp_path / "export.crt")[0] == 0
    (tmp_path / "other").mkdir()
    export_signer(tmp_path / "other", "Exports of lapel.test/log", NOW)
    assert _openssl(*check, tmp_path / "other/export.crt")[0] != 0
    content.write_bytes(b"line\nand a line\n")
    assert _openssl(*check, tmp_path / "export.crt")[0] != 0


def test_a_time_within_the_signature(tmp_path: Path) -> None:
    """CAdES-T: openssl takes the signature as before, and the token as one over the signature's value."""
    signer = export_signer(tmp_path, "x", NOW)
    stamping_certificate(tmp_path, "y", NOW)
    made = signer.signature(b"line\n", NOW)
    reply = asyncio.run(OwnTimestamps(tmp_path).stamp(timestamp_query(made.signature, 5)))
    token = token_of(reply)
    for name, content in (("content", b"line\n"), ("p7s", made.der(token)), ("value", made.signature), ("t", token)):
        (tmp_path / name).write_bytes(content)
    check = ("cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "p7s", "-content", tmp_path / "content")
    code, said = _openssl(
        *check, *("-cades", "-no-CApath", "-no-CAstore", "-purpose", "any", "-CAfile", tmp_path / "export.crt")
    )
    assert (code, "CAdES Verification successful" in said) == (0, True), said
    stamp = ("ts", "-verify", "-in", tmp_path / "t", "-token_in", "-CAfile", tmp_path / "tsa.crt", "-data")
    assert _openssl(*stamp, tmp_path / "value")[0] == 0
    assert _openssl(*stamp, tmp_path / "content")[0] != 0
    (tmp_path / "bare").write_bytes(made.der())
    assert token.hex() not in (tmp_path / "bare").read_bytes().hex()
    printed = _openssl("cms", "-cmsout", "-print", "-inform", "DER", "-in", tmp_path / "p7s")[1]
    assert "id-smime-aa-timeStampToken (1.2.840.113549.1.9.16.2.14)" in printed.split("unsignedAttrs")[1]


@pytest.mark.parametrize("reply", ["", "3003020102", "30053003020102", "30053003020100", "30050203", "3080"])
def test_an_answer_without_a_token(reply: str) -> None:
    """Refused, cut off, or nothing at all: a ValueError, never a signature with something else in it."""
    with pytest.raises(ValueError):
        token_of(bytes.fromhex(reply))


def test_keys_are_made_once_and_are_private(tmp_path: Path) -> None:
    """The second opening has the same certificate; a key that others may read is refused, a stranger's too."""
    first, second = (export_signer(tmp_path, "x", NOW).pem for _ in range(2))
    assert first == second
    assert (tmp_path / "export.key").stat().st_mode & 0o077 == 0
    assert (
        fingerprint(first)
        == _openssl("x509", "-in", tmp_path / "export.crt", "-noout", "-fingerprint", "-sha256")[1]
        .split("=")[1]
        .strip()
        .replace(":", "")
        .lower()
    )
    (tmp_path / "export.crt").write_bytes(stamping_certificate(tmp_path, "y", NOW))
    with pytest.raises(ConfigError, match="not the certificate"):
        export_signer(tmp_path, "x", NOW)
    (tmp_path / "tsa.key").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        stamping_certificate(tmp_path, "y", NOW)


def test_openssl_reads_the_query(tmp_path: Path) -> None:
    """SHA-256, our nonce, the certificate asked for."""
    query = tmp_path / "query"
    query.write_bytes(timestamp_query(b"content", 0x7FFF))
    code, said = _openssl("ts", "-query", "-in", query, "-text")
    assert code == 0
    assert "Hash Algorithm: sha256" in said
    assert "0x7FFF" in said
    assert "Certificate required: yes" in said
