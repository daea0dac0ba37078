"""The authority's files and certificates: as OpenSSL reads them, and whole after any crash."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from gateway.crypto import authority_files
from gateway.crypto.authority import AuthorityFiles, enrollable
from gateway.crypto.certificates import (
    Authority,
    Request,
    RequestError,
    Revoked,
    host_ok,
    new_key,
    public_of,
    read_request,
    self_signed,
)
from gateway.errors import ConfigError
from tests import peers

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


def request_of(key, name="cam-a", *more) -> bytes:
    """A PKCS#10 request as a device makes one."""
    names = [x509.NameAttribute(NameOID.COMMON_NAME, each) for each in (name, *more)]
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, algorithm)
    return made.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def files(tmp_path):
    """An authority, opened."""
    made = AuthorityFiles(tmp_path / "authority")
    made.open(NOW)
    return made


def openssl(*words):
    """What OpenSSL says."""
    return subprocess.run([peers.program("openssl"), *map(str, words)], capture_output=True, text=True)


def test_keys_are_for_their_owner_alone(files):
    """0600 and 0700, whatever the umask; certificates may be read."""
    old = os.umask(0)
    try:
        files.key_of("gateway")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in files.directory.iterdir()}
    assert stat.S_IMODE(files.directory.stat().st_mode) == 0o700
    assert {name: mode for name, mode in modes.items() if name.endswith(".key")} == dict.fromkeys(
        ("device-ca.key", "site-ca.key", "gateway.key"), 0o600
    )
    assert modes["device-ca.crt"] == 0o644


def test_a_key_that_others_may_read_is_refused(files):
    """As everywhere: chmod 600 is named."""
    (files.directory / "site-ca.key").chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        AuthorityFiles(files.directory).open(NOW)


def test_a_lost_key_is_never_replaced_silently(files):
    """A certificate without its key: another key would orphan every device."""
    (files.directory / "device-ca.key").unlink()
    with pytest.raises(ConfigError, match=r"device-ca\.key is gone"):
        AuthorityFiles(files.directory).open(NOW)
    (files.directory / "device-ca.key").write_bytes(new_key())
    (files.directory / "device-ca.key").chmod(0o600)
    with pytest.raises(ConfigError, match="not of this key"):
        AuthorityFiles(files.directory).open(NOW)
    (files.directory / "device-ca.key").write_text("junk")
    with pytest.raises(ConfigError, match="device-ca"):
        AuthorityFiles(files.directory).open(NOW)


def test_openssl_verifies_what_is_issued(files, tmp_path):
    """Purpose, chain, name and revocation, by a reader that is not ours."""
    issued = files.device.issue(Request("cam-a", public_of(new_key())), NOW, 365)
    server = files.certify("broker", NOW, 365, ["127.0.0.1", "broker.example"])
    files.write_revocations([Revoked(issued.serial, NOW)], [], NOW)
    (tmp_path / "d.crt").write_bytes(issued.pem)
    (tmp_path / "s.crt").write_bytes(server.pem)
    at = ["-attime", int(NOW.timestamp()) + 60]
    device, site = files.directory / "device-ca.crt", files.directory / "site-ca.crt"
    ok = openssl("verify", *at, "-purpose", "sslclient", "-x509_strict", "-CAfile", device, tmp_path / "d.crt")
    assert ok.returncode == 0, ok.stderr
    assert openssl("verify", *at, "-CAfile", site, tmp_path / "d.crt").returncode != 0
    assert openssl("verify", *at, "-purpose", "sslserver", "-CAfile", device, tmp_path / "d.crt").returncode != 0
    revoked = ["-crl_check", "-CRLfile", files.directory / "device-ca.crl"]
    assert "revoked" in openssl("verify", *at, *revoked, "-CAfile", device, tmp_path / "d.crt").stderr
    for host in (["-verify_ip", "127.0.0.1"], ["-verify_hostname", "broker.example"]):
        good = openssl(
            "verify", *at, "-x509_strict", "-purpose", "sslserver", *host, "-CAfile", site, tmp_path / "s.crt"
        )
        assert good.returncode == 0, good.stderr
    wrong = openssl("verify", *at, "-verify_hostname", "evil.example", "-CAfile", site, tmp_path / "s.crt")
    assert wrong.returncode != 0


def test_a_list_of_the_revoked_never_lapses_before_its_authority(files):
    """One that did would shut out every device at once."""
    files.write_revocations([], [], NOW)
    crl = x509.load_pem_x509_crl((files.directory / "device-ca.crl").read_bytes())
    assert crl.next_update_utc == files.device.ends
    assert files.device.ends - NOW > timedelta(days=19 * 365)


