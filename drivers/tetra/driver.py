"""The driver of a TETRA terminal on a serial PEI: reads, translates, hands over."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import structlog

from drivers.links.pump import Bell, pump
from drivers.links.serial_link import HeldError, SerialLink, held_by, holders
from drivers.tetra import dialects, pei, probing
from drivers.tetra.answering import Answering
from drivers.tetra.outbox import NotSent, Transmitted
from drivers.tetra.owed import owed, to_us, unasked
from drivers.tetra.sending import RadioDownlink
from drivers.tetra.session import Call, Heard, Ready, Refused, SdsIndication, Session, SessionEvent, Silent, Timing
from drivers.tetra.settings import Settings, StatusCode, chosen_dialect, flows, speeds, status_codes
from drivers.tetra.translate import Translator
from gateway.domain.events import DeliveryReport, EmergencyReport, Event, Frame, PositionReport, StatusReport
from gateway.domain.time import Instant, Stamp
from gateway.errors import LinkError, WireError
from gateway.ports import DriverContext, InputHealth, Receipt

__all__ = ("Settings", "StatusCode", "TetraDriver", "build", "status_codes")

log = structlog.get_logger()

LOOK_S = 5.0
RIVALS_EVERY = 12
"""Every minute: looking through all processes takes some milliseconds of another thread."""
State = Literal["down", "held", "probing", "open"]


class TetraDriver:
    """One terminal on one port."""

    def __init__(self, settings: Settings, context: DriverContext) -> None:
        self._settings, self._context = settings, context
        self._dialect = chosen_dialect(settings)
        self._translator = Translator(context.name, status_codes(settings.status_map), settings.parts_s)
        self._counters: Counter[str] = Counter()
        self._state: State = "down"
        self._problem, self._refused, self._rival = "not started", "", ""
        self._last: datetime | None = None
        self._session: Session | None = None
        self._turn = 0
        self._speed: probing.Attempt | None = None
        self.downlink = RadioDownlink(context.name, self._dialect, context.clock)
        self._answering = Answering(self.downlink, self._counters)

    async def run(self) -> None:
        """Serve the port until cancelled; LinkError when it goes."""
        chosen = self._settings
        timing = Timing(
            reply_s=chosen.reply_s,
            probe_s=min(Timing().probe_s, chosen.reply_s),
            keepalive_s=chosen.keepalive_s,
            renew_s=chosen.renew_s,
            settle_s=min(Timing().settle_s, chosen.reply_s),
        )
        session = Session(self._dialect, timing, self._turn)
        self._turn += 1
        self._problem, self._refused, self._rival = "", "", ""
        over: State = "down"
        try:
            await self._serve(session)
        except LinkError as fault:
            over, self._problem = ("held" if isinstance(fault, HeldError) else "down"), str(fault)
            raise
        finally:
            self._state, self._session = over, None
            now = self._context.clock.now()
            session.hang_up(now)
            for happened in session.events():
                self._tell(happened, now)
            self.downlink.detach()

    async def _serve(self, session: Session) -> None:
        """Open the port, unless somebody has it; find its speed, where that is not set; then converse."""
        chosen = self._settings
        found = await asyncio.to_thread(holders, chosen.port)
        if found:
            raise HeldError(f"{chosen.port}: {held_by(found)}")
        bell, gone = Bell(), None
        first = self._speed or probing.Attempt(speeds(chosen)[0], flows(chosen)[0])
        async with SerialLink(chosen.port, first.baud, first.flow) as link:
            await self._find_speed(link, session)
            self._session, self._state = session, "open"
            self.downlink.attach(session, bell)
            try:
                async with asyncio.TaskGroup() as group:
                    beside = [group.create_task(part()) for part in (self._watch, self._answering.run)]
                    await pump(session, link, self._context.clock, self._tell, bell)
                    for one in beside:
                        one.cancel()
            except* LinkError as faults:
                gone = faults.exceptions[0]
        if gone is not None:
            raise gone

    async def _find_speed(self, link: SerialLink, session: Session) -> None:
        """Ask at every speed, the one that was right last time first; LinkError where none is answered."""
        known = [] if self._speed is None else [self._speed.baud]
        rates, ways = [*known, *(rate for rate in speeds(self._settings) if rate not in known)], flows(self._settings)
        if len(rates) * len(ways) == 1:
            return
        self._state, clock = "probing", self._context.clock
        prober = probing.Prober(rates, ways, self._settings.probe_s)
        try:
            while prober.found is None:
                await self._attempt(link, prober)
        finally:
            now = clock.now()
            session.receive(bytes(prober.heard), now)
            if prober.garbage:
                self._quarantine(self._frame(bytes(prober.garbage), "", None, now), "heard at another speed")
        self._speed = prober.found
        log.info("speed found", driver=self._context.name, baud=prober.found.baud, flow=prober.found.flow)

    async def _attempt(self, link: SerialLink, prober: probing.Prober) -> None:
        """One turn of the search: ask, where this speed was not asked yet, and hear what comes."""
        attempt, clock = prober.attempt, self._context.clock
        if attempt is None:
            tried = ", ".join(str(rate) for rate in speeds(self._settings))
            raise LinkError(f"{self._settings.port}: no answer at {tried} baud")
        question = prober.to_send(clock.now())
        if question:
            link.set_speed(attempt.baud, attempt.flow)
            link.send(question)
        try:
            async with asyncio.timeout(max(0.0, prober.deadline() - clock.now().mono_s)):
                prober.receive(await link.read())
        except TimeoutError:
            prober.tick(clock.now())

    async def _watch(self) -> None:
        """Now and then: messages whose parts never came, and other programs on our port."""
        turn = 0
        while True:
            await asyncio.sleep(min(LOOK_S, self._settings.parts_s))
            turn += 1
            now = self._context.clock.now()
            events = self._translator.overdue(now)
            if events:
                self._counters["incomplete"] += len(events)
                self._accept(self._frame(b"", "parts", None, now), events)
            if turn % RIVALS_EVERY == 0:
                found = await asyncio.to_thread(holders, self._settings.port)
                self._rival = held_by(found).replace("port held by", "port also open in") if found else ""

    def health(self) -> InputHealth:
        """How it is now."""
        counters = {name: self._counters[name] for name in _FIGURES}
        session, speed = self._session, self._speed
        if session is None:
            return InputHealth(self._state, self._last, self._problem or None, counters, ())
        counters |= session.state.figures() | {"waiting": self.downlink.waiting}
        if speed is not None:
            counters["baud"] = speed.baud
        problem = self._problem or self._rival or session.state.problem()
        return InputHealth(session.condition, self._last, problem or None, counters, session.state.groups())

    def _tell(self, happened: SessionEvent, now: Instant) -> None:
        """Hand over what the session heard, in the turn of its last byte."""
        if isinstance(happened, Ready | Silent | Refused):
            self._change(happened)
        elif isinstance(happened, Transmitted | NotSent):
            self._counters["sent" if isinstance(happened, Transmitted) else "not_sent"] += 1
            self.downlink.settle(happened)
        else:
            self._last = now.utc
            self._counters["frames"] += 1
            self._heard(happened, now)

    def _heard(self, happened: SdsIndication | Call | Heard | pei.Unreadable, now: Instant) -> None:
        if isinstance(happened, SdsIndication):
            self._short_data(happened, now)
        elif isinstance(happened, Call):
            frame = self._frame(happened.raw, "+CTICN", happened.calling, now)
            self._accept(frame, self._translator.call(happened, now))
        elif isinstance(happened, Heard):
            self._accept(self._frame(happened.raw, happened.channel, None, now), ())
        else:
            self._quarantine(self._frame(happened.raw, "", None, now), happened.reason)

    def _short_data(self, heard: SdsIndication, now: Instant) -> None:
        """An emergency counts however odd its header is; anything else of an odd header is quarantined."""
        self._counters["short_data"] += 1
        frame = self._frame(heard.raw, "+CTSDSR", heard.calling, now)
        try:
            events = self._translator.short_data(heard, now)
        except WireError as fault:
            self._quarantine(frame, str(fault))
            return
        if heard.doubt and not any(isinstance(event, EmergencyReport) for event in events):
            self._quarantine(frame, heard.doubt)
            return
        number = None if self._session is None else self._session.state.number
        own_issi = None if number is None else number.ssi
        answers = self._settings.answer_reports
        if not answers or not to_us(heard, own_issi):
            events = [unasked(event) for event in events]
        durable = self._accept(frame, events)
        answer = owed(heard, own_issi) if answers else None
        if answer is not None:
            self._answering.owe(durable, answer)

    def _frame(self, raw: bytes, channel: str, calling: pei.Address | None, now: Instant) -> Frame:
        issi = self._translator.origin(calling).issi
        return Frame(self._context.name, Stamp(now), raw, channel, issi=issi)

    def _accept(self, frame: Frame, events: Sequence[Event]) -> asyncio.Future[Receipt]:
        """Only an answer that the sender asked for waits for the receipt; intake holds what it cannot write."""
        self._counters.update(_COUNTED[type(event)] for event in events if type(event) in _COUNTED)
        return self._context.intake.accept(frame, events)

    def _quarantine(self, frame: Frame, reason: str) -> None:
        self._counters["unreadable"] += 1
        self._context.intake.quarantine(frame, reason)

    def _change(self, happened: Ready | Silent | Refused) -> None:
        if isinstance(happened, Ready):
            self._problem, self._refused = self._refused, ""
            log.info("radio ready", driver=self._context.name, make=happened.make, model=happened.model)
        elif isinstance(happened, Silent):
            speed = " in text: wrong speed?" if happened.garbled else ""
            self._problem = f"no answer to {happened.command}{speed}"
            log.warning("radio silent", driver=self._context.name, garbled=happened.garbled)
        else:
            meaning = dialects.CME.get(happened.code, "refused")
            self._problem = self._refused = f"{happened.command}: {meaning} ({happened.code})"
            log.warning("radio refuses", driver=self._context.name, command=happened.command, code=happened.code)


_FIGURES = (
    *("frames", "short_data", "positions", "statuses", "emergencies", "unreadable"),
    *("deliveries", "incomplete", "sent", "not_sent"),
    *("answers", "answers_failed", "answers_withheld", "answers_dropped"),
)
_COUNTED: dict[type, str] = {
    PositionReport: "positions",
    StatusReport: "statuses",
    EmergencyReport: "emergencies",
    DeliveryReport: "deliveries",
}


def build(settings: Settings, context: DriverContext) -> TetraDriver:
    """Make the driver; nothing is opened yet."""
    return TetraDriver(settings, context)
