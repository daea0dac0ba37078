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
from typing import Any, NamedTuple

import structlog

from gateway.domain.ids import UnitId
from gateway.domain.time import Instant, rfc3339
from gateway.errors import RefusedError
from gateway.feed import encode, sse
from gateway.feed.board import Board
from gateway.feed.consumer import Consumer, Kind, UnitFrame
from gateway.feed.emergencies import Emergency
from gateway.feed.filters import Filters
from gateway.feed.sequence import BLOCK, Mark, Sequence
from gateway.feed.settings import FeedSettings
from gateway.feed.sharing import Sharing
from gateway.feed.slices import AT_ONCE, Long, Part, short, some
from gateway.feed.standing import Standing
from gateway.feed.turn import Turn
from gateway.feed.urgent_lines import UrgentEvent, UrgentRecord
from gateway.ports import Clock

_log = structlog.get_logger()
FLUSHED_AT_ONCE = 500
"""So many units go out between two looks at what else there is to do: some milliseconds."""


class Group:
    """Consumers with one subscription and one view, and the units they have been shown; whole: no unit is kept back."""

    def __init__(self, filters: Filters, *, whole: bool) -> None:
        self.filters, self.view = filters, filters.view
        self.all_in_view, self.whole = filters.all_in_view, whole
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
        self.sharing = Sharing(board, None)
        self._conflated = 0
        self._groups: dict[Filters, Group] = {}
        self._veiled: set[UnitId] = set()
        self._veiled_seq = 0

    @property
    def consumers(self) -> list[Consumer]:
        """Everybody who follows."""
        return [consumer for group in self._groups.values() for consumer in group.consumers]

    @property
    def conflated(self) -> int:
        """Positions that newer ones replaced before a slow consumer took them."""
        return self._conflated + sum(consumer.conflated for consumer in self.consumers)

    def reserved(self, mark: Mark) -> None:
        """These numbers are on disk: they may be given."""
        self.sequence.reserved(mark)

    def stats(self) -> dict[str, Any]:
        """Plain counters."""
        counts = {"consumers": len(self.consumers), "conflated": self.conflated, "unencodable": self.unencodable}
        return {**counts, "consumers_closed": dict(self.closed)}

    # --- out

    def publish(self, event: UrgentEvent, key: str, unit: str | None, make: Callable[[int], bytes]) -> UrgentRecord:
        """An urgent record, now. An emergency goes to everybody, whatever they filter."""
        seq = self.sequence.next()
        record = UrgentRecord(seq, event, key, unit, make(seq))
        whole = sse.frame(self.sequence.epoch, seq, event, record.payload)
        for group in self._groups.values():
            if (told := self._told(record, group)) is not None:
                frame = whole if told is record.payload else sse.frame(self.sequence.epoch, seq, event, told)
                for consumer in group.consumers:
                    consumer.press(seq, frame)
            if event == "removed" and unit is not None:
                group.shown.discard(unit)
        self.keep(record)
        return record

    def _told(self, record: UrgentRecord, group: Group) -> bytes | None:
        """The record as a group is told it; None where it does not concern it.

        An emergency is everybody's; the rest is for those who see the unit, and for those who may have seen it.
        What nobody's unit says (a message from a radio not on the roster) is everybody's too.
        """
        if record.unit is not None and not group.whole and record.event != "emergency":
            concerned = group.all_in_view
            if record.event == "removed":
                concerned = not group.view.limited and (group.view.masked or record.unit not in self._board.masked)
            concerned = concerned or record.unit in group.shown or self._about_to_be_shown(record.unit, group)
            if not concerned:
                return None
        return self.sharing.told(group.view, record)

    def keep(self, record: UrgentRecord) -> None:
        """Remember it for those who resume."""
        self.kept.append(record)
        if len(self.kept) > self._settings.urgent_kept:
            self.horizon = self.kept.popleft().seq

    def flush(self, now: Instant, most: int | None = None) -> int:
        """Send each changed unit's feature, or of the longest waiting so many; say how many."""
        if veiled := self._veiled != self._board.masked:
            self._veil()
        self._now, dirty = now, self._board.dirty
        if most is None or len(dirty) <= most:
            changed, self._board.dirty = list(dirty.values()), {}
        else:
            changed = [dirty.pop(name) for name in list(islice(dirty, most))]
        sent = self._send(changed, now)
        if veiled:  # who was cut off in the midst of these may not have been told that a unit is gone
            self._veiled_seq = self.sequence.last
        return sent

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
                mine = frames if group.whole else list(self._seen_by(group, frames, now))
                chunk = whole if mine is frames else b"".join([frame.frame for frame in mine])
                for consumer in group.consumers:
                    consumer.offer(chunk, mine)
        return len(frames)

    def _veil(self) -> None:
        """Units are masked, or no longer: from now on each group's view counts. Whoever comes back begins anew."""
        self._veiled = set(self._board.masked)
        for group in self._groups.values():
            if group.whole and self.sharing.narrows(group.view):
                group.shown.update(name for name, one in self._board.units.items() if one.on_feed)
                group.whole = False

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
        made = [(one, feature) for one in wanted if (feature := self.feature(one, now)) is not None]
        if not filters.view.limited:
            return [(one.id, feature) for one, feature in made]
        return [(one.id, self.sharing.shown(filters.view, one, feature)) for one, feature in made]

    def collection(self, filters: Filters, now: Instant) -> Iterator[bytes]:
        """Every unit wanted, in pieces: where the stream stands now, or newer."""
        self._now = now
        slices = self._sliced(filters, lambda _name: None)
        return encode.collection(slices, self.sequence.epoch, self.sequence.last, rfc3339(now.utc))

    def _sliced(self, filters: Filters, showing: Callable[[str], None]) -> Iterator[list[bytes]]:
        """The units there are now, each as it is when its turn comes: what changed since is also told behind it."""
        known = self._board.units
        for units in some(list(known.values())):
            # Who has left the roster meanwhile was taken away already, from those who knew them.
            shown = self.features(filters, self._now, [one for one in units if known.get(one.id) is one])
            for name, _ in shown:
                showing(name)
            yield [made for _, made in shown]

    def _seen_by(self, group: Group, frames: list[UnitFrame], now: Instant) -> Iterable[UnitFrame]:
        for frame in frames:
            standing = self._board.units.get(frame.unit)  # type: ignore[call-overload]
            if standing is not None and group.filters.match(standing, now.mono_s):
                group.shown.add(frame.unit)
                yield self._as_seen(group, standing, frame) if group.view.limited else frame
            elif frame.unit in group.shown:
                group.shown.discard(frame.unit)
                yield self._out_of_sight(frame)

    def _as_seen(self, group: Group, standing: Standing, frame: UnitFrame) -> UnitFrame:
        if frame.frame is not standing.frame or standing.feature is None:
            return frame  # of a zone: nobody's name is in it
        payload = self.sharing.shown(group.view, standing, standing.feature)
        if payload is standing.feature:
            return frame
        return UnitFrame(frame.unit, frame.seq, sse.frame(self.sequence.epoch, frame.seq, "position", payload))

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
        whole = filters.all_in_view and not self.sharing.narrows(filters.view)
        group = self._groups.setdefault(filters, Group(filters, whole=whole))
        self.flush(now)  # what it is told of begins with everything said: a filter may be passed or failed since
        seq = self._resumable(cursor)
        if seq is None or self._anew(seq, group):
            parts = [*self._urgent_first(seq, group), *self._snapshot(group, emergencies)]
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

    def _anew(self, seq: int, group: Group) -> bool:
        """Whether units may have gone out of sight behind the cursor of which no more is to be told, not even that."""
        return self.sharing.narrows(group.view) and (group.view.limited or seq <= max(self._veiled_seq, self.boot_seq))

    def _urgent(self, seq: int, group: Group) -> list[UrgentRecord]:
        """Every urgent record behind the cursor, as the group is told it."""
        since = [record for record in self.kept if record.seq > seq]
        return [as_told for record in since if (as_told := self._as_told(record, group)) is not None]

    def _urgent_first(self, seq: int | None, group: Group) -> list[bytes]:
        """What goes before a snapshot; whoever is cut off in between comes back with a cursor that begins anew too."""
        urgent = [] if seq is None else self._urgent(seq, group)
        if urgent and not group.view.limited:
            self._veiled_seq = max(self._veiled_seq, urgent[-1].seq)
        return [self._framed(record) for record in urgent]

    def _as_told(self, record: UrgentRecord, group: Group) -> UrgentRecord | None:
        payload = self._told(record, group)
        if payload is None or payload is record.payload:
            return None if payload is None else record
        return UrgentRecord(record.seq, record.event, record.key, record.unit, payload)

    def _framed(self, record: UrgentRecord) -> bytes:
        return sse.frame(self.sequence.epoch, record.seq, record.event, record.payload)

    def _missed(self, seq: int, group: Group, now: Instant) -> list[_Missed]:
        """Every urgent record behind the cursor and each unit's latest, by number.

        Behind a restart a unit that has not been heard since is passed over, for what its consumer
        knows is more than we do; but one that its filter no longer lets pass is taken away all the same.
        """
        units = [one for one in self._board.units.values() if one.on_feed and group.view.sees(one)]
        wanted = {one.id for one in units if group.whole or group.filters.match(one, now.mono_s)}
        group.shown.update(wanted)
        since = max(seq, self.boot_seq)
        units = [one for one in units if one.seq > (since if one.id in wanted else seq) and one.frame is not None]
        found = [_Missed(one.seq, one, one.id in wanted) for one in units]
        urgent = [*self._urgent(seq, group), *self._restated(seq, group)]
        return sorted([*found, *(_Missed(each.seq, each) for each in urgent)], key=attrgetter("seq"))

    def _restated(self, seq: int, group: Group) -> Iterator[UrgentRecord]:
        """For one that may know what a kill took back; a unit that its filter does not let pass is taken away."""
        for record in self.again(seq):
            if (told := self._as_told(record, group)) is not None:
                yield told
            elif record.unit is not None and not self.sharing.narrows(group.view):
                gone = encode.removed(record.unit, record.seq, "filter")
                yield UrgentRecord(record.seq, "removed", record.key, record.unit, gone)

    def _told_again(self, missed: list[_Missed]) -> Iterator[bytes]:
        """As they were; a unit that has moved on since is told of behind all this."""
        for each in some(missed):
            yield b"".join([frame for one in each if (frame := self._again(one)) is not None])

    def _again(self, missed: _Missed) -> bytes | None:
        seq, one = missed.seq, missed.what
        if isinstance(one, UrgentRecord):
            return self._framed(one)
        if not missed.wanted:  # wherever it is by now: to its group it was not shown, so nobody says it behind this
            return self._out_of_sight(UnitFrame(one.id, seq, b"")).frame
        return one.frame if one.seq == seq and one.on_feed else None

    def _snapshot(self, group: Group, emergencies: list[Emergency]) -> list[Part]:
        """Every unit, then each open emergency under a new number: no consumer may have to look for one."""
        seq, epoch = self.sequence.next(), self.sequence.epoch
        open_now = [self._emergency(one, seq, group) for one in emergencies]
        slices = self._sliced(group.filters, group.shown.add)
        parts: list[Part] = [Long(epoch, seq, "snapshot", encode.snapshot(slices, epoch, seq, open_now))]
        for one in emergencies:
            number = self.sequence.next()
            parts.append(sse.frame(epoch, number, "emergency", self._emergency(one, number, group)))
        return parts

    def _about_to_be_shown(self, unit: str, group: Group) -> bool:
        """Whether a snapshot under way has yet to come to a unit of which it will tell."""
        standing = self._board.units.get(UnitId(unit))
        return standing is not None and standing.on_feed and group.filters.match(standing, self._now.mono_s)

    def _emergency(self, one: Emergency, seq: int, group: Group) -> bytes:
        record = UrgentRecord(seq, "emergency", "", one.unit, encode.emergency(one, seq))
        return self.sharing.told(group.view, record) or record.payload
