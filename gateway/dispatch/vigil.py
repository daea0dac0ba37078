"""What an emergency asks of radios: nearer reports while it lasts, and perhaps a word when somebody has it in hand."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import structlog

from gateway.dispatch.errands import Errands
from gateway.dispatch.ports import Emergency, Ledger, Surroundings
from gateway.dispatch.settings import DispatchSettings
from gateway.dispatch.whom import terminal_of
from gateway.domain.ids import Issi
from gateway.errors import StoreBusyError
from gateway.ports import Outgoing

LOOK_S = 1.0


class Vigil:
    """Looks at what is so, and puts right what is not; a missed word costs one look."""

    def __init__(
        self, settings: DispatchSettings, around: Surroundings, ledger: Ledger, errands: Errands, counts: Counter[str]
    ) -> None:
        self._settings, self._around, self._ledger = settings, around, ledger
        self._errands, self._counts = errands, counts
        self._raised: dict[Issi, str] = {}
        self._again_s: dict[Issi, float] = {}
        self._told: set[str] | None = None
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Take up which terminals are not at their own interval."""
        self._raised = await asyncio.to_thread(self._ledger.raised)

    def nudge(self) -> None:
        """An emergency has changed."""
        self._wake.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self.look()
            except StoreBusyError as wrong:
                structlog.get_logger().warning("intervals_not_written", problem=str(wrong))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()

    async def look(self) -> None:
        """Raise intervals of who is in an emergency, put back those of who no longer is."""
        records = list(self._around.beats.emergencies())
        lasting = [record for record in records if record.state != "cleared"]
        self._tell(lasting)
        for record in lasting if self._settings.emergency_interval_s else []:
            issi = self._issi(record)
            if issi is not None and issi not in self._raised:
                await self._raise(issi, record.id)
        numbers = {record.id for record in lasting}
        theirs = {self._issi(record) for record in lasting}
        for issi in [each for each, number in self._raised.items() if number not in numbers and each not in theirs]:
            self._put_back(issi)
        for issi in [each for each, number in self._raised.items() if not number]:
            await asyncio.to_thread(self._ledger.keep_raised, issi, None)
            del self._raised[issi]

    async def _raise(self, issi: Issi, number: str) -> None:
        """Remembered first: a terminal left at a short interval empties its battery and the channel."""
        await asyncio.to_thread(self._ledger.keep_raised, issi, number)
        self._raised[issi] = number
        self._counts["intervals_raised"] += 1
        seconds = self._settings.emergency_interval_s
        self._errands.add(f"interval {issi}", Outgoing(number, issi, "interval", seconds=seconds, urgent=True))

    def _put_back(self, issi: Issi) -> None:
        key, number, now_s = f"interval {issi}", self._raised[issi], self._around.clock.now().mono_s
        if not number or now_s < self._again_s.get(issi, now_s):
            return

        def done(sent: bool) -> None:  # noqa: FBT001 - what an errand says when it is over
            self._again_s.pop(issi, None)
            if sent and self._raised.get(issi) == number:
                self._raised[issi] = ""
                self._counts["intervals_put_back"] += 1
                self._wake.set()

        self._again_s[issi] = now_s + 2 * self._settings.patience_s
        self._errands.add(key, Outgoing(f"{number}/over", issi, "interval", seconds=None), done)

    def _tell(self, lasting: list[Emergency]) -> None:
        """The officer's radio says that somebody has it in hand, where the force wants that; once an emergency."""
        acknowledged = {record.id: record for record in lasting if record.state == "acknowledged"}
        before, self._told = self._told, set(acknowledged)
        if before is None or not self._settings.ack_text:  # at the start nobody knows whether it was told before
            return
        for number in acknowledged.keys() - before:
            issi = self._issi(acknowledged[number])
            if issi is not None:
                text = Outgoing(f"{number}/ack", issi, "text", text=self._settings.ack_text, urgent=True)
                self._errands.add(f"ack {number}", text)

    def _issi(self, record: Emergency) -> Issi | None:
        """The terminal it came from, else the one the person wears."""
        if record.issi is not None:
            return Issi(record.issi)
        if record.person is None:
            return None
        now = self._around.clock.now().utc
        found = terminal_of(self._around.directory, self._around.devices(), record.person, now)
        return found.issi if found is not None else None
