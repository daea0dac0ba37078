"""Which key files others may use: each by name, whatever it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.crypto.permissions import DEPTH_MAX, refuse_open, too_open
from gateway.errors import ConfigError

NAMES = ("export.key", "tsa.key", "log-2.key", "authority/device-ca.key", "authority/deep/witness.key")


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A keys directory as it should be."""
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_bytes(b"x")
        path.chmod(0o600)
    (tmp_path / "export.crt").write_bytes(b"public")
    (tmp_path / "export.crt").chmod(0o644)
    return tmp_path


def test_as_it_should_be(keys: Path) -> None:
    """Nothing; certificates may be read; a directory may be listed; one that is not there is nobody's."""
    keys.chmod(0o755)
    refuse_open(keys, keys / "missing")
    assert too_open([keys]) == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o601, 0o666])
def test_each_key(keys: Path, name: str, mode: int) -> None:
    """The file and its mode are named."""
    (keys / name).chmod(mode)
    with pytest.raises(ConfigError, match=f"mode {mode:04o}; chmod 600") as caught:
        refuse_open(keys)
    assert caught.value.file == str(keys / name)


@pytest.mark.parametrize("name", ["", "authority"])
@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_directory_that_others_may_write_to(keys: Path, name: str, mode: int) -> None:
    """Whoever may write there puts a key of theirs in place of ours."""
    (keys / name).chmod(mode)
    try:
        (found,) = too_open([keys, keys / "authority"])
        assert found.path == keys / name
        assert "may write" in found.what
    finally:
        (keys / name).chmod(0o700)


def test_all_are_named_once(keys: Path) -> None:
    """Also where one directory lies in the other."""
    for name in NAMES[:3]:
        (keys / name).chmod(0o644)
    (keys / "authority/device-ca.key").chmod(0o644)
    assert len(too_open([keys, keys / "authority"])) == 4


def test_depth_has_an_end(keys: Path) -> None:
    """A directory within a directory, and so on: looked at so deep; links are not followed."""
    path = keys
    for number in range(DEPTH_MAX + 2):
        path = path / str(number)
        path.mkdir(mode=0o700)
    (path / "a.key").write_bytes(b"")
    (keys / "loop").symlink_to(keys)
    assert too_open([keys]) == []
