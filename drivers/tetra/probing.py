"""At which speed and flow control does the radio answer? (EN 300 392-5 says none.) Sans-IO.

The same shape as a session, but that `attempt` names the line to be set before `to_send` is sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from drivers.tetra import pei
from gateway.domain.time import Instant

SPEEDS = (38_400, 9_600, 115_200, 57_600, 460_800)
"""In the order of how often they were met."""
Flow = Literal["none", "rtscts"]
MOST_KEPT = 16_384
"""Security limit: bytes kept of one attempt, a radio's or a wrong speed's."""


class Attempt(msgspec.Struct, frozen=True):
    """One speed and flow control."""

    baud: int
    flow: Flow


class Prober:
    """Asks AT at each speed; an answer, or any whole line of the protocol, says that the speed is right."""

    def __init__(self, baud: Sequence[int], flow: Sequence[Flow], patience_s: float = 0.7, rounds: int = 2) -> None:
        self._attempts = [Attempt(speed, way) for way in flow for speed in baud] * rounds
        self._patience_s = patience_s
        self._at = 0
        self._asked, self._until = False, 0.0
        self._lines = pei.LineReader()
        self.heard = bytearray()
        self.garbage = bytearray()
        self.found: Attempt | None = None

    @property
    def attempt(self) -> Attempt | None:
        """What to try now; None when all was tried in vain."""
        return self._attempts[self._at] if self._at < len(self._attempts) else None

    def receive(self, data: bytes) -> None:
        """Take bytes heard at the speed of this attempt."""
        room = MOST_KEPT - len(self.heard)
        self.heard += data[:room]
        self.garbage += data[room:][: MOST_KEPT - len(self.garbage)]
        if any(isinstance(item, pei.Result | pei.SdsIndication | pei.Unsolicited) for item in self._lines.feed(data)):
            self.found = self.attempt

    def to_send(self, now: Instant) -> bytes:
        """The question, once an attempt. A radio in data entry takes the first for digits: ESC in the second round."""
        if self._asked or self.attempt is None:
            return b""
        self._asked, self._until = True, now.mono_s + self._patience_s
        again = self._at >= len(self._attempts) // 2
        return b"\x1bAT\r\n" if again else b"\r\nAT\r\n"

    def deadline(self) -> float:
        """When this attempt has failed."""
        return self._until

    def tick(self, now: Instant) -> None:
        """Time has passed: the next attempt, where this one has failed."""
        if self.found is None and self._asked and now.mono_s >= self._until:
            self.garbage += self.heard[: MOST_KEPT - len(self.garbage)]
            self.heard.clear()
            self._lines = pei.LineReader()
            self._asked, self._at = False, self._at + 1
