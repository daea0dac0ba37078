"""A dock's configuration: closed, and wrong by file, key and what."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.crypto.notes import VerifierKey
from gateway.dock.settings import load
from gateway.errors import ConfigError

KEY = VerifierKey("lapel.test/log", bytes(32))
GOOD = '[dock]\nid = "dock-1"\nlog_key = "log.vkey"\n[[folder]]\npath = "in"\n[serials]\nA = "cam-1"\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a pinned key."""
    (tmp_path / "log.vkey").write_text(f"{KEY}\n")
    return tmp_path


def loaded(place: Path, text: str):
    """Read it."""
    (place / "dock.toml").write_text(text)
    return load(place / "dock.toml")


def test_what_is_not_said_has_a_default_and_paths_are_the_files(place):
    """Relative to the file, wherever one stands."""
    found = loaded(place, GOOD)
    assert (found.dock.after, found.dock.parallel, found.key) == ("keep", 4, KEY)
    assert (found.dock.state, found.folder[0].path) == (str(place / "dock-state"), str(place / "in"))
    assert found.serials == {"A": "cam-1"}


def test_the_example_is_in_order(place):
    """config/dock.toml, with a key beside it."""
    example = Path(__file__).parents[2] / "config" / "dock.toml"
    found = loaded(place, example.read_text())
    assert found == loaded(place, example.read_text())
    assert (found.dock.id, found.folder[0].path) == ("dock-1", "/srv/dock")
    fresh = loaded(place, GOOD)
    for name in ("after", "scan_s", "settle_s", "parallel", "segment_kib"):
        assert getattr(found.dock, name) == getattr(fresh.dock, name), "the example shows another default"
    for name in ("device_from", "recordings", "beside", "recording_id"):
        assert getattr(found.folder[0], name) == getattr(fresh.folder[0], name)


@pytest.mark.parametrize(
    ("change", "key", "words"),
    [
        (("[dock]", "[dokc]"), "dokc", "unknown section"),
        (('id = "dock-1"\n', ""), "dock.id", "required"),
        (('"dock-1"', '"../x"'), "dock.id", "not a valid device id"),
        (('id = "dock-1"', 'id = "dock-1"\nsettel_s = 3'), "dock.settel_s", "settle_s"),
        (('id = "dock-1"', 'id = "dock-1"\nafter = "move"'), "dock.move_to", "goes with"),
        (('id = "dock-1"', 'id = "dock-1"\nafter = "burn"'), "dock.after", "burn"),
        (('"log.vkey"', '"no.vkey"'), "dock.log_key", "cannot be read"),
        (('"log.vkey"', '"dock.toml"'), "dock.log_key", "verifier key"),
        (("[[folder]]", "[folder]"), "folder", "[[folder]]"),
        (('path = "in"', 'path = "in"\ndevice_from = "fixed"'), "folder[0].device", "goes with"),
        (('path = "in"', 'path = "in"\ndevice = "a b"'), "folder[0].device", "not a valid"),
        (('path = "in"', 'path = "in"\ndevice_from = "name"\nname = "("'), "folder[0].name", "regular expression"),
        (('path = "in"', 'path = "in"\ndevice_from = "name"\nname = "x"'), "folder[0].name", "serial"),
        (('path = "in"', 'path = "in"\ntime_format = "%Y"'), "folder[0].time_format", "time"),
        (('path = "in"', 'path = "in"\ntime_zone = "Mars/Base"'), "folder[0].time_zone", "no time zone"),
        (('A = "cam-1"', "A = 1"), "serials.A", "text"),
        (('A = "cam-1"', 'A = "+"'), "serials.A", "not a valid"),
        (("[serials]", "[broker]\nembedded = true\n[serials]"), "broker.embedded", "none"),
        (("[serials]", '[broker]\nca = "no.crt"\n[serials]'), "broker.ca", "cannot be read"),
        (("[dock]", "[dock"), "", "TOML"),
    ],
)
def test_what_is_wrong_is_named(place, change, key, words):
    """File, key, problem."""
    with pytest.raises(ConfigError) as caught:
        loaded(place, GOOD.replace(*change))
    assert (caught.value.key, caught.value.file) == (key, str(place / "dock.toml"))
    assert words in str(caught.value)
