"""How old a position may be before it is called ageing, stale or lost. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

Fresh = Literal["live", "ageing", "stale", "lost", "never"]

LIVE_AT_LEAST_S = 20.0
"""A source reporting every few seconds is not called ageing for one lost report."""
STALE_UNTIL_S = 600.0


class Pace(msgspec.Struct, frozen=True, gc=False):
    """The three ages at which a source's position changes its name, and its hold-down."""

    live_s: float
    ageing_s: float
    stale_s: float
    hold_s: float


def pace_of(interval_s: float) -> Pace:
    """Live up to 1.5 intervals (20 s at least), ageing up to 3, stale up to ten minutes; hold-down 2."""
    live_s = max(1.5 * interval_s, LIVE_AT_LEAST_S)
    ageing_s = max(3 * interval_s, live_s)
    return Pace(live_s, ageing_s, max(STALE_UNTIL_S, ageing_s), 2 * interval_s)


def freshness(age_s: float, pace: Pace) -> Fresh:
    """Name an age."""
    if age_s <= pace.live_s:
        return "live"
    if age_s <= pace.ageing_s:
        return "ageing"
    return "stale" if age_s <= pace.stale_s else "lost"


def next_change_s(age_s: float, pace: Pace) -> float | None:
    """The age at which its name changes next; None once lost."""
    for limit in (pace.live_s, pace.ageing_s, pace.stale_s):
        if age_s <= limit:
            return limit
    return None
