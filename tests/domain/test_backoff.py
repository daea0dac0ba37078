"""Back-off: pure arithmetic."""

import pytest

from gateway.domain.backoff import Backoff


def test_doubles_to_its_cap():
    """Without jitter, half of the ceiling."""
    backoff = Backoff(first_s=1, cap_s=10)
    assert [backoff.next_s(0, 0) for _ in range(6)] == [0.5, 1, 2, 4, 5, 5]


def test_jitter_spreads_over_the_upper_half():
    """Never less than half, never the whole ceiling or more."""
    assert Backoff(first_s=4).next_s(0, 0.5) == 3
    assert Backoff(first_s=4).next_s(0, 0.999999) < 4


def test_starts_over_only_after_a_healthy_spell():
    """A link that opens and fails at once goes on doubling."""
    backoff = Backoff(first_s=1, cap_s=100, healthy_s=60)
    waits = [backoff.next_s(59, 0) for _ in range(4)]
    assert waits == [0.5, 1, 2, 4]
    assert backoff.next_s(60, 0) == 0.5


def test_many_failures_do_not_overflow():
    """A port that is gone for years."""
    backoff = Backoff(cap_s=30)
    for _ in range(10_000):
        last = backoff.next_s(0, 0)
    assert last == pytest.approx(15)
