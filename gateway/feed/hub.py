"""Fan-out: one rising sequence to every consumer. Urgent records at once, positions by the tick, one blob a group.

A unit's record gets its number when it goes out, not when the board changed. So an urgent record is
never behind the positions that still wait for their tick, and numbers rise for everybody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter
from typing import NamedTuple

import structlog

from gateway.domain.ids import UnitId
from gateway.domain.time import Instant, rfc3339
from gateway.errors import RefusedError
from gateway.feed import encode, sse
from gateway.feed.board import Board
from gateway.feed.consumer import Consumer, Kind, UnitFrame
from gateway.feed.emergencies import Emergency
from gateway.feed.filters import ALL, Filters
from gateway.feed.sequence import BLOCK, Sequence
from gateway.feed.settings import FeedSettings
from gateway.feed.slices import AT_ONCE, Long, Part, short, some
from gateway.feed.standing import Standing
from gateway.feed.turn import Turn
from gateway.feed.urgent_lines import UrgentEvent, UrgentRecord
from gateway.ports import Clock

_log = structlog.get_logger()
FLUSHED_AT_ONCE = 500
"""So many units go out between two looks at what else there is to do: some milliseconds."""


class Group:
    """Consumers with one subscription, and the units they have been shown."""

    def __init__(self, filters: Filters) -> None:
        self.filters = filters
        self.consumers: list[Consumer] = []
        self.shown: set[str] = set()


class _Missed(NamedTuple):
    """A record behind a cursor: an urgent one, or a unit's latest; wanted: not to be taken away."""

    seq: int
    what: Standing | UrgentRecord
    wanted: bool = True


