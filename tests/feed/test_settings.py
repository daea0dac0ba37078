"""What the `[feed]` section takes for radios, and what it refuses."""

from __future__ import annotations

import pytest

from gateway.errors import ConfigError
from gateway.settings import parse


def test_as_written() -> None:
    """Seconds, and a status value as TOML reads 0x80F0."""
    feed = parse({"feed": {"emergency_repeat_s": 2, "emergency_alarm_s": 7.5, "test_status": 0x80F0}}).feed
    assert (feed.emergency_repeat_s, feed.emergency_alarm_s, feed.test_status) == (2, 7.5, 0x80F0)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("test_status", 0),
        ("test_status", 0x7C00),
        ("test_status", 0x10000),
        ("test_status", "80F0"),
        ("emergency_repeat_s", 0),
        ("emergency_alarm_s", -1),
    ],
)
def test_refused(key: str, value: object) -> None:
    """A test status is neither the emergency (0) nor a delivery report (7C00 to 7FFF); a wait is longer than none."""
    with pytest.raises(ConfigError, match=f"feed.{key}"):
        parse({"feed": {key: value}})
