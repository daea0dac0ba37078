"""What is too long to be said in one go: an event whose payload comes in pieces, each made when it is its turn. Pure.

Between two pieces everything else goes on: other consumers' positions, and the emergencies above all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

from gateway.feed import sse

AT_ONCE = 256
"""So many units are encoded between two looks at what else there is to do: a few milliseconds where all are new."""
Thing = TypeVar("Thing")


class Long(NamedTuple):
    """An event that is not made yet: joined, its pieces are its payload."""

    epoch: str
    seq: int
    event: str
    pieces: Iterator[bytes]

    def whole(self) -> bytes:
        """Framed, all of it."""
        return sse.frame(self.epoch, self.seq, self.event, b"".join(self.pieces))

    def framed(self) -> Iterator[bytes]:
        """Framed, piece by piece."""
        yield sse.head(self.epoch, self.seq, self.event) + next(self.pieces, b"")
        yield from self.pieces
        yield sse.END


Part = bytes | Long
"""Whole events, or a long one."""


def short(parts: list[Part]) -> bytes:
    """All of it now."""
    return b"".join([part.whole() if isinstance(part, Long) else part for part in parts])


def some(things: Iterable[Thing]) -> Iterator[list[Thing]]:
    """So many as are done at once, then the next."""
    rest = iter(things)
    while found := list(islice(rest, AT_ONCE)):
        yield found


def listed(head: bytes, slices: Iterator[list[bytes]], tail: bytes) -> Iterator[bytes]:
    """A JSON list within an object: what stands before it, its members slice by slice, what stands behind."""
    yield head
    comma = b""
    for made in slices:
        if made:
            yield comma + b",".join(made)
            comma = b","
    yield tail
