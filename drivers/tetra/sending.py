"""The way down: messages of the gateway as short data of one radio, each with its fate."""

from __future__ import annotations

import asyncio

from drivers.links.pump import Bell
from drivers.tetra import dialects, lip_requests, sds
from drivers.tetra.bits import Bits
from drivers.tetra.outbox import GONE, Fate, Parcel, Transmitted
from drivers.tetra.session import Session
from drivers.tetra.text import coding_for
from gateway.errors import LinkError, MisuseError, RefusedError
from gateway.ports import Clock, Outgoing, Sent

TEXT_PID = 0x82
RECEIVED_AND_CONSUMED = 3
TOO_LONG = -6
"""Code of a RefusedError for a text that no SDS of this radio holds."""
_MOST_PARTIES = 4096
"""Security limit: called parties whose last message reference is remembered."""


class RadioDownlink:
    """Sends for the gateway through the session of one radio, while there is one."""

    def __init__(self, name: str, dialect: dialects.Dialect, clock: Clock) -> None:
        self._name, self._dialect, self._clock = name, dialect, clock
        self._session: Session | None = None
        self._bell = Bell()
        self._waits: dict[int, asyncio.Future[int | None]] = {}
        self._key = 0
        self._references: dict[int, int] = {}

    def attach(self, session: Session, bell: Bell) -> None:
        """A session has begun."""
        self._session, self._bell = session, bell

    def detach(self) -> None:
        """The session is over: whoever still waits is told so."""
        self._session = None
        for wait in self._waits.values():
            if not wait.done():
                wait.set_exception(LinkError(f"{self._name}: closed"))

    @property
    def ready(self) -> bool:
        """Registered, in trunked mode, not in a call that forbids sending."""
        session = self._session
        return session is not None and session.condition == "up" and session.sendable_at() <= self._clock.now().mono_s

    @property
    def waiting(self) -> int:
        """Messages queued here, the one in flight included."""
        return 0 if self._session is None else self._session.outbox.waiting

    def fits(self, text: str) -> int:
        """How many octets the text is over the limit of one SDS; 0 or less: it fits."""
        over = _text_bits(text, 0).length - self._dialect.limit_bits
        return -(-over // 8)

    async def send(self, message: Outgoing) -> Sent:
        """Return when the radio has sent it. RefusedError: the radio's code; LinkError: it is gone (not sent)."""
        session, now = self._session, self._clock.now()
        if session is None:
            raise LinkError(f"{self._name}: no radio")
        reference, parcel = self._parcel(message)
        wait: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._waits[parcel.key] = wait
        try:
            if not session.post(parcel, now):
                raise LinkError(f"{self._name}: {session.outbox.waiting} messages wait already")
            self._bell.ring()
            radios_own = await wait
        finally:
            del self._waits[parcel.key]
            session.outbox.withdraw(parcel.key)
        return Sent(radios_own if self._dialect.radio_allots_reference else reference)

    def settle(self, fate: Fate) -> None:
        """What became of a message; of one that nobody waits for any more, nothing."""
        wait = self._waits.get(fate.key)
        if wait is None or wait.done():
            return
        if isinstance(fate, Transmitted):
            wait.set_result(fate.reference)
        elif fate.code == GONE:
            wait.set_exception(LinkError(f"{self._name}: {dialects.CME[GONE]}"))
        else:
            wait.set_exception(RefusedError(fate.code, dialects.CME.get(fate.code, "message")))

    def _parcel(self, message: Outgoing) -> tuple[int | None, Parcel]:
        """Message reference, where the message has one, and the SDS."""
        self._key += 1
        if message.kind == "text":
            if self.fits(message.text or "") > 0:
                raise RefusedError(TOO_LONG, "text too long for one SDS")
            reference = self._next_reference(message.issi)
            bits = _text_bits(message.text or "", reference)
            return reference, Parcel(self._key, message.issi, sds.SdsType.SDS_4, bits, message.urgent)
        if message.kind == "status":
            if message.value is None:
                raise MisuseError("a status without its value")
            bits = sds.encode_status(message.value)
            return None, Parcel(self._key, message.issi, sds.SdsType.STATUS, bits, message.urgent)
        bits = _answer(message) if message.kind in {"report", "report_ack"} else self._request(message)
        return None, Parcel(self._key, message.issi, sds.SdsType.SDS_4, bits, message.urgent)

    def _request(self, message: Outgoing) -> Bits:
        """A report now, or at an interval, in the way that the dialect has for it."""
        if message.kind == "location_ack":
            return lip_requests.as_sds(lip_requests.acknowledgement())
        if message.kind == "location_request":
            return lip_requests.as_sds(lip_requests.immediate_request())
        if self._dialect.interval_by == "basic":
            code = min(127, max(0, (message.seconds or 0) // 10))
            return lip_requests.as_sds(lip_requests.basic_parameters(code))
        if message.seconds is None:
            return lip_requests.as_sds(lip_requests.remove_interval())
        return lip_requests.as_sds(lip_requests.interval_trigger(message.seconds))

    def _next_reference(self, issi: int) -> int:
        """Eight bits, counted for each called party; begun by the clock, so that a restart repeats none soon."""
        last = self._references.pop(issi, int(self._clock.now().utc.timestamp()))
        if len(self._references) >= _MOST_PARTIES:
            del self._references[next(iter(self._references))]
        self._references[issi] = (last + 1) & 0xFF
        return self._references[issi]


def _answer(message: Outgoing) -> Bits:
    """SDS-REPORT on an officer's message, or SDS-ACK on its report (EN 300 392-2 clause 29.4.2)."""
    if message.protocol is None or message.reference is None or message.value is None:
        raise MisuseError(f"a {message.kind} without what it is of")
    acknowledgement = message.kind == "report_ack"
    return sds.encode(sds.Delivery(message.protocol, message.value, message.reference, acknowledgement))


def _text_bits(text: str, reference: int) -> Bits:
    """SDS-TL transfer with PID 82, reports of receipt and reading asked for (EN 300 392-2 clause 29.4.2.4)."""
    header = sds.Header(RECEIVED_AND_CONSUMED, standard_report_only=False, reference=reference)
    return sds.encode(sds.Text(TEXT_PID, coding_for(text), text, header))