class Hub:
    """The stream: its records, who follows it, and how they catch up."""

    def __init__(self, settings: FeedSettings, board: Board) -> None:
        self._settings, self._board = settings, board
        self.sequence = Sequence("", 1, BLOCK, on_disk=False)
        self.kept: deque[UrgentRecord] = deque()
        self.horizon = 0
        self.boot_seq = 0
        self.again: Callable[[int], Iterable[UrgentRecord]] = lambda _cursor: ()
        self.unencodable = 0
        self.closed: dict[str, int] = {}
        self.zoned: Callable[[list[Standing]], list[UnitFrame]] = lambda _changed: []
        self._now = Instant(0.0, datetime.min.replace(tzinfo=UTC))
        self.turn = Turn()
        self._conflated = 0
        self._groups: dict[Filters, Group] = {}

    @property
    def consumers(self) -> list[Consumer]:
        """Everybody who follows."""
        return [consumer for group in self._groups.values() for consumer in group.consumers]

    @property
    def conflated(self) -> int:
        """Positions that newer ones replaced before a slow consumer took them."""
        return self._conflated + sum(consumer.conflated for consumer in self.consumers)

    # --- out

    def publish(self, event: UrgentEvent, key: str, unit: str | None, make: Callable[[int], bytes]) -> UrgentRecord:
        """An urgent record, now. An emergency goes to everybody, whatever they filter."""
        seq = self.sequence.next()
        record = UrgentRecord(seq, event, key, unit, make(seq))
        frame = sse.frame(self.sequence.epoch, seq, event, record.payload)
        for group in self._groups.values():
            if self._concerns(record, group):
                for consumer in group.consumers:
                    consumer.press(seq, frame)
            if event == "removed" and unit is not None:
                group.shown.discard(unit)
        self.keep(record)
        return record

    def keep(self, record: UrgentRecord) -> None:
        """Remember it for those who resume."""
        self.kept.append(record)
        if len(self.kept) > self._settings.urgent_kept:
            self.horizon = self.kept.popleft().seq

    def flush(self, now: Instant, most: int | None = None) -> int:
        """Send each changed unit's feature, or of the longest waiting so many; say how many."""
        self._now, dirty = now, self._board.dirty
        if most is None or len(dirty) <= most:
            changed, self._board.dirty = list(dirty.values()), {}
        else:
            changed = [dirty.pop(name) for name in list(islice(dirty, most))]
        return self._send(changed, now)

    async def flush_many(self, clock: Clock) -> None:
        """Where very many units have changed: all but the last of them, in slices. What is urgent waits for one."""
        for _ in range(len(self._board.dirty) // FLUSHED_AT_ONCE):
            self.flush(clock.now(), FLUSHED_AT_ONCE)
            await asyncio.sleep(0)

    def show(self, standing: Standing, now: Instant) -> None:
        """Send this unit's feature now rather than at the next tick."""
        if self._board.dirty.pop(standing.id, None) is not None:
            self._send([standing], now)

    def _send(self, changed: list[Standing], now: Instant) -> int:
        frames = self.zoned(changed)
        frames += [frame for standing in changed if (frame := self._frame(standing, now)) is not None]
        if frames:
            whole = b"".join([frame.frame for frame in frames])
            for group in self._groups.values():
                mine = frames if group.filters == ALL else list(self._seen_by(group, frames, now))
                chunk = whole if mine is frames else b"".join([frame.frame for frame in mine])
                for consumer in group.consumers:
                    consumer.offer(chunk, mine)
        return len(frames)

    def _frame(self, standing: Standing, now: Instant) -> UnitFrame | None:
        standing.seq, standing.feature = self.sequence.next(), None
        payload = self.feature(standing, now)
        if payload is None:
            return None
        standing.frame = sse.frame(self.sequence.epoch, standing.seq, "position", payload)
        return UnitFrame(standing.id, standing.seq, standing.frame)

    def feature(self, standing: Standing, now: Instant) -> bytes | None:
        """One unit's feature; None, counted, for one that can't be written: it must not silence the others."""
        try:
            return encode.feature(standing, now.mono_s)
        except Exception as error:  # noqa: BLE001 - as said
            self.unencodable += 1
            _log.error("a unit can't be encoded", unit=standing.id, problem=f"{type(error).__name__}: {error}")
            return None

    def features(self, filters: Filters, now: Instant, units: Iterable[Standing]) -> list[tuple[str, bytes]]:
        """Those of these units that are on the feed and wanted."""
        wanted = [one for one in units if one.on_feed and filters.match(one, now.mono_s)]
        return [(one.id, made) for one in wanted if (made := self.feature(one, now)) is not None]

    def collection(self, filters: Filters, now: Instant) -> Iterator[bytes]:
        """Every unit wanted, in pieces: where the stream stands now, or newer."""
        self._now = now
        slices = self._sliced(filters, lambda _name: None)
        return encode.collection(slices, self.sequence.epoch, self.sequence.last, rfc3339(now.utc))

    def _sliced(self, filters: Filters, showing: Callable[[str], None]) -> Iterator[list[bytes]]:
        """The units there are now, each as it is when its turn comes: what changed since is also told behind it."""
        for units in some(list(self._board.units.values())):
            shown = self.features(filters, self._now, units)
            for name, _ in shown:
                showing(name)
            yield [made for _, made in shown]

    def _seen_by(self, group: Group, frames: list[UnitFrame], now: Instant) -> Iterable[UnitFrame]:
        for frame in frames:
            standing = self._board.units.get(frame.unit)  # type: ignore[call-overload]
            if standing is not None and group.filters.match(standing, now.mono_s):
                group.shown.add(frame.unit)
                yield frame
            elif frame.unit in group.shown:
                group.shown.discard(frame.unit)
                yield self._out_of_sight(frame)

    def _out_of_sight(self, frame: UnitFrame) -> UnitFrame:
        payload = encode.removed(frame.unit, frame.seq, "filter")
        return UnitFrame(frame.unit, frame.seq, sse.frame(self.sequence.epoch, frame.seq, "removed", payload))

    def heartbeat(self, now: Instant) -> None:
        """Tell everybody that the feed is alive."""
        comment = sse.heartbeat(rfc3339(now.utc))
        for consumer in self.consumers:
            consumer.note(comment)

    def sweep(self, now: Instant) -> None:
        """Close those who are stuck, forget those who are gone."""
        for filters, group in list(self._groups.items()):
            for consumer in list(group.consumers):
                consumer.look(now.mono_s)
                if consumer.ended is not None:
                    self._forget(group, consumer)
            if not group.consumers:
                del self._groups[filters]

    def _forget(self, group: Group, consumer: Consumer) -> None:
        group.consumers.remove(consumer)
        self._conflated += consumer.conflated
        self.closed[consumer.ended or ""] = self.closed.get(consumer.ended or "", 0) + 1

    # --- in

    def subscribe(
        self,
        cursor: str | None,
        filters: Filters,
        now: Instant,
        emergencies: list[Emergency],
        kind: Kind,
    ) -> Consumer:
        """A consumer that begins behind its cursor, or with a snapshot where that can't be."""
        if len(self.consumers) >= self._settings.consumers_max:
            raise RefusedError(503, f"the feed has its {self._settings.consumers_max} consumers")
        consumer = kind(filters, self._settings)
        consumer.turn = self.turn
        group = self._groups.setdefault(filters, Group(filters))
        self.flush(now)  # what it is told of begins with everything said: a filter may be passed or failed since
        seq = self._resumable(cursor)
        if seq is None:
            parts = self._snapshot(group, emergencies)
            consumer.begin(short(parts) if len(self._board.units) <= AT_ONCE else parts)
        elif missed := self._missed(seq, group, now):
            again = self._told_again(missed)
            consumer.begin(next(again) if len(missed) <= AT_ONCE else again)
        else:
            consumer.note(sse.heartbeat(rfc3339(now.utc)))
        group.consumers.append(consumer)
        return consumer

    def _resumable(self, cursor: str | None) -> int | None:
        found = sse.cursor(cursor)
        if found is None or found[0] != self.sequence.epoch:
            return None
        return found[1] if self.horizon <= found[1] <= self.sequence.last else None

    def _missed(self, seq: int, group: Group, now: Instant) -> list[_Missed]:
        """Every urgent record behind the cursor and each unit's latest, by number.

        Behind a restart a unit that has not been heard since is passed over, for what its consumer
        knows is more than we do; but one that its filter no longer lets pass is taken away all the same.
        """
        units = [one for one in self._board.units.values() if one.on_feed]
        wanted = {one.id for one in units if group.filters == ALL or group.filters.match(one, now.mono_s)}
        group.shown.update(wanted)
        since = max(seq, self.boot_seq)
        units = [one for one in units if one.seq > (since if one.id in wanted else seq) and one.frame is not None]
        urgent = [record for record in self.kept if record.seq > seq and self._concerns(record, group)]
        found = [_Missed(one.seq, one, one.id in wanted) for one in units]
        urgent += self._restated(seq, group)
        return sorted([*found, *(_Missed(each.seq, each) for each in urgent)], key=attrgetter("seq"))

    def _restated(self, seq: int, group: Group) -> Iterator[UrgentRecord]:
        """For one that may know what a kill took back; a unit that its filter does not let pass is taken away."""
        for record in self.again(seq):
            if self._concerns(record, group):
                yield record
            elif record.unit is not None:
                gone = encode.removed(record.unit, record.seq, "filter")
                yield UrgentRecord(record.seq, "removed", record.key, record.unit, gone)

    def _told_again(self, missed: list[_Missed]) -> Iterator[bytes]:
        """As they were; a unit that has moved on since is told of behind all this."""
        for each in some(missed):
            yield b"".join([frame for one in each if (frame := self._again(one)) is not None])

    def _again(self, missed: _Missed) -> bytes | None:
        seq, one = missed.seq, missed.what
        if isinstance(one, UrgentRecord):
            return sse.frame(self.sequence.epoch, seq, one.event, one.payload)
        if one.seq != seq or one.frame is None or not one.on_feed:
            return None
        return one.frame if missed.wanted else self._out_of_sight(UnitFrame(one.id, seq, one.frame)).frame

    def _snapshot(self, group: Group, emergencies: list[Emergency]) -> list[Part]:
        """Every unit, then each open emergency under a new number: no consumer may have to look for one."""
        seq, epoch = self.sequence.next(), self.sequence.epoch
        open_now = [encode.emergency(one, seq) for one in emergencies]
        slices = self._sliced(group.filters, group.shown.add)
        parts: list[Part] = [Long(epoch, seq, "snapshot", encode.snapshot(slices, epoch, seq, open_now))]
        for one in emergencies:
            number = self.sequence.next()
            parts.append(sse.frame(epoch, number, "emergency", encode.emergency(one, number)))
        return parts

    def _concerns(self, record: UrgentRecord, group: Group) -> bool:
        """An emergency is everybody's; the rest is for those who see the unit, and for those who may have seen it.

        What nobody's unit says (a message from a radio not on the roster) is everybody's too.
        """
        if group.filters == ALL or record.unit is None or record.event in ("emergency", "removed"):
            return True
        return record.unit in group.shown or self._about_to_be_shown(record.unit, group)

    def _about_to_be_shown(self, unit: str, group: Group) -> bool:
        """Whether a snapshot under way has yet to come to a unit of which it will tell."""
        standing = self._board.units.get(UnitId(unit))
        return standing is not None and standing.on_feed and group.filters.match(standing, self._now.mono_s)
