"""What OwnTracks apps encrypt."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.beacon.driver import Settings
from drivers.beacon.keyring import Keyring, read
from gateway.errors import WireError
from tests import peers

VECTOR = (
    "aUiEKyGnskRz383od0mu4uqxTIxeZUddBVxKEmsdv1FFSH2y0NwqLP1tTqOmxaFhGv0bNX1DT7o81FW9Yaxpla6Byvr6CZV3t2skQv8nlxiIv1Zp"
    "QWM1bqHE0JFHwD3/yRx9bLHRF3j67kWcO6o2D/xn4ma8Fd4u86NPobFkRIzIhJljphEZyDCGugp7H3FkydGvgEkljb1/P1K91E/ij+m73wFplvTQ"
    "m8ba5eWSFlQHDdY2B7QwbVPrKarHJLrm1+Y29+HD4Wg6TNhBJZLvdsmek6AcZLB+bq7Q84tUWoLrKp3aiyJZZX70q4HbVI3skkmDWMuMP2cDmsY9"
    "bvBjh1ZWAGlOq5VS1dWIlu6OWgWN9VdDbLzP+s2ykeFXrGs="
)
"""A location that the Android app encrypted with the passphrase `123` (its EncryptionProviderTest)."""


def message(data: object, kind: str = "encrypted") -> bytes:
    """As it is published."""
    return json.dumps({"_type": kind, "_id": "0571e18d", "data": data}).encode()


def file_of(folder: Path, text: str, mode: int = 0o600) -> str:
    """A key file."""
    path = folder / "owntracks.keys"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    """Two devices, the second with the wrong passphrase."""
    return read(file_of(tmp_path_factory.mktemp("keys"), 'bcn-1 = "123"\nbcn-2 = "124"\n'))


def test_what_the_app_encrypted(ring: Keyring) -> None:
    """The location is in it."""
    clear = json.loads(ring.opened("bcn-1", message(VECTOR)))
    assert clear["_type"] == "location"
    assert (clear["lat"], clear["lon"], clear["acc"], clear["tst"]) == (50.1182933, -5.5407733, 5, 1754215100)


@pytest.mark.parametrize(
    ("device", "data", "why"),
    [
        ("bcn-2", VECTOR, "does not open"),
        ("bcn-3", VECTOR, "no passphrase of bcn-3"),
        (None, VECTOR, "no passphrase"),
        ("bcn-1", "A" + VECTOR[1:-8] + "AAAAAAA=", "does not open"),
        ("bcn-1", "not base64!", "not base64"),
        ("bcn-1", "AAAA", "shorter than its nonce"),
        ("bcn-1", "", "shorter than its nonce"),
    ],
)
def test_what_stays_shut(ring: Keyring, device: str | None, data: str, why: str) -> None:
    """With the reason."""
    with pytest.raises(WireError, match=why):
        ring.opened(device, message(data))


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"tid":"encrypted"}', message(VECTOR, "location"), message(7), b'"encrypted"', b"\xff"]
)
def test_everything_else_is_left_as_it_is(ring: Keyring, payload: bytes) -> None:
    """Whoever reads it says what is wrong."""
    assert ring.opened("bcn-1", payload) == payload


@given(st.binary(max_size=200), st.text(min_size=1, max_size=8))
def test_there_and_back(tmp_path_factory: pytest.TempPathFactory, clear: bytes, phrase: str) -> None:
    """As an app does it; a bit that is another is noticed."""
    secret = peers.package("nacl.secret")
    octets = phrase.encode(errors="ignore")
    if not octets:
        return
    ring = Keyring({"d": secret.SecretBox(octets.ljust(32, b"\0"))})
    sealed = bytes(secret.SecretBox(octets.ljust(32, b"\0")).encrypt(clear, bytes(24)))
    assert ring.opened("d", message(base64.b64encode(sealed).decode())) == clear
    with pytest.raises(WireError):
        ring.opened("d", message(base64.b64encode(sealed[:-1] + bytes([sealed[-1] ^ 1])).decode()))


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ('a = "x"', 0o640, "chmod 600"),
        ('a = "x"', 0o604, "chmod 600"),
        ("a = ", 0o600, "is not TOML"),
        ('a = ""', 0o600, "a: a passphrase has 1 to 32"),
        (f'a = "{"x" * 33}"', 0o600, "a: a passphrase has 1 to 32"),
        ("a = 7", 0o600, "a: a passphrase has 1 to 32"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, text: str, mode: int, why: str) -> None:
    """By the settings already, so that a check of the configuration says it; never a passphrase in the words."""
    path = file_of(tmp_path, text, mode)
    with pytest.raises(msgspec.ValidationError, match=why) as refused:
        msgspec.convert({"keys_file": path}, Settings)
    assert "xxx" not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Named."""
    with pytest.raises(ValueError, match=r"keys_file: .*none cannot be read"):
        read(str(tmp_path / "none"))
