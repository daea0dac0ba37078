"""Signers by URI: what is named, what is refused, and the keys that follow."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.key_files import new_pem, write_new
from gateway.crypto.signers import FileLogKeys, KeyFiles, Uris, check_uris, key_files, log_keys
from gateway.errors import ConfigError


@pytest.mark.parametrize(
    ("uri", "path"),
    [("file:log.key", "log.key"), ("file:sub/a.b.key", "sub/a.b.key"), ("file:/etc/x.key", "/etc/x.key")],
)
def test_files(tmp_path: Path, uri: str, path: str) -> None:
    """Relative to the keys directory, or absolute."""
    assert key_files(uri, tmp_path).first == tmp_path / path


@pytest.mark.parametrize("uri", ["", "log.key", ":log.key", "file:", "FILE:log.key", "file:log", "file:.key", "x y:z"])
def test_what_is_no_uri(tmp_path: Path, uri: str) -> None:
    """ConfigError with the setting's name."""
    with pytest.raises(ConfigError) as caught:
        log_keys(uri, tmp_path)
    assert caught.value.key == "log.signer"


def test_other_schemes(tmp_path: Path) -> None:
    """PKCS#11 is known and not here; anything else is not known; each setting by its name."""
    with pytest.raises(ConfigError, match="not available in this build"):
        key_files("pkcs11:token=lapel;object=log", tmp_path)
    with pytest.raises(ConfigError, match=r"there are file:, pkcs11:"):
        key_files("gcpkms:projects/p", tmp_path)
    check_uris(Uris())
    with pytest.raises(ConfigError) as caught:
        check_uris(Uris(export="pkcs11:x"))
    assert caught.value.key == "evidence.export_signer"


@given(st.text(max_size=40))
def test_never_another_error(text: str) -> None:
    """Whatever is written there: files, or a ConfigError."""
    with contextlib.suppress(ConfigError):
        assert key_files(text, Path("/keys")).first.suffix == ".key"


@given(st.sets(st.integers(1, 300), max_size=6))
def test_numbers(numbers: set[int]) -> None:
    """Print and read are inverse; what only looks alike is passed over."""
    files = KeyFiles(Path("/keys/log.key"))
    names = [files.path(number).name for number in numbers] + ["log-1.key", "log-02.key", "log-x.key", "logs.key"]

    class Here(type(files.first)):  # type: ignore[misc]
        def glob(self, pattern: str) -> list[Path]:
            return [Path(name) for name in names if Path(name).match(pattern)]

    files.first = Here("/keys") / "log.key"
    assert files.numbers == sorted(numbers)


def test_the_newest_begins_and_every_one_is_found(tmp_path: Path) -> None:
    """As a signer it is the newest; by public key any; one made or destroyed by another process too."""
    keys = FileLogKeys(KeyFiles(tmp_path / "log.key"))
    with pytest.raises(ConfigError, match=r"log\.key"):
        keys.load()
    keys.load(create=True)
    first = keys.public
    other = FileLogKeys(KeyFiles(tmp_path / "log.key"))
    other.load()
    second = other.fresh()
    assert second.public == other.public != first
    found = keys.of(second.public)
    assert found is not None
    assert found.sign(b"m") == second.sign(b"m") == other.sign(b"m")
    assert keys.publics() == [first, second.public]
    assert other.forget(first)
    assert keys.still(first) is None
    assert keys.of(first) is not None
    assert keys.still(second.public) is not None
    assert keys.of(bytes(32)) is keys.still(bytes(32)) is None
    assert [name for name, _ in other.listed()] == ["log-2.key"]


def test_numbers_are_not_used_again(tmp_path: Path) -> None:
    """After the tenth comes the eleventh, whatever was destroyed between."""
    write_new(tmp_path / "log-10.key", new_pem())
    keys = FileLogKeys(KeyFiles(tmp_path / "log.key"))
    keys.load(create=True)
    assert not (tmp_path / "log.key").exists()
    keys.fresh()
    assert (tmp_path / "log-11.key").stat().st_mode & 0o777 == 0o600
