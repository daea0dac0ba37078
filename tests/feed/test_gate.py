"""The gate by itself: what passes, what is held, and how soon the device is believed again."""

from __future__ import annotations

from math import cos, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.position import Fix
from gateway.feed.gate import AGREEING, LIMIT_MPS, Gate, _Point, distance_m

DEGREE_M = 111_195.0


def fix(north_m: float = 0.0, east_m: float = 0.0, accuracy_m: float | None = 8.0) -> Fix:
    """A fix so far from a place in Peterborough."""
    return Fix(52.57 + north_m / DEGREE_M, -0.24 + east_m / DEGREE_M / cos(radians(52.57)), accuracy_m)


def verdicts(kind, *fixes) -> list[str]:
    """What a new gate says of fixes (north_m, at_s)."""
    gate = Gate(kind)
    return [gate.judge(fix(north_m), at_s) for north_m, at_s in fixes]


def test_a_spike_is_held_and_the_next_good_one_accepted():
    """One fix 300 m away on a walk costs itself alone."""
    assert verdicts("foot", (0, 0), (7, 5), (307, 10), (21, 15)) == ["accepted", "accepted", "held", "accepted"]


def test_three_that_agree_are_where_it_is():
    """Carried off without a word: the third is believed, and the gate goes on from there."""
    said = verdicts("foot", (0, 0), (900, 5), (903, 10), (907, 15), (912, 20))
    assert said == ["accepted", "held", "held", "reanchored", "accepted"]


def test_a_spike_among_them_locks_nobody_out():
    """Held fixes that agree need not follow one another."""
    assert verdicts("foot", (0, 0), (900, 5), (903, 10), (-4000, 12), (907, 15))[-1] == "reanchored"


def test_two_far_apart_in_time_are_enough():
    """Every half a minute, the second that agrees is believed."""
    assert verdicts("foot", (0, 0), (900, 30), (930, 60))[1:] == ["held", "reanchored"]


def test_an_officer_who_gets_into_a_car():
    """Held fixes that move as a vehicle does: promoted, and the ride goes on unheld; two minutes after it, on foot."""
    ride = [(0, 0), *((60 * n, 5 * n) for n in range(1, 40))]
    said = verdicts("foot", *ride)
    assert said[:4] == ["accepted", "held", "held", "promoted"]
    assert set(said[4:]) == {"accepted"}
    after = verdicts("foot", *ride, (60 * 39, 195 + 121), (60 * 39 + 300, 195 + 126))
    assert after[-2:] == ["accepted", "held"]


@pytest.mark.parametrize(
    ("accuracy_m", "said"), [(8.0, "held"), (None, "held"), (150.0, "accepted"), (1e9, "accepted")]
)
def test_what_the_accuracies_allow(accuracy_m, said):
    """300 m in 5 s on foot, if each fix may be 150 m off; unknown accuracy is twenty metres."""
    gate = Gate("foot")
    gate.judge(fix(0, 0, accuracy_m), 0)
    assert gate.judge(fix(300, 0, accuracy_m), 5) == said
    assert gate.judge(fix(0, 20_000, accuracy_m), 10) == "held"


@pytest.mark.parametrize(("kind", "fastest"), [("foot", 8), ("cycle", 20), ("vehicle", 60)])
def test_each_class_has_its_speed(kind, fastest):
    """A little slower passes, a little faster does not."""
    assert verdicts(kind, (0, 0), (fastest * 99, 100))[-1] == "accepted"
    assert verdicts(kind, (0, 0), (fastest * 101 + 20, 100))[-1] == "held"


def test_trust_bypasses_it():
    """In an emergency the fix counts, and the gate goes on from it."""
    gate = Gate("foot")
    gate.judge(fix(), 0)
    gate.trust(fix(5000), 5)
    assert gate.judge(fix(5005), 10) == "accepted"


@given(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0, 120)), min_size=1, max_size=40),
    st.sampled_from(["foot", "cycle", "vehicle"]),
)
def test_no_device_is_locked_out(steps, kind):
    """Wherever it has been said to be: from where it stays, the third fix is believed at the latest."""
    gate, at_s = Gate(kind), 0.0
    for north_m, wait_s in steps:
        at_s += wait_s
        gate.judge(fix(min(north_m, 3e6)), at_s)
    said = [gate.judge(fix(1234.0, n), at_s + 5.0 * n) for n in range(1, AGREEING + 1)]
    assert "held" not in said[AGREEING - 1 :]


@given(st.floats(-89, 89), st.floats(-180, 180), st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_distance(latitude, longitude, north, east):
    """Near ones on the plane are what the haversine says, within a thousandth."""
    a = Fix(latitude, longitude)
    b = Fix(max(-90.0, min(90.0, latitude + north)), longitude + east)
    far = distance_m(a, b)
    cut = sum(
        distance_m(
            Fix(a.latitude + (b.latitude - a.latitude) * n / 4, a.longitude + (b.longitude - a.longitude) * n / 4),
            Fix(
                a.latitude + (b.latitude - a.latitude) * (n + 1) / 4,
                a.longitude + (b.longitude - a.longitude) * (n + 1) / 4,
            ),
        )
        for n in range(4)
    )
    assert far == pytest.approx(cut, rel=2e-3, abs=0.5)


@given(
    kind=st.sampled_from(list(LIMIT_MPS)),
    start=st.tuples(st.floats(-90, 90), st.floats(-180, 180)),
    step=st.tuples(st.floats(-0.05, 0.05), st.floats(-0.05, 0.05)),
    passed_s=st.floats(0, 600),
)
def test_what_is_near_without_trigonometry_is_within_reach(kind, start, step, passed_s):
    """The short cut never lets pass what the long way would hold."""
    lat, lon = max(-90.0, min(90.0, start[0] + step[0])), max(-180.0, min(180.0, start[1] + step[1]))
    gate, here, there = Gate(kind), _Point(Fix(*start, 0.0), 0.0), _Point(Fix(lat, lon, 0.0), passed_s)
    if gate._near(here, there):
        assert Gate._speed(here, there) <= LIMIT_MPS[kind] * (1 + 1e-9)
