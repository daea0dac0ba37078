"""The [dispatch] section: defaults that stand, and mistakes named at the start."""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec
import pytest

from gateway import settings as configuration
from gateway.dispatch.settings import DispatchSettings
from gateway.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config" / "lapel.toml"


def test_the_example_shows_the_defaults() -> None:
    """Every key but those that are off, each as it is."""
    shown = tomllib.loads(EXAMPLE.read_text("utf-8"))["dispatch"]
    known = msgspec.to_builtins(DispatchSettings())
    assert shown == {
        key: list(value) if isinstance(value, tuple) else value for key, value in known.items() if value is not None
    }
    assert set(known) - set(shown) == {"ack_text", "keep_days"}


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"attempts": 0}, "dispatch.attempts"),
        ({"patience_s": 0}, "dispatch.patience_s"),
        ({"en_route": [17]}, "dispatch.en_route[0]"),
        ({"en_rout": [5]}, "dispatch.en_rout"),
        ({"refused": [5]}, "dispatch"),
        ({"locate": "yes"}, "dispatch.locate"),
    ],
)
def test_mistakes(section: dict[str, object], key: str) -> None:
    """ConfigError with the key."""
    with pytest.raises(ConfigError) as wrong:
        configuration.parse({"dispatch": section})
    assert wrong.value.key == key


def test_a_force_s_own_table() -> None:
    """Codes may be swapped, several for one answer, or none."""
    made = configuration.parse({"dispatch": {"accepted": [], "en_route": [5, 15], "cancel_mark": "STOP "}}).dispatch
    assert (made.accepted, made.en_route, made.cancel_mark) == ((), (5, 15), "STOP ")
