"""Dispatch as the rest of the gateway sees it: tasks in, what radios say of them in, what became of them out."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog

from gateway.dispatch import task as steps
from gateway.dispatch.asked import DeclinedError, NewTask, checked, fingerprint, words
from gateway.dispatch.book import Book
from gateway.dispatch.errands import Errands
from gateway.dispatch.ports import Ledger, Surroundings, Wanted
from gateway.dispatch.sender import Sender
from gateway.dispatch.settings import DispatchSettings
from gateway.dispatch.share import Share, longest
from gateway.dispatch.task import Answer, Task
from gateway.dispatch.times import By, ResponseTimes, response_times
from gateway.dispatch.vigil import Vigil
from gateway.dispatch.whom import wearer
from gateway.domain.events import DeliveryReport, ReachReport, ReadReceipt, StatusReport
from gateway.domain.people import Unit
from gateway.errors import GatewayError, StoreBusyError
from gateway.ports import Outgoing, Resolved

_log = structlog.get_logger()
RESTART_S = 1.0
TIDY_S = 3600.0
CONSUMED = 0x02
"""SDS-TL delivery status: the person has read it (EN 300 392-2 clause 29.4.3.2)."""
NOT_YET = "dispatch is starting"


class Dispatch:
    """open(), then run() until cancelled, then close()."""

    def __init__(self, settings: DispatchSettings, ledger: Ledger, around: Surroundings) -> None:
        self.settings, self._around = settings, around
        self.counts: Counter[str] = Counter()
        self.share = Share(around.downlinks)
        self._book = Book(ledger, self.counts)
        self._sender = Sender(settings, around, self._book, self.share, self.counts)
        self._sender.settled = self._withdraw
        self._errands = Errands(settings, around, self.share, self.counts)
        self._vigil = Vigil(settings, around, ledger, self._errands, self.counts)
        self._entering = asyncio.Lock()
        self._group: asyncio.TaskGroup | None = None
        self._open = False
        answers: dict[Answer, tuple[int, ...]] = {
            "accepted": settings.accepted,
            "refused": settings.refused,
            "en_route": settings.en_route,
            "at_scene": settings.at_scene,
            "done": settings.done,
        }
        self._answers = {code: answer for answer, codes in answers.items() for code in codes}

    # --- lifecycle

    async def open(self) -> None:
        """Take up what the ledger remembers."""
        if self._open:
            return
        await self._book.load()
        await self._vigil.load()
        self._sender.resume(self._around.clock.now())
        for task in self._book.open():
            self._withdraw(task)
        self._open = True

    async def run(self) -> None:
        """Send and write until cancelled; a defect of ours costs a second, loudly, and never the feed."""
        while True:
            try:
                async with asyncio.TaskGroup() as self._group:
                    for part in (self._sender.turns, self._errands.turns, self._book, self._vigil):
                        self._group.create_task(part.run())
                    self._group.create_task(self._tidy())
            except* Exception:  # noqa: BLE001 - see above
                self.counts["defects"] += 1
                _log.exception("dispatch_defect")
                self._sender.resume(self._around.clock.now())
            finally:
                self._group = None
            await asyncio.sleep(RESTART_S)

    async def _tidy(self) -> None:
        """Now and then, tasks that were over long ago."""
        days = self.settings.keep_days
        while days is not None:
            try:
                await self._book.forget(self._around.clock.now().utc - timedelta(days=days))
            except StoreBusyError as wrong:
                _log.warning("tasks_not_forgotten", problem=str(wrong))
            await asyncio.sleep(TIDY_S)

    async def close(self) -> None:
        """Write down what waits."""
        if self._open:
            self._open = False
            try:
                await self._book.keep()
            except StoreBusyError as wrong:
                _log.error("tasks_not_written", problem=str(wrong))
            self._book.close()

    def nudge(self) -> None:
        """Look at clock, links and emergencies now."""
        self._sender.turns.nudge()
        self._errands.turns.nudge()
        self._vigil.nudge()

    def health(self) -> str:
        """`ok`, or `degraded` where what is so is not on disk."""
        return "degraded" if self._book.refusing else "ok"

    def stats(self) -> dict[str, int]:
        """Plain counters."""
        tasks = self._book.open()
        waiting = sum(task.pending and not task.over for task in tasks)
        return {**self.counts, "open": len(tasks), "waiting": waiting, "takeovers": self.share.takeovers}

    # --- acts of the control room

    async def create(self, asked: NewTask, actor: str, key: str | None = None) -> tuple[Task, bool]:
        """Return the task, on disk, and whether it is new. DeclinedError with the status that says why not.

        The caller may go away meanwhile: what has begun to be written is taken up all the same.
        """
        if self._group is None:
            raise StoreBusyError(NOT_YET, 1)
        made = await asyncio.shield(self._group.create_task(self._create(asked, actor, key)))
        if isinstance(made, GatewayError):
            raise made
        return made

    async def _create(self, asked: NewTask, actor: str, key: str | None) -> tuple[Task, bool] | GatewayError:
        try:
            async with self._entering:
                return await self._entered(asked, actor, key)
        except GatewayError as no:  # an answer to the caller, not the end of the room
            return no

    async def _entered(self, asked: NewTask, actor: str, key: str | None) -> tuple[Task, bool]:
        before = await self._book.keyed(actor, key) if key is not None else None
        if before is not None:
            if before[1] != fingerprint(asked):
                raise DeclinedError(422, f"this Idempotency-Key made {before[0].id} of another request")
            return before[0], False
        now = self._around.clock.now().utc
        checked(asked, now)
        unit = self._around.directory.unit(asked.unit)
        if unit is None:
            raise DeclinedError(404, f"no unit {asked.unit!r} on the roster")
        self._fits(asked)
        self._free(asked)
        task = await self._book.add(self._new(asked, unit, actor, now), key, fingerprint(asked))
        self.counts["created"] += 1
        self._sender.begin(task.id)
        begun = self._book.get(task.id) or task
        if begun.over:
            await self._book.keep()
        elif self.settings.locate and self._around.beats.stale(unit.id):
            self._locate(unit, now)
        return begun, True

    def _new(self, asked: NewTask, unit: Unit, actor: str, now: datetime) -> Task:
        fields: dict[str, Any] = {name: getattr(asked, name) for name in msgspec.structs.asdict(asked)}
        reason = asked.override.reason.strip() if asked.override else None
        fields.update(unit=unit.id, override=reason, words=words(asked))
        task = Task(id="", agency=unit.agency, actor=actor, created_at=now, **fields)
        return steps.stepped(task, now, actor, f"override: {reason}" if reason else None)

    def _fits(self, asked: NewTask) -> None:
        over = self.share.over(words(asked))
        if over > 0:
            fits = longest(
                lambda text: self.share.over(words(msgspec.structs.replace(asked, text=text))) <= 0, asked.text
            )
            detail = f"text: {over} octets over the limit of this bearer; {fits} characters of it fit"
            raise DeclinedError(422, detail, limit=fits, over_octets=over)

    def _free(self, asked: NewTask) -> None:
        """Whether the unit is free for it, and we for another task."""
        active = self._book.active(asked.unit)
        if active and asked.override is None:
            detail = f"{asked.unit} is committed to {active[0].id}; override with a reason"
            raise DeclinedError(409, detail, task=active[0].id, state=active[0].state)
        changed, state = self._around.beats.duty(asked.unit)
        if asked.seq is not None and asked.seq < changed and asked.override is None:
            detail = (
                f"{asked.unit} is {state} since {changed}, seen at {asked.seq}: look again, or override with a reason"
            )
            raise DeclinedError(409, detail, seq=changed, duty=state)
        if len(self._book.open()) >= self.settings.open_max:
            raise StoreBusyError(f"{self.settings.open_max} tasks are open")

    def _locate(self, unit: Unit, now: datetime) -> None:
        found = wearer(self._around.directory, self._around.devices(), unit, now)
        if found is not None:
            self._errands.locate(found.issi)

    async def cancel(self, name: str, actor: str, reason: str | None = None) -> Task:
        """Take a task back; DeclinedError 404 for one unknown, 409 for one that is over otherwise."""
        task = await self.task(name)
        if task.over and task.state != "cancelled":
            raise DeclinedError(409, f"{name} is over: {task.state}", task=name, state=task.state)
        taken_back = steps.cancelled(task, self._around.clock.now().utc, actor, reason)
        if taken_back is not task:
            self.counts["cancelled"] += 1
            self._book.put(taken_back)
            self._withdraw(taken_back)
            await self._book.keep()
        return taken_back

    def _withdraw(self, task: Task) -> None:
        """Tell the officer who may have it that it is cancelled; one still in a terminal's hands is seen to later."""
        mark = self.settings.cancel_mark
        if task.notice != "due" or task.issi is None or task.handed:
            return
        if mark is None:
            self._book.put(msgspec.structs.replace(task, notice=None))
            return

        def done(sent: bool) -> None:  # noqa: FBT001 - what an errand says when it is over
            known = self._book.get(task.id)
            if known is not None:
                self._book.put(msgspec.structs.replace(known, notice="sent" if sent else "failed"))

        which = task.incident or task.text
        text = mark + which[: longest(lambda part: self.share.over(mark + part) <= 0, which)]
        self._errands.add(f"cancel {task.id}", Outgoing(f"{task.id}/cancel", task.issi, "text", text), done)

    # --- queries

    def engaged(self) -> set[str]:
        """The units that have a task which is not over."""
        return {task.unit for task in self._book.open() if not task.over}

    async def task(self, name: str) -> Task:
        """One task; DeclinedError 404."""
        found = await self._book.find(name)
        if found is None:
            raise DeclinedError(404, f"task {name!r} is not known")
        return found

    async def tasks(self, wanted: Wanted) -> list[Task]:
        """Tasks, oldest first."""
        return await self._book.every(wanted)

    async def response_times(
        self, since: datetime | None, until: datetime | None, by: By, seen: Callable[[Task], bool] = lambda _task: True
    ) -> ResponseTimes:
        """How quickly, of the tasks made in that span that whoever asks may see."""
        tasks = [task for task in await self._book.every(Wanted(since=since, until=until, limit=None)) if seen(task)]
        return await asyncio.to_thread(response_times, tasks, by)

    # --- what radios say; synchronous, in memory

    def delivery(self, report: DeliveryReport) -> None:
        """What became of a message we sent."""
        self._sender.delivery(report)

    def status(self, report: StatusReport, who: Resolved) -> None:
        """An officer's status may answer the unit's task."""
        if who.unit is not None and report.code is not None:
            actor = who.person or f"issi {report.origin.issi}"
            self.duty(who.unit, report.code, actor, report.stamp.at)

    def duty(self, unit: str, code: int, actor: str, at: datetime | None = None) -> None:
        """A unit's duty has become so, by radio or by the control room: it is said of the newest task it has."""
        answer = self._answers.get(code)
        task = next((task for task in self._book.active(unit) if task.out), None)
        if answer is None or task is None:
            return
        moment = at or self._around.clock.now().utc
        if moment < task.created_at:
            self.counts["answers_late"] += 1
            return
        known = steps.answered(task, answer, moment, actor)
        self.counts["answers" if known is not task else "answers_without_effect"] += 1
        self._book.put(known)

    async def on_record(self) -> None:
        """Return when what a duty has answered is on disk; StoreBusyError where the disk refuses."""
        await self._book.keep()

    def reach(self, _report: ReachReport, _who: Resolved) -> None:
        """A terminal came within reach or went out of it: tasks that wait look again."""
        self._sender.turns.nudge()

    def dealt(self, receipt: ReadReceipt) -> None:
        """A named person has dealt with an officer's message: its sender is told, by the terminal that heard it."""
        key = f"dealt {receipt.via}/{receipt.issi}/{receipt.reference}"
        word = Outgoing(
            key,
            receipt.issi,
            "report",
            value=CONSUMED,
            protocol=receipt.protocol,
            reference=receipt.reference,
            via=receipt.via,
        )
        self._errands.add(key, word)

    def emergency(self) -> None:
        """An emergency was raised, acknowledged or cleared."""
        self._vigil.nudge()
