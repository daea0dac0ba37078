"""Key files: made once, read strictly, refused where others may read them."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from gateway.crypto.keys import KeyStore
from gateway.errors import ConfigError, EvidenceError, IntegrityError, MisuseError


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    """A fresh store with one KEK."""
    store = KeyStore(tmp_path / "keys")
    store.load(create=True)
    return store


def test_made_once_and_read_again(keys: KeyStore) -> None:
    """A second load, also with create, keeps what is there; modes are 0600 and 0700."""
    again = KeyStore(keys.directory)
    again.load(create=True)
    assert again.log_signer.public == keys.log_signer.public
    kek, sealed = keys.wrap("n", b"secret")
    assert (kek, again.unwrap("n", kek, sealed)) == ("kek-1", b"secret")
    assert sorted(path.name for path in keys.directory.iterdir()) == ["kek-1.key", "log.key"]
    assert {oct(path.stat().st_mode & 0o777) for path in keys.directory.iterdir()} == {"0o600"}
    assert keys.directory.stat().st_mode & 0o777 == 0o700


def test_signatures_verify_elsewhere(keys: KeyStore, tmp_path: Path) -> None:
    """The library and stock openssl take the key file and the signature."""
    Ed25519PublicKey.from_public_bytes(keys.log_signer.public).verify(keys.log_signer.sign(b"m"), b"m")
    command = ["openssl", "pkey", "-in", str(keys.directory / "log.key"), "-pubout", "-outform", "DER"]
    assert subprocess.run(command, capture_output=True, check=True).stdout[-32:] == keys.log_signer.public


def test_nothing_is_made_unasked(tmp_path: Path) -> None:
    """Without create, missing keys are named."""
    with pytest.raises(ConfigError, match=r"kek-<n>\.key"):
        KeyStore(tmp_path).load()
    (tmp_path / "kek-1.key").write_bytes(base64.b64encode(bytes(32)))
    (tmp_path / "kek-1.key").chmod(0o600)
    with pytest.raises(ConfigError, match=r"log\.key"):
        KeyStore(tmp_path).load()


def test_the_newest_wraps_and_all_unwrap(keys: KeyStore) -> None:
    """By number, not by name: kek-10 is newer than kek-9."""
    old = keys.wrap("n", b"old")
    for _ in range(9):
        keys.add_kek()
    again = KeyStore(keys.directory)
    again.load()
    for store in (keys, again):
        assert store.kek_ids[-1] == "kek-10"
        assert store.wrap("n", b"new")[0] == "kek-10"
        assert store.unwrap("n", *old) == b"old"


def test_what_does_not_unwrap(keys: KeyStore) -> None:
    """A KEK that is gone, another name, changed bytes."""
    kek, sealed = keys.wrap("n", b"secret")
    with pytest.raises(EvidenceError, match="kek-7"):
        keys.unwrap("n", "kek-7", sealed)
    with pytest.raises(IntegrityError):
        keys.unwrap("m", kek, sealed)


@pytest.mark.parametrize("name", ["kek-1.key", "log.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_refuses_what_others_may_read(keys: KeyStore, name: str, mode: int) -> None:
    """ConfigError names the file."""
    (keys.directory / name).chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600") as caught:
        KeyStore(keys.directory).load()
    assert caught.value.file == str(keys.directory / name)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x",
        base64.b64encode(bytes(31)),
        base64.b64encode(bytes(32)) + b"\n\n",
        b" " + base64.b64encode(bytes(32)),
        b"\xff" * 44,
    ],
)
def test_refuses_a_kek_that_is_none(keys: KeyStore, content: bytes) -> None:
    """Exactly one line of base64 of 32 bytes."""
    (keys.directory / "kek-1.key").write_bytes(content)
    with pytest.raises(ConfigError, match="kek"):
        KeyStore(keys.directory).load()


@pytest.mark.parametrize("name", ["kek-0.key", "kek-01.key", "kek-x.key", "kek-.key"])
def test_refuses_a_kek_without_a_number(keys: KeyStore, name: str) -> None:
    """A key that would never be found again is said at start-up."""
    (keys.directory / name).write_bytes(base64.b64encode(bytes(32)))
    with pytest.raises(ConfigError, match="not named"):
        KeyStore(keys.directory).load()


def test_refuses_a_log_key_of_another_kind(keys: KeyStore) -> None:
    """Not PEM, encrypted, or not Ed25519."""
    path = keys.directory / "log.key"
    private = ec.generate_private_key(ec.SECP256R1())
    forms = [
        b"no PEM",
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
    ]
    for form in forms:
        path.write_bytes(form)
        with pytest.raises(ConfigError, match=r"log\.key"):
            KeyStore(keys.directory).load()


def test_an_unloaded_store_says_so(tmp_path: Path) -> None:
    """Using it is our own mistake."""
    with pytest.raises(MisuseError):
        KeyStore(tmp_path).wrap("n", b"")
    with pytest.raises(MisuseError):
        _ = KeyStore(tmp_path).log_signer
