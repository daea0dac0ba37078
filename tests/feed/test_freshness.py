"""Ages and their names."""

from __future__ import annotations

import pytest

from gateway.feed.freshness import freshness, next_change_s, pace_of


@pytest.mark.parametrize(
    ("interval_s", "live_s", "ageing_s"), [(60, 90, 180), (10, 20, 30), (30, 45, 90), (1, 20, 20), (300, 450, 900)]
)
def test_the_sources_paces(interval_s, live_s, ageing_s) -> None:
    """LIP is live for 90 s, a beacon for 20 s, a camera for 45 s."""
    pace = pace_of(interval_s)
    assert (pace.live_s, pace.ageing_s) == (live_s, ageing_s)
    assert pace.stale_s >= 600
    assert pace.hold_s == 2 * interval_s


@pytest.mark.parametrize(
    ("age_s", "name"),
    [
        (-5, "live"),
        (0, "live"),
        (20, "live"),
        (20.1, "ageing"),
        (30, "ageing"),
        (31, "stale"),
        (600, "stale"),
        (601, "lost"),
    ],
)
def test_a_beacons_ages(age_s, name) -> None:
    """A limit belongs to the better name."""
    assert freshness(age_s, pace_of(10)) == name


def test_each_change_is_foreseen() -> None:
    """From any age the next limit is where the name changes; lost stays lost."""
    pace, age_s, names = pace_of(60), 0.0, []
    while (limit := next_change_s(age_s, pace)) is not None:
        assert freshness(limit, pace) == freshness(age_s, pace)
        names.append(freshness(limit, pace))
        age_s = limit + 0.001
        assert freshness(age_s, pace) != names[-1]
    assert names == ["live", "ageing", "stale"]
