"""The feed as the rest of the gateway sees it: events in, consumers and queries out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.events import (
    CameraReport,
    EmergencyReport,
    Origin,
    PositionReport,
    Reach,
    ReachReport,
    StatusReport,
    TextReport,
)
from gateway.domain.ids import PersonId, UnitId
from gateway.domain.time import Instant, Stamp
from gateway.errors import RefusedError
from gateway.feed import encode
from gateway.feed.alarm import Alarm, what_failed
from gateway.feed.annals import Annals, Known
from gateway.feed.board import Board
from gateway.feed.bookings import BookedOn
from gateway.feed.consumer import GOING_AWAY, LEFT, Consumer, Kind
from gateway.feed.duties import Duties
from gateway.feed.duty import EMERGENCY, STATES, DutyRecord
from gateway.feed.emergencies import DAMAGED, KILLED, EmergencyRecord, Outcome
from gateway.feed.filters import ALL, Filters
from gateway.feed.handsets import Handset, roll_of_handsets
from gateway.feed.hub import FLUSHED_AT_ONCE, Hub
from gateway.feed.last_words import LastWords
from gateway.feed.letters import Letters
from gateway.feed.messages import Message
from gateway.feed.opening import Opening
from gateway.feed.overtime import Overtime
from gateway.feed.reach import Contacts
from gateway.feed.sequence import BLOCK, Mark, Sequence, new_epoch
from gateway.feed.settings import FeedSettings
from gateway.feed.sharing import Sharing
from gateway.feed.standing import Standing
from gateway.feed.urgent_lines import Restored, UrgentEvent
from gateway.feed.urgent_log import Disk, FileOps, UrgentLog
from gateway.feed.view import ORDINARY, View
from gateway.feed.wanted import Ranking, Wanted
from gateway.feed.zoning import Zoning
from gateway.ports import Clock, Directory, Resolved

_log = structlog.get_logger()
NO_UNIT = "no such unit on the roster"


class Feed:
    """Implements gateway.ports.FeedSink. open(), then run() until cancelled, then close()."""

    def __init__(
        self,
        settings: FeedSettings,
        directory: Directory,
        clock: Clock,
        data_dir: Path,
        *,
        files: FileOps | None = None,
    ) -> None:
        self.settings = settings
        self._directory, self._clock = directory, clock
        self.board = Board(settings)
        self._hub = Hub(settings, self.board)
        self.turn = self._hub.turn
        self.sharing = self._hub.sharing = Sharing(self.board, directory)
        self.zoning = Zoning(self.board, self._hub)
        self.opening = Opening(self.board, self.sharing, directory)
        self._annals = Annals(self._hub)
        self._log = UrgentLog(files or Disk(data_dir / "feed"), self._annals.image)
        self._alarm = Alarm(directory, self.board, self._hub, self._log, self._annals)
        self._alarm.left, self.siren, self.written = self._leave, self._alarm.siren, self._log.written
        self._letters = Letters(settings.messages_kept, self._annals, self._tell)
        self._contacts = Contacts(self.board, LastWords(self._hub, self._annals, self._log).note)
        self._counts: Counter[str] = Counter()
        self.duties = Duties(self.board, self._hub, self._tell, self._leave, clock)
        self.overtime = self.duties.overtime = Overtime(self.board, self.duties.remark)
        self.board.left = self._leave
        self.booked = BookedOn(self.board, self.duties)
        self._beat_s = self._roster_s = float("-inf")
        self._open = False
        self._read: tuple[int | None, date, int] | None = None
        self.recall: Callable[[Instant], Awaitable[None]] | None = None  # puts back where everybody was last

    # --- lifecycle

    async def open(self) -> None:
        """Take up the roster and what the urgent log remembers; begins even where the disk refuses."""
        if self._open:
            return
        now = self._clock.now()
        restored = await self._log.open()
        self._log.kept, self._log.refused = self._alarm.on_disk, self._alarm.refused
        self._log.reserved = self._hub.reserved
        self._hub.sequence = await self._begin(restored)
        self._refresh(now)
        known = Known(self.board, self._alarm.emergencies, self._letters.messages, self._letters.proofs, self._contacts)
        self._annals.restore(restored, known)
        if self.recall is not None:
            await self.recall(now)
        self._alarm.show_all(now)
        if restored.found and not restored.ended:
            step = KILLED if restored.whole else DAMAGED
            self._alarm.emergencies.skip_to_next(step, now.utc)
            self._letters.messages.skip_to_next(step)
        self._log.rewrite()
        await self._log.write()
        self._hub.boot_seq = self._hub.sequence.last
        self._hub.flush(now)
        self._hub.boot_seq = self._hub.sequence.last
        self._open = True

    async def _begin(self, restored: Restored) -> Sequence:
        """The old epoch goes on only if its next block is on disk before its first number is used."""
        epoch = restored.epoch if restored.whole else new_epoch()
        mark = Mark(1, epoch, restored.first + BLOCK)
        self._hub.sequence = Sequence(epoch, restored.first, mark.mark, on_disk=False)
        self._log.reserve(mark)
        if not await self._log.write() and restored.whole:
            return Sequence(new_epoch(), restored.first, mark.mark, on_disk=False)
        return self._hub.sequence

    async def run(self) -> None:
        """Tick and write until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._log.run())
            group.create_task(self._ticks())

    async def _ticks(self) -> None:
        while True:
            await self._hub.flush_many(self._clock)
            self.tick(self._clock.now(), FLUSHED_AT_ONCE)
            await asyncio.sleep(self.settings.tick_ms / 1000)

    async def close(self) -> None:
        """Send the consumers away and write down what waits."""
        if self._open:
            self._open = False
            self._hub.flush(self._clock.now())
            for consumer in self._hub.consumers:
                consumer.end(GOING_AWAY)
        await self._log.close()

    def tick(self, now: Instant, most: int | None = None) -> None:
        """One turn: the roster now and then, ages, positions (at most so many) out, heartbeats, the slow, the stuck."""
        if now.mono_s - self._roster_s >= self.settings.roster_s:
            self._refresh(now)
        self.board.age(now)
        self.overtime.tick(now)
        self._alarm.escalate(now)
        self.opening.look(self._alarm.emergencies.open(), now)
        self._hub.flush(now, most)
        self.zoning.look(now)
        if now.mono_s - self._beat_s >= self.settings.heartbeat_s:
            self._beat_s = now.mono_s
            self._hub.heartbeat(now)
        self._hub.sweep(now)
        if (mark := self._hub.sequence.wanted()) is not None and not self._log.refusing:
            self._log.reserve(mark)
        if self._annals.epoch != self._hub.sequence.epoch and not self._log.refusing:
            self._log.rewrite()

    def refresh(self) -> None:
        """The roster has changed: take it up now rather than in a few seconds."""
        self._refresh(self._clock.now())

    def _refresh(self, now: Instant) -> None:
        self._roster_s, masked = now.mono_s, set(self.board.masked)
        # A directory that counts its changes is not read where there was none: of 100,000 units that takes a while.
        revision, gone = getattr(self._directory, "revision", None), []
        try:
            if revision is None or self._read != (revision, now.utc.date(), len(self.board.units)):
                gone = self.board.refresh(self._directory, now)
                # More on the board than on the roster: somebody who has left it stays, for an emergency or the like.
                self._read = revision, now.utc.date(), len(self._directory.units())
                self.overtime.look(now)
            self.booked.look(now)
        except Exception as error:  # noqa: BLE001 - a roster out of order must not silence the feed: the last one stands
            self._counts["roster_faults"] += 1
            _log.error("the roster can't be read", problem=what_failed(error))
            return
        for standing in gone:
            self._annals.forget(standing.id)
            if standing.on_feed:
                self._leave(standing.id, "roster")
        if masked != self.board.masked:
            self._hub.flush(now)
            self._alarm.again(masked ^ self.board.masked)

    def _leave(self, unit: str, reason: str) -> None:
        self._log.add(self._hub.publish("removed", f"removed {unit}", unit, lambda n: encode.removed(unit, n, reason)))

    # --- FeedSink

    def position(self, report: PositionReport, who: Resolved, *, quality: tuple[str, ...] = ()) -> None:
        """Move a unit on the board."""
        try:
            self.board.place(report, who, quality)
            if report.origin.issi is not None:
                self._heard(report, who)
            if self._alarm.emergencies.any_open:
                self._alarm.moved(report, who)
        except Exception as error:  # noqa: BLE001 - a report nobody foresaw costs itself, not the input it came by
            self._counts["position_faults"] += 1
            _log.error("a position could not be taken", problem=what_failed(error))

    def status(self, report: StatusReport, who: Resolved) -> None:
        """Change a unit's duty state; 0 is an emergency, 12 to 16 are messages."""
        code = report.code
        self._heard(report, who)
        if report.value == self.settings.test_status:
            self._counts["test_statuses"] += 1
            self._letters.prove(report, who)
        elif code == EMERGENCY:
            self.emergency(EmergencyReport(report.origin, report.stamp, "tetra_status"), who, journalled=True)
        elif code is None or not 0 < code < len(STATES):
            self._counts["messages"] += 1
            self._letters.message(report, who)
        elif not self.duties.heard(report, code, who):
            self._counts["status_unattributed"] += 1

    def text(self, report: TextReport, who: Resolved) -> None:
        """A text from an officer."""
        self._counts["messages"] += 1
        self._heard(report, who)
        self._letters.message(report, who)

    def _tell(self, event: UrgentEvent, key: str, unit: str | None, make: Callable[[int], bytes]) -> None:
        """Out to everybody whom it concerns; then to disk."""
        record = self._hub.publish(event, key, unit, make)
        self._annals.note(record)
        self._log.add(record)

    def reach_report(self, report: ReachReport, who: Resolved) -> None:
        """A radio says of itself whether it can be reached; a change goes out at once."""
        self._counts["reach_reports"] += 1
        self._show(self._contacts.said(report, who))

    def _heard(self, report: PositionReport | StatusReport | TextReport | EmergencyReport, who: Resolved) -> None:
        """Whoever is heard can be reached."""
        self._show(self._contacts.heard(report.origin, report.stamp.arrived, who))

    def _show(self, changed: list[Standing]) -> None:
        for standing in changed:
            self._hub.show(standing, self._clock.now())

    def emergency(self, report: EmergencyReport, who: Resolved, *, journalled: bool) -> None:
        """Raise or add to an emergency; out to every consumer at once."""
        self._alarm.raised(report, who, journalled=journalled)
        try:
            self._heard(report, who)
        except Exception as error:  # noqa: BLE001 - the alarm is out; what its radio's reach is must not undo that
            self._counts["reach_faults"] += 1
            _log.error("a radio's reach can't be told", problem=what_failed(error))

    def journal_recovered(self) -> None:
        """What the journal had refused is on disk now."""
        self._alarm.journal_recovered()

    def camera(self, report: CameraReport, who: Resolved) -> None:
        """Camera telemetry: battery, recording."""
        self._counts["camera_reports"] += 1
        self.board.camera(report, who)

    def off_duty(self, unit: UnitId, person: str | None = None) -> bool:
        """Whether positions of this unit, or of this member of it, are neither shown nor kept."""
        return self.board.off_duty(unit, person)

    # --- acts of the control room

    def set_duty(self, unit: str, code: int, *, incident: str | None = None, person: str | None = None) -> bool:
        """The control room sets a status, or (person) books one of a crew off or on again; False for no such unit."""
        return self.duties.set_by_hand(UnitId(unit), code, incident, person)

    def duty(self, unit: str) -> DutyRecord | None:
        """A unit's duty as it stands, off duty or on; None for no such unit."""
        standing = self.board.units.get(UnitId(unit))
        return None if standing is None else encode.duty_record(standing, self.seq)

    def raise_manual(self, *, unit: str | None = None, person: str | None = None) -> EmergencyRecord:
        """Somebody heard it rather than saw it: an emergency by the control room's word."""
        standing = self.board.units.get(UnitId(unit)) if unit is not None else None
        if unit is not None and standing is None:
            raise RefusedError(404, NO_UNIT)
        if person is None and standing is not None and len(standing.roll.unit.members) == 1:
            person = standing.roll.unit.members[0]
        who = Resolved(UnitId(unit) if unit else None, PersonId(person) if person else None)
        origin, stamp = Origin("console"), Stamp(self._clock.now())
        self.emergency(EmergencyReport(origin, stamp, "manual"), who, journalled=True)
        found = self._alarm.emergencies.at(who.person, origin, who)
        if found is None:
            raise RefusedError(500, "the emergency went out without a number of its own")
        return encode.emergency_record(found)

    def acknowledge(self, number: str, by: str) -> EmergencyRecord | None:
        """A named person has it in hand; None for one unknown or over."""
        found = self._alarm.acknowledge(number, by)
        return None if found is None else encode.emergency_record(found)

    def clear(self, number: str, by: str, outcome: Outcome) -> EmergencyRecord | None:
        """It is over; None for one unknown or over already."""
        found = self._alarm.clear(number, by, outcome)
        return None if found is None else encode.emergency_record(found)

    def delivered(self, number: str) -> None:
        """A consumer's machine has this emergency."""
        self._alarm.delivered(number)

    def deal(self, message: int, by: str) -> Message | None:
        """A named person has dealt with a message; told to everybody once. None for one unknown."""
        return self._letters.deal(message, by, self._clock.now().utc.timestamp())

    # --- queries

    def subscribe(self, cursor: str | None = None, filters: Filters = ALL, kind: Kind = Consumer) -> Consumer:
        """Follow the feed from a cursor (`epoch-seq`), or from a snapshot; kind makes the consumer."""
        return self._hub.subscribe(cursor, filters, self._clock.now(), self._alarm.emergencies.open(), kind)

    def unsubscribe(self, consumer: Consumer) -> None:
        """This consumer is gone."""
        consumer.end(LEFT)
        self._hub.sweep(self._clock.now())

    def snapshot(self, filters: Filters = ALL) -> bytes:
        """Every unit on the feed as a GeoJSON FeatureCollection."""
        return b"".join(self.collection(filters))

    def collection(self, filters: Filters = ALL) -> Iterator[bytes]:
        """The same in pieces, each made when it is asked for: a unit is as it is then."""
        return self._hub.collection(filters, self._clock.now())

    def unit(self, name: str) -> bytes | None:
        """One unit's Feature; None for one that is not on the feed."""
        standing = self.board.units.get(UnitId(name))
        if standing is None or not standing.on_feed:
            return None
        return self._hub.feature(standing, self._clock.now())

    def nearest(self, wanted: Wanted, view: View = ORDINARY) -> Ranking:
        """The units that fit, ranked, as far as this view goes."""
        return self.board.index.query(wanted, self._clock.now(), self.sharing.rows(view, skill=bool(wanted.skill)))

    def emergencies(self) -> tuple[EmergencyRecord, ...]:
        """All that are open, and the latest that are over."""
        known = self._alarm.emergencies.known.values()
        return tuple(encode.emergency_record(one) for one in known)

    def messages(self) -> tuple[Message, ...]:
        """Statuses 12 to 16 and texts, oldest first."""
        return self._letters.messages.all()

    def reach(self, unit: str) -> Reach:
        """Whether a unit can be reached by radio; unknown for one not heard yet."""
        return self._contacts.of(unit)

    def handsets(self) -> tuple[Handset, ...]:
        """Every radio of the roster or heard, by ISSI: its reach, and when its emergency path was proven."""
        return roll_of_handsets(self.board.units.values(), self._contacts.radios(), self._letters.proofs.latest)

    @property
    def epoch(self) -> str:
        """The stream's epoch."""
        return self._hub.sequence.epoch

    @property
    def oldest(self) -> int:
        """The earliest number that the stream can be resumed behind."""
        return self._hub.horizon

    @property
    def seq(self) -> int:
        """The last number given."""
        return self._hub.sequence.last

    def health(self) -> str:
        """`ok`, or `degraded` where the urgent log is behind: the feed itself goes on."""
        return "degraded" if self._log.refusing or self._log.stalled else "ok"

    def stats(self) -> dict[str, Any]:
        """Plain counters."""
        counts: dict[str, Any] = {**self.board.counts, **self._counts, **self.duties.counts, **self._alarm.counts}
        counts["positions"] = sum(self.board.counts.values())
        counts["emergencies_unacknowledged"] = self._alarm.unacknowledged
        counts["units"] = len(self.board.units.keys() - self.board.masked)
        counts["overtime"] = self.overtime.marked
        counts |= self.board.fusion.stats() | self.zoning.stats() | self._hub.stats()
        counts["urgent_pending"], counts["urgent_refusals"] = self._log.pending, self._log.refusals
        counts["urgent_unreadable"] = self._annals.unreadable
        return counts
