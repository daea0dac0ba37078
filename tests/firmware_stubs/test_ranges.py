"""Range sets behave as sets of byte numbers."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs.ranges import Ranges

some = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)


def octets(ranges):
    return {n for start, end in ranges for n in range(start, end)}


@given(some, some)
def test_ranges_are_sets(one, other):
    """Union, difference, intersection and size against plain sets."""
    a, b = Ranges.of(one), Ranges.of(other)
    assert octets(a) == {n for start, end in one for n in range(start, end)}
    assert octets(a | b) == octets(a) | octets(b)
    assert octets(a - b) == octets(a) - octets(b)
    assert octets(a & b) == octets(a) & octets(b)
    assert a.octets == len(octets(a))


@given(some)
def test_ranges_are_in_one_form(pairs):
    """Sorted, apart from one another, none empty."""
    parts = Ranges.of(pairs).parts
    assert all(start < end for start, end in parts)
    assert all(first[1] < second[0] for first, second in itertools.pairwise(parts))
