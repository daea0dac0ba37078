"""Device clocks that are off."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.board import Board
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import EmergencyMark
from gateway.feed.timing import TOLD_KEPT, Timing
from tests.feed.shift import Roster, SetClock, at, who

AHEAD_S = 5.0
NOON_S = 1_795_000_000.0


def counted(*offsets: float, every_s: float = 10.0) -> list[tuple[float, bool]]:
    """By how many seconds before its arrival each fix counts, for a device whose clock differs so."""
    timing = Timing()
    said = []
    for number, offset in enumerate(offsets):
        arrived_s = NOON_S + number * every_s
        at_s, off = timing.counts_for(arrived_s + offset, arrived_s, AHEAD_S)
        said.append((arrived_s - at_s, off))
    return said


def test_a_right_clock():
    """A second or two late is the network."""
    assert counted(-1, -2, 0, 3) == [(1, False), (2, False), (0, False), (0, False)]


def test_a_clock_ahead_counts_as_arrival_at_once_and_is_learnt():
    """An hour ahead: at first the arrival, later the arrival less the way that it took."""
    said = counted(*(3600 - delay for delay in (1, 1, 1, 1, 1, 3)))
    assert said[0] == (0, True)
    assert said[-1] == (2, True)


def test_a_clock_behind_is_learnt():
    """An hour behind, five times the same: from then on its fixes are as new as they are."""
    said = counted(*[-3600.0 - delay for delay in (1, 2, 1, 1, 1, 2)])
    assert said[0] == (3601, False)
    assert (said[-1][0] <= 2, said[-1][1]) == (True, True)


def test_a_queue_of_old_fixes_is_no_clock_behind():
    """An hour without coverage, then all at once: each stays as old as it is."""
    said = counted(*[-3600.0 + 10 * number for number in range(300)], every_s=0.01)
    assert not any(off for _, off in said)
    assert said[0][0] == 3600


def test_a_clock_put_right_is_believed():
    """After being an hour ahead."""
    assert counted(*[3600.0] * 10, -1.0)[-1] == (1, False)


@given(st.lists(st.floats(-1e9, 1e9), max_size=60))
def test_nothing_counts_for_later_than_its_arrival(offsets):
    """Whatever a clock says."""
    assert all(before_s >= 0 for before_s, _ in counted(*offsets))


@given(st.lists(st.integers(0, 60).map(float), max_size=200))
def test_a_moment_told_again_is_known_by_the_last_of_them(moments):
    """As a plain list of the last so many would say, whatever the order."""
    timing, kept = Timing(), []
    for moment in moments:
        assert timing.again(moment) == (moment in kept)
        if moment not in kept:
            kept = [*kept, moment][-TOLD_KEPT:]


def test_the_last_thirty_two_times_are_remembered():
    """A fix that comes again behind 31 others is known; behind 32 it is, at the latest, an old one."""
    board, roster, clock = Board(FeedSettings()), Roster(), SetClock()
    unit = roster.enlist(1)
    board.refresh(roster, clock.now())
    told = [at(clock.on(1)) for _ in range(40)]
    assert {board.place(each, who(unit)) for each in told} == {"live"}
    outcomes = [board.place(each, who(unit)) for each in reversed(told)]
    assert outcomes == ["duplicates"] * 32 + ["late"] * 8


def test_each_device_has_times_of_its_own():
    """Two devices whose fixes bear the same second are two."""
    board, roster, clock = Board(FeedSettings()), Roster(), SetClock()
    unit = roster.enlist(1)
    board.refresh(roster, clock.now())
    now = clock.on(1)
    for device in ("bcn-1", "cam-1"):
        assert board.place(at(now, device=device), who(unit)) in ("live", "kept")
        assert board.place(at(now, device=device), who(unit)) == "duplicates"


def test_in_an_emergency_the_gate_holds_nothing():
    """The same jump: held before the press, shown after it, with no mark."""
    board, roster, clock = Board(FeedSettings()), Roster(), SetClock()
    unit = roster.enlist(1)
    board.refresh(roster, clock.now())
    board.place(at(clock.on(1), 52.57), who(unit))
    assert board.place(at(clock.on(1), 52.58), who(unit)) == "held"
    mark = EmergencyMark("EM-1", "active", "2026-11-21T21:00:00Z", None, None, ("manual",), 1, delivered=False)
    board.set_emergency(unit, mark)
    assert board.place(at(clock.on(1), 52.58), who(unit)) == "live"
    assert board.units[unit].live.fix.latitude == 52.58
    assert board.units[unit].live.quality == ()
