"""Fan-out: one rising sequence to every consumer. Urgent records at once, positions by the tick, one blob a group.

A unit's record gets its number when it goes out, not when the board changed. So an urgent record is
never behind the positions that still wait for their tick, and numbers rise for everybody.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import structlog

from gateway.domain.ids import UnitId
from gateway.domain.time import Instant, rfc3339
from gateway.errors import RefusedError
from gateway.feed import encode, sse
from gateway.feed.board import Board
from gateway.feed.consumer import Consumer, Kind, UnitFrame
from gateway.feed.emergencies import Emergency
from gateway.feed.filters import Filters
from gateway.feed.sequence import BLOCK, Sequence
from gateway.feed.settings import FeedSettings
from gateway.feed.sharing import Sharing
from gateway.feed.standing import Standing
from gateway.feed.urgent_lines import UrgentEvent, UrgentRecord

_log = structlog.get_logger()


class Group:
    """Consumers with one subscription and one view, and the units they have been shown; whole: no unit is kept back."""

    def __init__(self, filters: Filters, *, whole: bool) -> None:
        self.filters, self.view = filters, filters.view
        self.all_in_view, self.whole = filters.all_in_view, whole
        self.consumers: list[Consumer] = []
        self.shown: set[str] = set()


class Hub:
    """The stream: its records, who follows it, and how they catch up."""

    def __init__(self, settings: FeedSettings, board: Board) -> None:
        self._settings, self._board = settings, board
        self.sequence = Sequence("", 1, BLOCK, on_disk=False)
        self.kept: deque[UrgentRecord] = deque()
        self.horizon = 0
        self.boot_seq = 0
        self.unencodable = 0
        self.closed: dict[str, int] = {}
        self.zoned: Callable[[list[Standing]], list[UnitFrame]] = lambda _changed: []
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
            if not concerned and record.unit not in group.shown:
                return None
        return self.sharing.told(group.view, record)

    def keep(self, record: UrgentRecord) -> None:
        """Remember it for those who resume."""
        self.kept.append(record)
        if len(self.kept) > self._settings.urgent_kept:
            self.horizon = self.kept.popleft().seq

    def flush(self, now: Instant) -> int:
        """Send each changed unit's feature; say how many."""
        if self._veiled != self._board.masked:
            self._veil()
        changed, self._board.dirty = list(self._board.dirty.values()), {}
        return self._send(changed, now)

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
        self._veiled, self._veiled_seq = set(self._board.masked), self.sequence.last
        for group in self._groups.values():
            if group.whole and self.sharing.narrows(group.view):
                group.shown.update(self._board.units)
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

    def features(self, filters: Filters, now: Instant) -> list[tuple[str, bytes]]:
        """Every unit on the feed that is wanted."""
        wanted = [one for one in self._board.units.values() if one.on_feed and filters.match(one, now.mono_s)]
        made = [(one, feature) for one in wanted if (feature := self.feature(one, now)) is not None]
        if not filters.view.limited:
            return [(one.id, feature) for one, feature in made]
        return [(one.id, self.sharing.shown(filters.view, one, feature)) for one, feature in made]

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
        whole = filters.all_in_view and not self.sharing.narrows(filters.view)
        group = self._groups.setdefault(filters, Group(filters, whole=whole))
        self.flush(now)  # what it is told of begins with everything said: a filter may be passed or failed since
        seq = self._resumable(cursor)
        if seq is None:
            consumer.begin(self._snapshot(group, now, emergencies))
        elif self._anew(seq, group):
            consumer.begin(
                b"".join(frame for _, frame in self._urgent(seq, group)) + self._snapshot(group, now, emergencies)
            )
        elif missed := self._missed(seq, group, now):
            consumer.begin(missed)
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

    def _urgent(self, seq: int, group: Group) -> list[tuple[int, bytes]]:
        """Every urgent record behind the cursor, as the group is told it."""
        epoch, since = self.sequence.epoch, [record for record in self.kept if record.seq > seq]
        told = [(record, payload) for record in since if (payload := self._told(record, group)) is not None]
        return [(record.seq, sse.frame(epoch, record.seq, record.event, payload)) for record, payload in told]

    def _missed(self, seq: int, group: Group, now: Instant) -> bytes:
        """Every urgent record behind the cursor and each unit's latest, by number.

        Behind a restart a unit that has not been heard since is passed over, for what its consumer
        knows is more than we do; but one that its filter no longer lets pass is taken away all the same.
        """
        frames: list[tuple[int, bytes]] = []
        for standing in self._board.units.values():
            if not group.view.sees(standing):
                continue
            wanted = standing.on_feed and group.filters.match(standing, now.mono_s)
            if wanted:
                group.shown.add(standing.id)
            since = max(seq, self.boot_seq) if wanted else seq
            if standing.frame is None or standing.seq <= since or not standing.on_feed:
                continue
            frame = UnitFrame(standing.id, standing.seq, standing.frame)
            frames.append((frame.seq, (frame if wanted else self._out_of_sight(frame)).frame))
        frames.extend(self._urgent(seq, group))
        return b"".join(frame for _, frame in sorted(frames))

    def _snapshot(self, group: Group, now: Instant, emergencies: list[Emergency]) -> bytes:
        """Every unit, then each open emergency under a new number: no consumer may have to look for one."""
        seq, epoch = self.sequence.next(), self.sequence.epoch
        shown = self.features(group.filters, now)
        group.shown.update(name for name, _ in shown)
        open_now = [self._emergency(one, seq, group) for one in emergencies]
        payload = encode.snapshot((made for _, made in shown), epoch, seq, open_now)
        frames = [sse.frame(epoch, seq, "snapshot", payload)]
        for one in emergencies:
            number = self.sequence.next()
            frames.append(sse.frame(epoch, number, "emergency", self._emergency(one, number, group)))
        return b"".join(frames)

    def _emergency(self, one: Emergency, seq: int, group: Group) -> bytes:
        record = UrgentRecord(seq, "emergency", "", one.unit, encode.emergency(one, seq))
        return self.sharing.told(group.view, record) or record.payload
