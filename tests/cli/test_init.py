"""`lapel init`: what it writes is good, its owner's alone, and never over anything."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import settings as configuration
from gateway.cli.init import steps
from gateway.cli.init_text import PROFILES, Site, text
from tests.cli.conftest import Lapel


def below(folder: Path) -> dict[str, int]:
    """Everything there with its rights."""
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("profile", "kinds", "keys"),
    [("full", ["beacon", "camera"], True), ("positions", ["beacon"], False), ("cameras", ["camera"], True)],
)
def test_each_profile(lapel: Lapel, tmp_path: Path, profile: str, kinds: list[str], keys: bool) -> None:
    """It checks, has those inputs, and nobody else can read any of it, whatever the umask."""
    before = os.umask(0)
    try:
        done = lapel("init", "--profile", profile, "-o", tmp_path / "site", "--json")
    finally:
        os.umask(before)
    assert done.code == 0, done.err
    assert (done.json["config"], done.json["keys"] is not None) == (str(tmp_path / "site/lapel.toml"), keys)
    checked = lapel("check", "-c", tmp_path / "site/lapel.toml", "--json").json
    assert [each["kind"] for each in checked["driver"]] == kinds
    assert checked["evidence"]["enabled"] is keys
    rights = {"data": 0o700, "lapel.toml": 0o600, "people.toml": 0o600}
    kept = {"data/keys": 0o700, "data/keys/kek-1.key": 0o600, "data/keys/log.key": 0o600}
    assert below(tmp_path / "site") == rights | (kept if keys else {})
    assert stat.S_IMODE((tmp_path / "site").stat().st_mode) == 0o700
    assert lapel("roster", "import", done.json["roster"], "-c", done.json["config"]).code == 0


def test_nothing_is_overwritten(lapel: Lapel, tmp_path: Path) -> None:
    """A folder with anything in it, a file, no place to make it: exit 2, and all is as it was; an empty one will do."""
    site = tmp_path / "site"
    site.mkdir()
    assert lapel("init", "-o", site).code == 0
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    again = lapel("init", "-o", site, "--profile", "cameras")
    assert (again.code, "is not empty: nothing there is overwritten" in again.err) == (2, True)
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before
    for target, said in ((site / "lapel.toml", "is no folder"), (tmp_path / "a/b", "there is no such folder")):
        refused = lapel("init", "-o", target)
        assert (refused.code, said in refused.err) == (2, True)
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--broker", "mqtt.example"), "--broker: give HOST:PORT"),
        (("--broker", "mqtt.example:0"), "--broker: give HOST:PORT"),
        (("--broker", ":1883"), "--broker: give HOST:PORT"),
        (("--name", "a b"), "gateway.instance"),
        (("--origin", "a b"), "log.origin"),
        (("--profile", "cameras", "--terminal", "/dev/ttyUSB0"), "--terminal"),
        (("--profile", "all"), "--profile"),
        (("--name", "a\udcff"), "Error: "),
        (("--terminal", "a\udcff"), "Error: "),
    ],
)
def test_a_wrong_word_makes_nothing(lapel: Lapel, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    """Exit 2 by its name, before anything is made."""
    done = lapel("init", "-o", tmp_path / "site", *words)
    assert (done.code, said in done.err, (tmp_path / "site").exists()) == (2, True, False), done.err


def test_a_disk_that_fails_leaves_no_configuration(
    lapel: Lapel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration comes last; what a failed try left is not gone over by the next one."""
    with monkeypatch.context() as patch:
        patch.setattr("gateway.crypto.keys.KeyStore.load", _full)
        done = lapel("init", "-o", tmp_path / "site")
    assert (done.code, "No space left" in done.err, (tmp_path / "site/lapel.toml").exists()) == (1, True, False)
    assert lapel("init", "-o", tmp_path / "site").code == 2


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device", "keys")


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(st.sampled_from(PROFILES), WORDS, st.lists(WORDS, max_size=3), st.booleans())
def test_whatever_is_said_comes_back(profile: str, host: str, terminals: list[str], embedded: bool) -> None:
    """Quotes, newlines and brackets stay in their string; nothing becomes a key of its own."""
    ports = tuple(terminals) if profile != "cameras" else ()
    site = Site(profile, "lapel-1", host, 1883, 0, None, embedded, ports)
    raw = tomllib.loads(text(site))
    assert [each["port"] for each in raw["driver"] if each["kind"] == "tetra"] == list(ports)
    assert raw["broker"] == ({"embedded": True, "port": 1883} if embedded else {"host": host, "port": 1883})
    settings = configuration.parse(raw)
    assert settings.evidence.enabled == (profile != "positions")
    commands = [step.command for step in steps(Path("/srv/it's/lapel.toml"), site)]
    assert sum(command is not None and command.startswith("lapel run ") for command in commands) == 1
