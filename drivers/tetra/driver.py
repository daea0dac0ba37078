"""The driver of a TETRA terminal on a serial PEI: reads, translates, hands over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

import msgspec
import structlog

from drivers.links.pump import pump
from drivers.links.serial_link import SerialLink
from drivers.tetra import dialects, pei
from drivers.tetra.session import Call, Heard, Ready, Refused, SdsIndication, Session, SessionEvent, Silent, Timing
from drivers.tetra.translate import DEFAULT_STATUS_CODES, Translator
from gateway.domain.events import EmergencyReport, Event, Frame, PositionReport, StatusReport
from gateway.domain.time import Instant, Stamp
from gateway.errors import LinkError, WireError
from gateway.ports import DriverContext, InputHealth

log = structlog.get_logger()

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]


class StatusCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a force's table: the 16-bit value (32770 or "8002"), and the duty code it stands for."""

    value: int | str
    code: Annotated[int, msgspec.Meta(ge=0, le=16)]


def _value(written: int | str) -> int:
    """A 16-bit value, as a number or as four hex digits."""
    try:
        value = int(written, 16) if isinstance(written, str) else written
    except ValueError:
        value = -1
    if not 0 <= value <= 0xFFFF or 0x7C00 <= value <= 0x7FFF:
        raise ValueError(f"status_map: {written!r} is not a status value (0000..FFFF, without 7C00..7FFF)")
    return value


def status_codes(written: list[StatusCode] | dict[str, int] | None) -> dict[int, int]:
    """The force's table, value to duty code; ValueError names what is wrong in it."""
    if written is None:
        return dict(DEFAULT_STATUS_CODES)
    lines = written.items() if isinstance(written, dict) else [(line.value, line.code) for line in written]
    codes = {_value(value): code for value, code in lines}
    for value, code in codes.items():
        if not 0 <= code <= 16:
            raise ValueError(f"status_map: {value:04X}: {code} is not a duty code (0..16)")
    return codes


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The keys of `[[driver]] kind = "tetra"`.

    status_map is a force's own table, as a list of {value, code} or as a table of hex strings
    {"8002" = 2}; its default (0x8000 + n is duty code n) is only a guess, to be overridden.
    """

    port: str
    baud: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 38_400
    flow: Literal["none", "rtscts"] = "none"
    dialect: str = "generic"
    status_map: list[StatusCode] | dict[str, int] | None = None
    keepalive_s: Seconds = 30.0
    reply_s: Seconds = 5.0
    renew_s: Seconds = 300.0
    emergency_priority: Annotated[int, msgspec.Meta(ge=0, le=15)] | None = 15

    def __post_init__(self) -> None:
        """Say at start-up what is wrong, not at the first status."""
        status_codes(self.status_map)
        if self.dialect not in dialects.DIALECTS:
            raise ValueError(f"dialect: no {self.dialect!r}; there are {', '.join(dialects.DIALECTS)}")


class TetraDriver:
    """One terminal on one port."""

    def __init__(self, settings: Settings, context: DriverContext) -> None:
        self._settings, self._context = settings, context
        self._translator = Translator(context.name, status_codes(settings.status_map))
        self._counters: Counter[str] = Counter()
        self._state, self._problem = "down", "not started"
        self._last: datetime | None = None

    async def run(self) -> None:
        """Serve the port until cancelled; LinkError when it goes."""
        chosen = self._settings
        dialect = msgspec.structs.replace(
            dialects.DIALECTS[chosen.dialect], emergency_priority=chosen.emergency_priority
        )
        timing = Timing(
            reply_s=chosen.reply_s,
            probe_s=min(Timing().probe_s, chosen.reply_s),
            keepalive_s=chosen.keepalive_s,
            renew_s=chosen.renew_s,
        )
        session = Session(dialect, timing)
        self._state, self._problem = "starting", ""
        try:
            async with SerialLink(chosen.port, chosen.baud, chosen.flow) as link:
                await pump(session, link, self._context.clock, self._tell)
        except LinkError as fault:
            self._problem = str(fault)
            raise
        finally:
            now = self._context.clock.now()
            session.hang_up(now)
            for happened in session.events():
                self._tell(happened, now)
            self._state = "down"

    def health(self) -> InputHealth:
        """How it is now."""
        counted = ("frames", "short_data", "positions", "statuses", "emergencies", "unreadable")
        counters = {name: self._counters[name] for name in counted}
        return InputHealth(self._state, self._last, self._problem or None, counters)

    def _tell(self, happened: SessionEvent, now: Instant) -> None:
        """Hand over what the session heard, in the turn of its last byte."""
        if isinstance(happened, Ready | Silent | Refused):
            self._change(happened)
            return
        self._last = now.utc
        self._counters["frames"] += 1
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
        self._accept(frame, events)

    def _frame(self, raw: bytes, channel: str, calling: pei.Address | None, now: Instant) -> Frame:
        issi = self._translator.origin(calling).issi
        return Frame(self._context.name, Stamp(now), raw, channel, issi=issi)

    def _accept(self, frame: Frame, events: Sequence[Event]) -> None:
        """Nobody waits for the receipt: a radio is told nothing, and intake holds what it cannot write."""
        kinds = {PositionReport: "positions", StatusReport: "statuses", EmergencyReport: "emergencies"}
        self._counters.update(kinds[type(event)] for event in events if type(event) in kinds)
        self._context.intake.accept(frame, events)

    def _quarantine(self, frame: Frame, reason: str) -> None:
        self._counters["unreadable"] += 1
        self._context.intake.quarantine(frame, reason)

    def _change(self, happened: Ready | Silent | Refused) -> None:
        if isinstance(happened, Ready):
            self._state = "up"
            log.info("radio ready", driver=self._context.name, make=happened.make, model=happened.model)
        elif isinstance(happened, Silent):
            self._state, self._problem = "silent", f"no answer to {happened.command}"
            log.warning("radio silent", driver=self._context.name)
        else:
            meaning = dialects.CME.get(happened.code, "refused")
            self._problem = f"{happened.command}: {meaning} ({happened.code})"
            log.warning("radio refuses", driver=self._context.name, command=happened.command, code=happened.code)


def build(settings: Settings, context: DriverContext) -> TetraDriver:
    """Make the driver; nothing is opened yet."""
    return TetraDriver(settings, context)
