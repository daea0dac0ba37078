"""Spans merged as a naive model has them; seconds by proportion, rounded outwards."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.work.playback import Played, Sitting, merged

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SPAN = st.tuples(st.integers(0, 60), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@given(st.lists(SPAN, max_size=30))
def test_spans_merge(spans: list[tuple[int, int]]) -> None:
    """In order, apart, and of the same bytes as all of them."""
    found: list[tuple[int, int]] = []
    for span in spans:
        found = merged(found, span)
    assert {n for start, end in found for n in range(start, end)} == {n for a, b in spans for n in range(a, b)}
    assert all(before[1] < after[0] for before, after in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("duration_s", "spans", "covered"),
    [
        (10.0, [(0, 1000)], {"covered": [[0, 10]]}),
        (10.0, [(0, 1), (999, 1000)], {"covered": [[0, 1], [9, 10]]}),
        (10.0, [(0, 150), (160, 200)], {"covered": [[0, 2]]}),
        (9.7, [(500, 1000)], {"covered": [[4, 10]]}),
        (None, [(5, 9)], {"covered_bytes": [[5, 9]]}),
        (10.0, [], {"covered": []}),
    ],
)
def test_seconds(duration_s: float | None, spans: list, covered: dict) -> None:
    """By proportion of the bytes; bytes where nobody knows the length."""
    played = Played(1000, duration_s, NOW, NOW)
    for span in spans:
        played.sent(*span, NOW)
    assert played.covered() == covered
    act = played.act(Sitting("ann", "token 1", "X-1"))
    assert (act.kind, act.actor, act.exhibit, act.facts) == ("play", "ann", "X-1", {})
    assert act.detail == {"session": "token 1", "began_at": "2026-11-21T00:00:00Z", **covered} | {
        "ended_at": "2026-11-21T00:00:00Z"
    }


def test_an_empty_recording() -> None:
    """Has no seconds to cover."""
    played = Played(0, 10.0, NOW, NOW)
    played.sent(0, 0, NOW)
    assert played.covered() == {"covered_bytes": []}
