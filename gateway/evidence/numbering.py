"""A camera's recording counter: what a number says of the numbers around it. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from gateway.domain.cameras import Counter

PLAUSIBLE = timedelta(days=35)
"""A time further back than an upload may wait is a clock that was reset, not an event that comes late."""


class Numbered(msgspec.Struct, frozen=True):
    """Where a number belongs: the counter after it, its generation, spans (inclusive) that nobody has told of."""

    counter: Counter
    generation: int
    gaps: tuple[tuple[int, int], ...] = ()
    renumbered: bool = False


def number(counter: Counter, n: int | None, at: datetime) -> Numbered:
    """Take the number of a recording not heard of before.

    Upwards, what lies between is a gap. Downwards with an earlier time it comes late; with a later one the
    counter began anew (a reboot): what came between the two numberings nobody can count, and it is said once.
    """
    if n is None:
        return Numbered(counter, counter.generation)
    if counter.high is None or counter.low is None or counter.high_at is None:
        fresh = Counter(counter.generation, n, n, at, counter.since or at)
        return Numbered(fresh, counter.generation)
    if _of_earlier(counter, n, at):
        return Numbered(counter, counter.generation - 1)
    if n > counter.high:
        gaps = _between(counter.high, n)
        return Numbered(msgspec.structs.replace(counter, high=n, high_at=at), counter.generation, gaps)
    late = at <= counter.high_at if n < counter.high else at < counter.high_at
    if late and at >= counter.high_at - PLAUSIBLE:
        gaps = _between(n, counter.low)
        low = min(n, counter.low)
        return Numbered(msgspec.structs.replace(counter, low=low), counter.generation, gaps)
    generation = counter.generation + 1
    return Numbered(Counter(generation, n, n, at, at), generation, ((1, n - 1),) if n > 1 else (), renumbered=True)


def _of_earlier(counter: Counter, n: int, at: datetime) -> bool:
    """Whether it belongs to the numbering before this one: told late, and beyond what this one has reached."""
    since, high = counter.since, counter.high
    return counter.generation > 0 and since is not None and high is not None and at < since and n > high


def _between(low: int, high: int) -> tuple[tuple[int, int], ...]:
    return ((low + 1, high - 1),) if high > low + 1 else ()
