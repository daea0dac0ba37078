"""Sets of byte ranges: what of a recording is there, what is missing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

from gateway.domain.evidence import Range


class Ranges:
    """Sorted, disjoint, non-touching half-open ranges that only grow."""

    def __init__(self, pairs: Iterable[Range] = ()) -> None:
        """Begin with these, in any order, overlapping or not."""
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in pairs:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """Add [start, end); an empty range adds nothing."""
        if start >= end:
            return
        first = bisect_left(self._ends, start)
        beyond = bisect_right(self._starts, end)
        if first < beyond:
            start = min(start, self._starts[first])
            end = max(end, self._ends[beyond - 1])
        self._starts[first:beyond] = [start]
        self._ends[first:beyond] = [end]

    def within(self, start: int, end: int) -> list[Range]:
        """The parts of [start, end) that are there."""
        if start >= end:
            return []
        first = bisect_right(self._ends, start)
        beyond = bisect_left(self._starts, end)
        cut = zip(self._starts[first:beyond], self._ends[first:beyond], strict=True)
        return [(max(start, a), min(end, b)) for a, b in cut]

    def gaps(self, start: int, end: int) -> list[Range]:
        """The parts of [start, end) that are not there."""
        missing: list[Range] = []
        for a, b in self.within(start, end):
            if start < a:
                missing.append((start, a))
            start = b
        if start < end:
            missing.append((start, end))
        return missing

    def covers(self, start: int, end: int) -> bool:
        """Whether all of [start, end) is there."""
        return not self.gaps(start, end)

    def __len__(self) -> int:
        """How many ranges."""
        return len(self._starts)

    @property
    def end(self) -> int:
        """One past the last byte that is there; 0 when there is none."""
        return self._ends[-1] if self._ends else 0

    @property
    def octets(self) -> int:
        """How many bytes are there."""
        return sum(self._ends) - sum(self._starts)

    @property
    def pairs(self) -> tuple[Range, ...]:
        """The ranges, in order."""
        return tuple(zip(self._starts, self._ends, strict=True))

    def copy(self) -> Ranges:
        """The same ranges, to go on separately."""
        twin = Ranges()
        twin._starts, twin._ends = self._starts.copy(), self._ends.copy()
        return twin
