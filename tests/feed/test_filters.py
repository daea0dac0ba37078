"""What a consumer wants to see."""

from __future__ import annotations

import pytest

from gateway.feed.board import Board
from gateway.feed.filters import ALL, Filters
from gateway.feed.settings import FeedSettings
from tests.feed.shift import Roster, SetClock, at, who


def _standing(*, code=2, lat=52.57, lon=-0.24, located=True):
    board, roster, clock = Board(FeedSettings()), Roster(), SetClock()
    unit = roster.enlist(1, powers=("pcn", "csas.litter"))
    board.refresh(roster, clock.now())
    if located:
        board.place(at(clock.now(), lat, lon), who(unit))
    if code is not None:
        board.set_duty(unit, code, clock.utc.timestamp(), "api")
    return board.units[unit]


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        (ALL, True),
        (Filters(agency=("PCC",)), True),
        (Filters(agency=("CAMBS", "PCC")), True),
        (Filters(agency=("CAMBS",)), False),
        (Filters(role=("CSO",)), True),
        (Filters(role=("PC",)), False),
        (Filters(power=("pcn", "csas.litter")), True),
        (Filters(power=("pcn", "constable")), False),
        (Filters(duty=("available",)), True),
        (Filters(duty=("2",)), True),
        (Filters(duty=("court",)), False),
        (Filters(duty=("unknown",)), False),
        (Filters(bbox=(-1, 52, 0, 53)), True),
        (Filters(bbox=(0, 52, 1, 53)), False),
        (Filters(bbox=(-1, 53, 0, 54)), False),
        (Filters(bbox=(170, 50, 0, 53)), True),
        (Filters(bbox=(170, 50, -170, 53)), False),
        (Filters(max_age_s=10), False),
        (Filters(max_age_s=40), True),
        (Filters(agency=("PCC",), duty=("court",)), False),
    ],
)
def test_each_filter(filters, fits) -> None:
    """By itself and together, thirty seconds after the fix."""
    assert filters.match(_standing(), 1030.0) == fits


def test_unknown_duty_and_no_position() -> None:
    """Found by name only, and never inside a box."""
    standing = _standing(code=None, located=False)
    assert Filters(duty=("unknown",)).match(standing, 1000.0)
    assert not Filters(duty=("on_duty",)).match(standing, 1000.0)
    assert not Filters(bbox=(-180, -90, 180, 90)).match(standing, 1000.0)
    assert not Filters(max_age_s=1e9).match(standing, 1000.0)
