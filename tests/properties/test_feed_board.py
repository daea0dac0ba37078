"""The board against a model: the live position only ever goes forward in time, and every feature is valid."""

from __future__ import annotations

import json
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed import encode
from gateway.feed.board import Board
from gateway.feed.settings import FeedSettings
from tests.feed.schema import check_feature
from tests.feed.shift import Roster, SetClock, at, who

reports = st.lists(
    st.tuples(
        st.floats(0, 120),
        st.sampled_from(["bcn-1", "trm-1", "cam-1"]),
        st.one_of(st.none(), st.floats(-60, 1200)),
        st.one_of(st.none(), st.floats(-5, 5000)),
        st.booleans(),
        st.sampled_from([(), ("low_accuracy",), ("something_else", "clock_skew")]),
        st.one_of(st.none(), st.integers(0, 16)),
    ),
    max_size=40,
)
SOURCES = {"bcn-1": "mqtt", "trm-1": "lip", "cam-1": "bwc"}


@settings(derandomize=True, deadline=None)
@given(reports)
def test_the_live_position_never_goes_back(story) -> None:
    """Late, doubled, skewed or from another device: fix times of what is shown rise, and each feature is valid."""
    board, roster, clock = Board(FeedSettings()), Roster(), SetClock()
    unit = roster.enlist(1)
    board.refresh(roster, clock.now())
    standing, shown_s = board.units[unit], -math.inf
    for wait_s, device, age_s, accuracy_m, late, quality, code in story:
        now = clock.on(wait_s)
        board.age(now)
        more = {"device": device, "source": SOURCES[device], "accuracy_m": accuracy_m, "late": late}
        outcome = board.place(at(now, age_s=age_s, **more), who(unit, "P-1", device), quality)
        assert not (late and outcome in ("live", "kept"))
        if code is not None and 0 < code < 12:
            board.set_duty(unit, code, now.utc.timestamp(), "sds_status")
        if standing.live is not None:
            assert standing.live.fix_s >= shown_s
            assert standing.live.fix_s <= now.utc.timestamp() + 5.001
            shown_s = standing.live.fix_s
        if standing.hidden:
            assert standing.live is None
            assert not standing.sightings
            shown_s = -math.inf
        check_feature(json.loads(encode.feature(standing, now.mono_s)))
    assert sum(board.counts.values()) == len(story)
