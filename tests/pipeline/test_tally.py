"""Counters kept across looks, and a clock that jumps."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.tally import STEP_S, Steps, Tally, losses


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans())))
def test_nothing_is_counted_twice_or_left_out(looks: list[tuple[int, bool]]) -> None:
    """Whatever comes between looks, kept or refused by the disk: what was kept adds up to what was counted."""
    tally, counter, added = Tally(), 0, 0
    for more, disk in looks:
        counter += more
        grown = tally.grown({"a": counter})
        if disk:
            added += grown.get("a", 0)
            tally.keep({"a": counter})
            assert added == counter
    assert added <= counter


def test_a_counter_that_began_anew() -> None:
    """What is smaller than it was is counted from zero."""
    tally = Tally()
    tally.keep({"a": 9})
    assert tally.grown({"a": 4, "b": 0}) == {"a": 4}


def test_which_counters_tell_of_losses() -> None:
    """Drops and what could not be written, by part; no frames that arrived."""
    counts = {"frames": 3.0, "journal_dropped": 2.0, "quarantined": 1.0, "quarantine_unwritable": 1.0}
    assert losses("intake", counts) == {"intake_journal_dropped": 2, "intake_quarantine_unwritable": 1}


@given(st.lists(st.floats(-100, 100), max_size=20))
def test_only_jumps_are_steps(jumps: list[float]) -> None:
    """A look after each jump says those beyond a second, and by how much; slow drift is none."""
    steps, wall = Steps(), 1_000_000.0
    assert steps.look(0.0, wall) is None
    for second, jump in enumerate(jumps, 1):
        wall += 1 + jump
        found = steps.look(float(second), wall)
        if abs(abs(jump) - STEP_S) > 0.01:
            assert (found is not None) == (abs(jump) > STEP_S)
        assert found is None or abs(found - jump) < 0.01
