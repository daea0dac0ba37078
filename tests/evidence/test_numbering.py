"""A camera's counter: gaps, late numbers, reboots; whatever order the words come in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.cameras import Counter
from gateway.evidence.numbering import number

T0 = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """So many minutes into the shift."""
    return T0 + timedelta(minutes=minutes)


def after(*told: tuple[int, float]) -> Counter:
    """The counter after these (number, minute)."""
    counter = Counter()
    for n, minute in told:
        counter = number(counter, n, at(minute)).counter
    return counter


def test_the_first_number_says_nothing_of_those_before() -> None:
    """A camera that we have never met has a past that is not ours."""
    taken = number(Counter(), 17, at(0))
    assert (taken.gaps, taken.renumbered, taken.counter.high, taken.counter.low) == ((), False, 17, 17)


def test_up_by_one_and_up_by_more() -> None:
    """The next number is no gap; what lies between is one."""
    counter = after((17, 0))
    assert number(counter, 18, at(1)).gaps == ()
    assert number(counter, 21, at(1)).gaps == ((18, 20),)


def test_no_number_moves_nothing() -> None:
    """A camera that counts nothing."""
    counter = after((17, 0))
    assert number(counter, None, at(1)).counter == counter


def test_a_late_number_is_no_reboot() -> None:
    """Told with a time before the highest: it fills, or moves the low end."""
    counter = after((17, 0), (20, 3))
    late = number(counter, 18, at(1))
    assert (late.renumbered, late.gaps, late.counter, late.generation) == (False, (), counter, 0)
    lower = number(counter, 14, at(-3))
    assert (lower.gaps, lower.counter.low, lower.renumbered) == (((15, 16),), 14, False)


def test_a_reboot() -> None:
    """Down with a later time: a new numbering, one span for what is below, no million of gaps."""
    counter = after((4711, 0))
    taken = number(counter, 1, at(5))
    assert (taken.renumbered, taken.generation, taken.gaps) == (True, 1, ())
    assert number(counter, 3, at(5)).gaps == ((1, 2),)
    assert number(taken.counter, 2, at(6)).gaps == ()


def test_the_same_number_again_is_a_reboot() -> None:
    """A counter that begins at 1 after each recording."""
    assert number(after((1, 0)), 1, at(5)).renumbered


def test_a_clock_that_was_reset_is_no_late_number() -> None:
    """1 and a time years ago is a camera that lost its clock with its counter."""
    taken = number(after((4711, 0)), 1, at(0) - timedelta(days=400))
    assert (taken.renumbered, taken.gaps) == (True, ())


def test_a_late_word_of_the_numbering_before() -> None:
    """After a reboot an old number belongs to the old numbering, and opens no gap in the new one."""
    counter = after((4711, 0), (1, 10), (2, 11))
    late = number(counter, 4700, at(-1))
    assert (late.generation, late.gaps, late.counter) == (0, (), counter)


@given(st.permutations(range(1, 9)), st.sets(st.integers(1, 8), max_size=3))
def test_any_order_has_the_same_gaps(order: list[int], lost: set[int]) -> None:
    """Without a reboot: told and gaps together are every number from the lowest to the highest told."""
    heard = [n for n in order if n not in lost]
    counter, told, gaps, renumbered = Counter(), set(), set(), False
    for n in heard:
        if n in gaps:
            gaps.discard(n)
        else:
            taken = number(counter, n, at(n))
            counter, renumbered = taken.counter, renumbered or taken.renumbered
            gaps |= {each for low, high in taken.gaps for each in range(low, high + 1)}
        told.add(n)
    assert not renumbered
    assert gaps == (set(range(min(told), max(told) + 1)) - told if told else set())


@given(st.lists(st.tuples(st.integers(0, 1 << 53), st.integers(-10_000_000, 10_000_000)), max_size=30))
def test_gaps_are_few_whatever_is_said(told: list[tuple[int, int]]) -> None:
    """At most two spans a word, each in order; the counter never forgets its highest within a numbering."""
    counter = Counter()
    for n, second in told:
        taken = number(counter, n, T0 + timedelta(seconds=second))
        assert len(taken.gaps) <= 1
        assert all(low <= high for low, high in taken.gaps)
        if taken.counter.generation == counter.generation and counter.high is not None:
            assert taken.counter.high is not None
            assert taken.counter.high >= counter.high
        counter = taken.counter
