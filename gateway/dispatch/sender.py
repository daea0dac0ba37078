"""One task's way to the air: to whom, by which gateway terminal, how often, and when it has failed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec
import structlog

from gateway.dispatch import task as steps
from gateway.dispatch.book import Book
from gateway.dispatch.ports import Surroundings
from gateway.dispatch.settings import DispatchSettings
from gateway.dispatch.share import NONE_READY, Share
from gateway.dispatch.task import Cause, Task
from gateway.dispatch.turns import Turns
from gateway.dispatch.whom import Wearer, wearer
from gateway.domain.backoff import Backoff
from gateway.domain.events import DeliveryReport
from gateway.domain.time import Instant
from gateway.errors import LinkError, RefusedError, StoreBusyError
from gateway.ports import Outgoing

OUT_OF_REACH = frozenset({"dmo", "no_service", "off"})
LOOK_S = 0.5
"""How often a task that waits for a gateway terminal looks for one."""
EARLY_KEPT = 256


class Sender:
    """Sends tasks that are pending, and takes what the network says of those sent."""

    def __init__(
        self, settings: DispatchSettings, around: Surroundings, book: Book, share: Share, counts: Counter[str]
    ) -> None:
        self._settings, self._around, self._book, self._share, self._counts = settings, around, book, share, counts
        self._backoffs: dict[str, Backoff] = {}
        self._early: dict[tuple[str, int | None, int], DeliveryReport] = {}
        self._opened: Instant | None = None
        self.turns = Turns(around.clock, self._turn)
        self.settled: Callable[[Task], None] = lambda _task: None

    def resume(self, now: Instant) -> None:
        """After a start: what was pending goes on; what was in a terminal's hands may have gone out."""
        self._opened = now
        for task in self._book.open():
            known = task
            if task.handed:
                self._counts["uncertain_after_restart"] += 1
                known = steps.uncertain(task, now.utc)
                self._book.put(known)
            if known.pending and not known.over:
                self.turns.at(known.id, now.mono_s)

    def begin(self, name: str) -> None:
        """A new task: fail it at once where it cannot go out, else give it its turn."""
        now = self._around.clock.now()
        task = self._book.get(name)
        if task is not None and self._reachable(task) and self._whom(task, now) is not None:
            self.turns.at(name, now.mono_s)

    async def _turn(self, name: str) -> None:
        try:
            message = await self._handed(name)
            if message is not None:
                await self._send(name, message)
        except StoreBusyError:
            # Not marked on disk as handed over, so it must not go out: a restart would send it twice.
            self._taken_back(name, "the disk refuses", tried=False)
        task = self._book.get(name)
        if task is None or task.over or not task.pending:
            self._backoffs.pop(name, None)
        if task is not None:
            self.settled(task)

    async def _handed(self, name: str) -> Outgoing | None:
        """Mark it, on disk, as being in a terminal's hands; None where it is not to go out now."""
        task, now = self._book.get(name), self._around.clock.now()
        if task is None or task.over or not task.pending or self._expired(task, now) or not self._reachable(task):
            return None
        if not self._share.ready:
            self.turns.at(name, now.mono_s + LOOK_S)
            return None
        to = self._whom(task, now)
        if to is None:
            return None
        marked = steps.handed(task, now.utc, to.issi, to.person)
        self._book.put(marked)
        await self._book.keep()
        if self._current(name).over or not self._current(name).pending:
            self._taken_back(name, "no longer wanted", tried=False)
            return None
        return Outgoing(f"{name}/{marked.attempts}", to.issi, "text", self._words(marked))

    async def _send(self, name: str, message: Outgoing) -> None:
        try:
            async with asyncio.timeout(self._settings.patience_s):
                via, sent = await self._share.send(message)
        except LinkError as gone:
            self._counts["links_lost"] += 1
            self._taken_back(name, str(gone), tried=False)
        except RefusedError as no:
            self._refused(name, no)
        except TimeoutError:
            self._fail(name, Cause("no_answer", "the radio never said whether it was sent: it may have been"))
        except Exception as defect:  # noqa: BLE001 - one terminal's defect costs this task, loudly, and no other
            structlog.get_logger().exception("downlink_defect", task=name)
            self._fail(name, Cause("fault", f"{type(defect).__name__} in the gateway terminal's driver: it may be out"))
        else:
            self._counts["sent"] += 1
            self._forget(via, message.issi, sent.reference)
            self._book.put(steps.taken(self._current(name), self._around.clock.now().utc, via, sent.reference))
            self._heard_early(via, message.issi, sent.reference)

    def _reachable(self, task: Task) -> bool:
        """Whether the unit's terminal can be reached, as far as it is known; fails the task where it cannot."""
        reach = self._around.beats.reach(task.unit)
        if reach in OUT_OF_REACH:
            self._fail(task.id, Cause("out_of_reach", reach))
            return False
        return True

    def _whom(self, task: Task, now: Instant) -> Wearer | None:
        """Whose terminal it goes to; fails the task where there is none."""
        unit = self._around.directory.unit(task.unit)
        found = wearer(self._around.directory, self._around.devices(), unit, now.utc) if unit is not None else None
        if found is None:
            self._fail(task.id, Cause("no_terminal", "nobody of the unit has a terminal"))
        return found

    def _expired(self, task: Task, now: Instant) -> bool:
        """Whether it has waited long enough since it was made, or since we started."""
        since = max(task.created_at, self._opened.utc) if self._opened else task.created_at
        waited_s = (now.utc - since).total_seconds()
        if waited_s <= self._settings.patience_s:
            return False
        if task.attempts > 0:
            self._fail(task.id, Cause("not_delivered", f"tried {task.attempts} times in {waited_s:.0f} s"))
        else:
            self._fail(task.id, Cause("no_gateway_terminal", f"{NONE_READY}, for {waited_s:.0f} s"))
        return True

    def _words(self, task: Task) -> str:
        marked = f"{self._settings.repeat_mark}{task.words}"
        return marked if task.repeated and self._share.over(marked) <= 0 else task.words

    def _refused(self, name: str, no: RefusedError) -> None:
        """Another try helps only where the cause is temporary."""
        if no.code in self._settings.temporary_codes and self._current(name).attempts < self._settings.attempts:
            self._counts["refused_temporarily"] += 1
            self._taken_back(name, str(no), tried=True)
        else:
            self._fail(name, Cause("radio_refused", str(no), no.code), sent=False)

    def _taken_back(self, name: str, why: str, *, tried: bool) -> None:
        """It did not go out: later again, if it is still wanted."""
        now = self._around.clock.now()
        known = self._book.get(name)
        if known is None or not known.handed:
            return
        task = steps.not_sent(known, now.utc, why, tried=tried)
        self._book.put(task)
        if task.pending and not task.over:
            self.turns.at(name, now.mono_s + self._pause_s(name))

    def _pause_s(self, name: str) -> float:
        first_s, cap_s = self._settings.retry_first_s, self._settings.retry_cap_s
        backoff = self._backoffs.setdefault(name, Backoff(first_s, cap_s, float("inf")))
        return backoff.next_s(0.0, self._around.jitter())

    def _fail(self, name: str, cause: Cause, *, sent: bool = True) -> None:
        task, at = self._current(name), self._around.clock.now().utc
        if task.handed and not sent:
            task = steps.not_sent(task, at, cause.detail, tried=True)
        now_failed = steps.failed(task, at, cause)
        if now_failed.handed:  # over, or answered, before it could fail
            now_failed = steps.stepped(task, at, steps.GATEWAY, cause.detail, handed=False)
        if now_failed.state == "failed":
            self._counts["failed"] += 1
        self._book.put(now_failed)

    def _current(self, name: str) -> Task:
        task = self._book.get(name)
        assert task is not None, "a task that is handed over stays in the book"
        return task

    # --- what the network says

    def delivery(self, report: DeliveryReport) -> None:
        """A delivery report: of the newest task that this gateway terminal sent under this reference."""
        origin, reference = report.origin, report.reference
        open_now = self._book.open()
        for task in reversed(open_now):
            if (task.via, task.issi, task.reference) == (origin.via, origin.issi, reference) and not task.handed:
                self._reported(task, report)
                return
        if any(task.handed and task.issi == origin.issi for task in open_now):
            # A report can outrun the radio's own word that it sent the message.
            self._early[(origin.via, origin.issi, reference)] = report
            if len(self._early) > EARLY_KEPT:
                del self._early[next(iter(self._early))]
        else:
            self._counts["reports_unmatched"] += 1

    def _forget(self, via: str, issi: int, reference: int | None) -> None:
        """References have eight bits: the newest message of a number is the one that reports are of."""
        for task in self._book.open() if reference is not None else []:
            if (task.via, task.issi, task.reference) == (via, issi, reference):
                self._book.put(msgspec.structs.replace(task, reference=None))

    def _heard_early(self, via: str, issi: int, reference: int | None) -> None:
        report = self._early.pop((via, issi, reference), None) if reference is not None else None
        if report is not None:
            self.delivery(report)
        if not any(task.handed and task.issi == issi for task in self._book.open()):
            for key in [key for key in self._early if key[1] == issi]:
                self._counts["reports_unmatched"] += 1
                del self._early[key]

    def _reported(self, task: Task, report: DeliveryReport) -> None:
        at, who = report.stamp.at, f"issi {report.origin.issi}"
        if report.delivery in ("received", "consumed"):
            self._counts["delivered"] += task.delivery is None
            self._book.put(steps.confirmed(task, at, report.delivery, who))
        elif report.delivery == "failed":
            self._undelivered(task, report)

    def _undelivered(self, task: Task, report: DeliveryReport) -> None:
        detail = f"delivery status {report.status:#04x}"
        if not report.temporary or task.attempts >= self._settings.attempts:
            self._fail(task.id, Cause("not_delivered", detail, report.status))
            return
        waiting = steps.again(task, self._around.clock.now().utc, detail)
        self._book.put(waiting)
        if waiting.pending:
            self._counts["undelivered_temporarily"] += 1
            self.turns.at(task.id, self._around.clock.now().mono_s + self._pause_s(task.id))