def test_a_request_is_checked():
    """Name and key come back, PEM or DER, P-256 or Ed25519."""
    for key in (ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()):
        pem = request_of(key)
        read = read_request(pem)
        assert read.name == "cam-a"
        assert read == read_request(x509.load_pem_x509_csr(pem).public_bytes(serialization.Encoding.DER))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no certificate signing request"),
        (b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "no certificate signing"),
        (b"x" * 20_000, "at most"),
        (request_of(rsa.generate_private_key(65537, 2048)), "neither P-256 nor Ed25519"),
        (request_of(ec.generate_private_key(ec.SECP384R1())), "neither P-256 nor Ed25519"),
        (request_of(ec.generate_private_key(ec.SECP256R1()), "cam-a", "gateway"), "2 names"),
    ],
)
def test_what_is_no_good_request_is_refused(content, said):
    """With what is wrong."""
    with pytest.raises(RequestError, match=said):
        read_request(content)


def test_a_request_that_another_key_signed_is_refused():
    """Whoever asks must hold the key."""
    der = x509.load_pem_x509_csr(request_of(ec.generate_private_key(ec.SECP256R1()))).public_bytes(
        serialization.Encoding.DER
    )
    flipped = der[:-3] + bytes([der[-3] ^ 1]) + der[-2:]
    with pytest.raises(RequestError):
        read_request(flipped)


@pytest.mark.parametrize(
    "name", ["gateway", "broker", "lapel-probe", "", "a/b", "a+b", "#", "a" * 65, "../x", "a b", "é"]
)
def test_names_that_no_device_may_bear(name):
    """Reserved ones, and everything that would mean something in a topic or a path."""
    with pytest.raises(ValueError, match=r"reserved|not a valid"):
        enrollable(name)


def test_an_authority_knows_its_own(files):
    """And nobody else's, though it bear the same name."""
    key = new_key()
    mine = files.device.issue(Request("cam-a", public_of(new_key())), NOW, 10).pem
    other = Authority(key, self_signed(key, "Lapel device authority", NOW))
    assert files.device.issued(mine).name == "cam-a"
    assert other.issued(mine) is None
    assert files.site.issued(mine) is None
    assert files.device.issued(b"junk") is None


def test_no_certificate_outlives_its_authority(files):
    """However long it is asked for."""
    late = files.device.ends - timedelta(days=5)
    assert files.device.issue(Request("cam-a", public_of(new_key())), late, 365).not_after == files.device.ends


@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("10.0.0.1", True),
        ("::1", True),
        ("broker.example", True),
        ("a b", False),
        ("", False),
        ("-x", False),
        ("é", False),
    ],
)
def test_hosts_that_a_certificate_can_bear(host, good):
    """Names and addresses."""
    assert host_ok(host) is good


@pytest.mark.parametrize("step", ["link", "fsync", "unlink"])
@pytest.mark.parametrize("number", range(1, 9))
def test_killed_anywhere_the_next_start_has_a_whole_authority(tmp_path, monkeypatch, step, number):
    """The n-th call of each kind is the last thing that happens: no half file, and going on gives a good authority."""
    where = tmp_path / "authority"

    class Killed(BaseException):
        """The process is gone."""

    calls = 0

    def dying(real):
        def call(*given, **words):
            nonlocal calls
            calls += 1
            if calls == number:
                raise Killed
            return real(*given, **words)

        return call

    with monkeypatch.context() as patch:
        target = authority_files.Path if step == "unlink" else os
        patch.setattr(target, step, dying(getattr(target, step)))
        with contextlib.suppress(Killed):
            AuthorityFiles(where).open(NOW)
    before = {path.name: path.read_bytes() for path in where.glob("[ds]*-ca.*")}
    for name, content in before.items():
        assert content.endswith(b"-----\n"), name
    again = AuthorityFiles(where)
    again.open(NOW)
    assert again.device.issued(again.device.issue(Request("cam-a", public_of(new_key())), NOW, 1).pem)
    assert {name: (where / name).read_bytes() for name in before} == before


def test_the_first_of_two_makers_counts(tmp_path):
    """Two commands at once make one authority."""
    authority_files.folder(tmp_path / "a")
    assert authority_files.create(tmp_path / "a" / "k", b"one")
    assert not authority_files.create(tmp_path / "a" / "k", b"two")
    assert (tmp_path / "a" / "k").read_bytes() == b"one"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["k"]
