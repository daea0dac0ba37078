"""Short data to send: urgent first, one in flight, spaced, never during a call (EN 300 392-5 clause 6.13). Sans-IO."""

from __future__ import annotations

from collections import deque

import msgspec

from drivers.tetra.bits import Bits
from drivers.tetra.dialects import Command, Dialect
from drivers.tetra.sds import SdsType

MOST_WAITING = 64
"""Security limit: messages that may wait for one radio."""
NO_ANSWER, GONE, FAILED_ON_AIR = -2, -3, -5
_MOST_TRIES = 2
SENT_STATUS, FAILED_STATUS = "4", "5"


class Parcel(msgspec.Struct, frozen=True):
    """One SDS to one party: its key is the sender's own."""

    key: int
    issi: int
    service: int
    bits: Bits
    urgent: bool = False


class Transmitted(msgspec.Struct, frozen=True):
    """The radio has sent it (+CMGS status 4), with the radio's own reference where it gave one."""

    key: int
    reference: int | None


class NotSent(msgspec.Struct, frozen=True):
    """It was not sent: a code of dialects.CME."""

    key: int
    code: int


Fate = Transmitted | NotSent


class Outbox:
    """The queue of one radio, and the message it is sending."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._queue: deque[tuple[Parcel, float]] = deque()
        self._current: Parcel | None = None
        self._reference: int | None = None
        self._last_reference: int | None = None
        self._status, self._unsure, self._handed = "", False, False
        self._on_air_by: float | None = None
        self._ready_at = self._held_until = 0.0
        self._service: int | None = None
        self._tries = 0

    @property
    def waiting(self) -> int:
        """Messages queued, the one in flight included."""
        return len(self._queue) + (self._current is not None)

    def post(self, parcel: Parcel, now_s: float) -> bool:
        """Queue it, urgent ones before the rest; False where too many wait already."""
        if self.waiting >= MOST_WAITING:
            return False
        entry = (parcel, now_s + self._dialect.hold_s)
        place = sum(one.urgent for one, _ in self._queue) if parcel.urgent else len(self._queue)
        self._queue.insert(place, entry)
        return True

    def withdraw(self, key: int) -> bool:
        """Take it back, unless the radio has it already."""
        kept = deque(entry for entry in self._queue if entry[0].key != key)
        found, self._queue = len(kept) < len(self._queue), kept
        if self._current is not None and self._current.key == key and not self._handed:
            self._leave()
            found = True
        return found

    def due_at(self) -> float:
        """When a message may go, as far as its spacing is concerned; infinity where none waits or the radio has one."""
        if self._handed:
            return float("inf")
        return self._ready_at if self._queue or self._current is not None else float("inf")

    def deadline(self) -> float:
        """When `tick` has something: a message on the air too long, or held too long."""
        held = min((until for _, until in self._queue), default=float("inf"))
        if self._current is not None and not self._handed:
            held = min(held, self._held_until)
        return held if self._on_air_by is None else min(held, self._on_air_by)

    def command(self) -> Command:
        """The next command for the message at the front: which service, where that has to change, then itself."""
        if self._current is None:
            self._current, self._held_until = self._queue.popleft()
            self._reference, self._status, self._tries = None, "", 0
            self._unsure = self._handed = False
        parcel = self._current
        if self._service != parcel.service:
            return Command(self._selection(parcel.service), sending=True)
        self._handed = True
        text = f"AT+CMGS={parcel.issi},{parcel.bits.length}"
        return Command(text, body=parcel.bits.hex(), sending=True)

    def _selection(self, service: int) -> str:
        return self._dialect.status_service if service == SdsType.STATUS else self._dialect.sds_service

    def answered(self, command: Command, code: int | None, now_s: float) -> list[Fate]:
        """The result of one of our commands: code None for OK."""
        if self._current is None:
            return []  # its +CMGS was quicker than its OK
        if code is not None:
            return self._over(NotSent(self._current.key, code), now_s)
        if not command.body:
            self._service = self._current.service
            return []
        self._on_air_by = now_s + self._dialect.sent_s
        return self._decided(now_s)

    def unanswered(self, command: Command, now_s: float) -> list[Fate]:
        """No result in time. Never sent twice: what the radio may have taken is waited for as if it had."""
        self._service, self._status = None, ""
        if self._current is not None and command.body:
            self._unsure = self._reference is None
            self._on_air_by = now_s + self._dialect.sent_s
        elif self._current is not None:
            self._tries += 1
            if self._tries >= _MOST_TRIES:
                return self._over(NotSent(self._current.key, NO_ANSWER), now_s)
        return []

    def reported(self, text: str, now_s: float) -> list[Fate]:
        """+CMGS: instance[,status[,reference]] (clause 6.13); another reference is another message's."""
        fields = [field.strip() for field in text.split(",")]
        number = fields[2] if len(fields) > 2 else ""
        reference = int(number) if number.isascii() and number.isdigit() and len(number) <= 5 else None
        if self._current is None or not self._handed or self._unsure or self._anothers(reference):
            return []
        self._status = fields[1] if len(fields) > 1 else ""
        self._reference = reference
        return [] if self._on_air_by is None else self._decided(now_s)

    def _anothers(self, reference: int | None) -> bool:
        """Told twice of the message before, or of another one than the radio took behind its OK."""
        if reference is None:
            return False
        known = self._reference if self._on_air_by is not None else None
        return reference == self._last_reference or known not in {None, reference}

    def _decided(self, now_s: float) -> list[Fate]:
        """The fate, where the radio has told it of this very message: the last word before its OK, or one behind."""
        if self._current is not None and self._status == SENT_STATUS:
            return self._over(Transmitted(self._current.key, self._reference), now_s)
        if self._current is not None and self._status == FAILED_STATUS:
            return self._over(NotSent(self._current.key, FAILED_ON_AIR), now_s)
        return []

    def tick(self, now_s: float) -> list[Fate]:
        """Time has passed: give up on what was on the air or held too long."""
        fates: list[Fate] = [NotSent(parcel.key, GONE) for parcel, until in self._queue if now_s >= until]
        self._queue = deque(entry for entry in self._queue if now_s < entry[1])
        if self._current is not None and self._on_air_by is not None and now_s >= self._on_air_by:
            fates += self._over(NotSent(self._current.key, NO_ANSWER), now_s)
        if self._current is not None and not self._handed and now_s >= self._held_until:
            fates.append(NotSent(self._current.key, GONE))
            self._leave()
        return fates

    def _leave(self) -> None:
        """The message in turn goes no more; which service the radio sends after that is to be said again."""
        self._current = self._service = None

    def forget_service(self) -> None:
        """The radio restarted: which service it sends is to be said again."""
        self._service = None

    def give_up(self, now_s: float) -> list[Fate]:
        """The radio is gone: none of these was sent by it, but perhaps the one that was handed over."""
        fates: list[Fate] = [NotSent(parcel.key, GONE) for parcel, _ in self._queue]
        self._queue.clear()
        if self._current is not None:
            code = NO_ANSWER if self._handed else GONE
            fates += self._over(NotSent(self._current.key, code), now_s)
        return fates

    def _over(self, fate: Fate, now_s: float) -> list[Fate]:
        self._current, self._on_air_by, self._handed = None, None, False
        if self._reference is not None:
            self._last_reference = self._reference
        self._ready_at = now_s + self._dialect.spacing_s
        return [fate]
