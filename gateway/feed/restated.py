"""What a kill took back is taken back from consumers too.

Everything is told before it is on disk, so that no alarm waits. A consumer may then know of a duty, an
acknowledgement or a unit's leave that nobody has after a kill. It shows by its cursor: a number of an earlier
process behind the last one on disk. Such a consumer is told the state of every unit and open emergency anew.
An emergency that it knows and we no longer do stays with it: somebody pressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from gateway.feed import encode
from gateway.feed.board import Board
from gateway.feed.emergencies import Emergencies
from gateway.feed.sequence import BLOCK, Sequence
from gateway.feed.urgent_lines import UrgentEvent, UrgentRecord


class Restated:
    """The state behind a restart, made once and only when somebody needs it, under numbers of its own."""

    def __init__(self, on_disk: Iterable[int], sequence: Sequence, board: Board, emergencies: Emergencies) -> None:
        self._sequence, self._board, self._emergencies = sequence, board, emergencies
        self._first = sequence.last + 1
        # Every process begins with a block of its own: behind the last of a block on disk may be what is lost.
        self._written: dict[int, int] = {}
        for seq in on_disk:
            block = self._block(seq)
            self._written[block] = max(seq, self._written.get(block, 0))
        self._records: list[UrgentRecord] | None = None

    def behind(self, cursor: int) -> list[UrgentRecord]:
        """For a consumer that stands there: nothing, unless it may know what is lost."""
        if cursor >= self._first:
            # Who was cut off before the last of them has the others still to hear.
            return [record for record in self._records or () if record.seq > cursor]
        if cursor <= self._written.get(self._block(cursor), 0):
            return []
        if self._records is None:
            self._records = list(self._made())
        return self._records

    def _made(self) -> Iterable[UrgentRecord]:
        for one in self._board.units.values():
            yield self._record("duty", one.id, one.id, partial(encode.duty, one))
            if not one.on_feed:
                gone = partial(encode.removed, one.id, reason="off_duty")
                yield self._record("removed", one.id, one.id, gone)
        for raised in self._emergencies.open():
            yield self._record("emergency", raised.id, raised.unit, partial(encode.emergency, raised))

    def _record(self, event: UrgentEvent, of: str, unit: str | None, make: Callable[[int], bytes]) -> UrgentRecord:
        seq = self._sequence.next()
        return UrgentRecord(seq, event, f"{event} {of}", unit, make(seq))

    def _block(self, seq: int) -> int:
        return (seq - self._first) // BLOCK
