"""Ranges against a set of integers."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from gateway.evidence.vault.ranges import Ranges

pairs = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=12)
span = st.tuples(st.integers(0, 70), st.integers(0, 70))


def naive(given_pairs):
    """The same as a set."""
    return {n for start, end in given_pairs for n in range(start, end)}


def flat(found):
    """Ranges as a set; each must be non-empty and they must be apart."""
    listed = list(found)
    assert all(start < end for start, end in listed)
    assert all(a[1] < b[0] for a, b in itertools.pairwise(listed))
    return naive(listed)


@given(pairs, span)
def test_ranges_are_a_set_of_numbers(added, asked):
    """Every question is answered as a set of integers answers it."""
    ranges, there = Ranges(added), naive(added)
    window = set(range(*asked))
    assert flat(ranges.pairs) == there
    assert flat(ranges.within(*asked)) == there & window
    assert flat(ranges.gaps(*asked)) == window - there
    assert ranges.covers(*asked) == (window <= there)
    assert ranges.end == (max(there) + 1 if there else 0)


@given(pairs, span)
def test_a_copy_goes_its_own_way(added, more):
    """Adding to a copy leaves the original alone."""
    ranges = Ranges(added)
    before, twin = ranges.pairs, ranges.copy()
    twin.add(*more)
    assert ranges.pairs == before
    assert flat(twin.pairs) == naive(added) | naive([more])


def test_touching_ranges_are_one():
    """[0, 5) and [5, 9) are [0, 9)."""
    assert Ranges([(5, 9), (0, 5)]).pairs == ((0, 9),)
