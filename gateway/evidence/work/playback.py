"""What of a recording was seen in one sitting: bytes sent, merged, as seconds where its length is known. Pure."""

from __future__ import annotations

import bisect
import math
from datetime import datetime
from typing import Any

import msgspec

from gateway.domain.evidence import Act, Range
from gateway.domain.ids import ExhibitId
from gateway.domain.time import rfc3339

SPANS_MAX = 4096


class Sitting(msgspec.Struct, frozen=True):
    """Who plays what: one account, in one session, one exhibit."""

    account: str
    session: str
    exhibit: str


class Played(msgspec.Struct):
    """What one sitting has been sent so far."""

    size: int
    duration_s: float | None
    began_at: datetime
    last_at: datetime
    spans: list[Range] = msgspec.field(default_factory=list)

    def sent(self, start: int, end: int, at: datetime) -> None:
        """Take up bytes [start, end) that were handed over."""
        self.last_at = max(at, self.last_at)
        if end > start:
            self.spans = merged(self.spans, (start, end))

    @property
    def full(self) -> bool:
        """Whether it has so many gaps that it should be put on record now."""
        return len(self.spans) >= SPANS_MAX

    def act(self, sitting: Sitting) -> Act:
        """The `play` entry at a sitting's end."""
        detail = {"session": sitting.session, "began_at": rfc3339(self.began_at), "ended_at": rfc3339(self.last_at)}
        return Act("play", sitting.account, ExhibitId(sitting.exhibit), detail={**detail, **self.covered()})

    def covered(self) -> dict[str, Any]:
        """Seconds by proportion of the bytes, rounded outwards; bytes where the length in seconds is not known."""
        if self.duration_s is None or not self.size:
            return {"covered_bytes": [list(span) for span in self.spans]}
        seconds: list[Range] = []
        for start, end in self.spans:
            from_s = math.floor(start / self.size * self.duration_s)
            to_s = math.ceil(end / self.size * self.duration_s)
            seconds = merged(seconds, (from_s, to_s))
        return {"covered": [list(span) for span in seconds]}


def merged(spans: list[Range], span: Range) -> list[Range]:
    """Half-open spans in order and apart, with one more; those that touch are one."""
    first = bisect.bisect_left(spans, span[0], key=lambda each: each[1])
    last = bisect.bisect_right(spans, span[1], key=lambda each: each[0])
    if first < last:
        span = (min(span[0], spans[first][0]), max(span[1], spans[last - 1][1]))
    return [*spans[:first], span, *spans[last:]]
