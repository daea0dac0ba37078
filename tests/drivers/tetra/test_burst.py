"""Errors one upon another."""

import pytest

from drivers.tetra.burst import Burst


def test_three_in_ten_seconds():
    """Not two, not three far apart."""
    burst = Burst()
    assert [burst.add(30, now_s) for now_s in (0.0, 5.0, 11.0, 12.0, 30.0)] == [False, False, False, True, False]


@pytest.mark.parametrize("code", [None, 35, 36, 37])
def test_what_a_wrong_command_of_ours_gets_does_not_count(code):
    """OK, a syntax error, data entry."""
    burst = Burst()
    assert not any(burst.add(code, 0.0) for _ in range(5))


def test_from_the_beginning():
    """The set-up has begun."""
    burst = Burst()
    burst.add(30, 0.0)
    burst.add(30, 0.0)
    burst.clear()
    assert not burst.add(30, 0.0)
