"""What time a device's fix counts for, where its clock is off.

A clock ahead of ours is seen at once: no fix comes from the future. One that is behind looks like a late report
until it is late by the same every time; a queue of old fixes sent at once is late by less and less. Pure.
"""

from __future__ import annotations

from array import array
from math import nan
from statistics import median

import msgspec

TOLD_KEPT = 32
SAMPLES = 20
LEARNT_FROM = 5
SPREAD_S = 5.0
BEHIND_S = 120.0
"""A clock that is less behind than this cannot be told from a slow network."""
SKEWED = "clock_skew"


_NONE_TOLD, _NO_SAMPLES = array("d", [nan] * TOLD_KEPT), array("d", [nan] * SAMPLES)
"""As large from the start as they get: of 100,000 devices that grow, memory would take minutes to be flat."""


class Timing(msgspec.Struct, gc=False):
    """One device's times: those of its last fixes, and by how much they differed from ours (device minus gateway)."""

    told: array[float] = msgspec.field(default_factory=lambda: _NONE_TOLD[:])
    offsets: array[float] = msgspec.field(default_factory=lambda: _NO_SAMPLES[:])
    noted: int = 0
    sampled: int = 0
    newest_s: float = float("-inf")

    def again(self, told_s: float) -> bool:
        """Whether the device has told of this moment before; if not, it has now."""
        if told_s > self.newest_s:  # the common case needs no search
            self.newest_s = told_s
        elif told_s in self.told:
            return True
        self.told[self.noted % TOLD_KEPT] = told_s
        self.noted += 1
        return False

    def counts_for(self, told_s: float, arrived_s: float, ahead_s: float) -> tuple[float, bool]:
        """The time (seconds since 1970, never after its arrival) that a fix counts for; whether the clock is off.

        ahead_s: by how much a device's clock may be ahead before that is said.
        """
        offset = told_s - arrived_s
        self.offsets[self.sampled % SAMPLES] = offset
        self.sampled += 1
        if -BEHIND_S <= offset <= ahead_s:
            return (told_s if offset < 0 else arrived_s), False
        learnt = self.learnt_s(ahead_s)
        return min(told_s - learnt, arrived_s), bool(learnt) or offset > ahead_s

    def learnt_s(self, ahead_s: float) -> float:
        """By how much this clock is off, 0 where that is not known to be."""
        if self.sampled < LEARNT_FROM:
            return 0.0
        # The common case costs no sorting: a clock that is right is near 0 in every sample.
        if -BEHIND_S <= self.offsets[(self.sampled - 1) % SAMPLES] <= ahead_s:
            return 0.0
        known = sorted(self.offsets[: self.sampled])
        middle = known[len(known) // 4 : -(len(known) // 4) or None]
        typical = median(middle)
        off = typical > ahead_s or typical < -BEHIND_S
        return typical if off and middle[-1] - middle[0] <= SPREAD_S else 0.0
