"""How long to wait before trying again. Pure: jitter and times are arguments."""

from __future__ import annotations


class Backoff:
    """Doubles from `first_s` to `cap_s`; starts over only after a healthy spell.

    A link that opens and fails at once has not been healthy: starting over on every open would hammer it.
    """

    def __init__(self, first_s: float = 0.5, cap_s: float = 30.0, healthy_s: float = 60.0) -> None:
        self._first_s, self._cap_s, self._healthy_s = first_s, cap_s, healthy_s
        self._failures = 0

    def next_s(self, ran_s: float, jitter: float) -> float:
        """Seconds to wait after a run of `ran_s`; jitter in [0, 1) spreads them over the upper half."""
        if ran_s >= self._healthy_s:
            self._failures = 0
        doublings = min(self._failures, 32)
        self._failures += 1
        ceiling_s = min(self._cap_s, self._first_s * 2.0**doublings)
        return ceiling_s * (0.5 + 0.5 * jitter)
