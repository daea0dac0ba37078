"""Sets of byte ranges, half open, as the upload protocol writes them: [[from, to], ...]."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Ranges:
    """Sorted, disjoint, non-touching half-open ranges."""

    parts: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, pairs: Iterable[tuple[int, int]]) -> "Ranges":
        """Any pairs, in any order, overlapping or not; an empty pair adds nothing."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(pair for pair in pairs if pair[0] < pair[1]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        return cls(tuple(merged))

    def __or__(self, other: "Ranges") -> "Ranges":
        return Ranges.of((*self.parts, *other.parts))

    def __sub__(self, other: "Ranges") -> "Ranges":
        left = list(self.parts)
        for cut_start, cut_end in other.parts:
            pieces = [((a, min(b, cut_start)), (max(a, cut_end), b)) for a, b in left]
            left = [piece for pair in pieces for piece in pair if piece[0] < piece[1]]
        return Ranges(tuple(left))

    def __and__(self, other: "Ranges") -> "Ranges":
        return self - (self - other)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.parts)

    def __bool__(self) -> bool:
        return bool(self.parts)

    @property
    def octets(self) -> int:
        """How many bytes the ranges hold."""
        return sum(end - start for start, end in self.parts)

    def listed(self) -> list[list[int]]:
        """The ranges as JSON writes them."""
        return [[start, end] for start, end in self.parts]
