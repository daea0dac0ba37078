"""What a session tells: short data, calls, and how the radio is; and how patient it is."""

from __future__ import annotations

import msgspec

from drivers.tetra import outbox, pei

SdsIndication = pei.SdsIndication
Unreadable = pei.Unreadable
_CALL_FIELDS = 13


class Timing(msgspec.Struct, frozen=True):
    """How patient the session is, in seconds."""

    reply_s: float = 5.0
    keepalive_s: float = 30.0
    probe_s: float = 3.0
    renew_s: float = 300.0
    retry_s: float = 20.0
    settle_s: float = 1.0
    doubt_s: float = 0.2


class Ready(msgspec.Struct, frozen=True):
    """The radio is set up: its make and model, its own number where it told."""

    make: str = ""
    model: str = ""
    number: pei.Address | None = None


class Silent(msgspec.Struct, frozen=True):
    """The radio does not answer; it is asked again and again. garbled: it says things that are no text."""

    command: str
    garbled: bool = False


class Refused(msgspec.Struct, frozen=True):
    """A needed command was refused; it is tried again later. Code as in dialects.CME."""

    command: str
    code: int


class Call(msgspec.Struct, frozen=True):
    """A group or individual call at emergency priority (+CTICN)."""

    calling: pei.Address | None
    priority: int
    raw: bytes


class Heard(msgspec.Struct, frozen=True):
    """A line of the radio's own accord that means nothing to us; kept because it was sent."""

    channel: str
    raw: bytes


SessionEvent = (
    SdsIndication | Unreadable | Ready | Silent | Refused | Call | Heard | outbox.Transmitted | outbox.NotSent
)


def call(item: pei.Unsolicited, emergency_priority: int | None) -> Call | Heard:
    """+CTICN of 13 fields: the fifth is the calling identity, the last the priority."""
    fields = [field.strip() for field in item.text.split(",")]
    priority = fields[-1]
    if len(fields) == _CALL_FIELDS and priority == str(emergency_priority):
        return Call(pei.address(fields[4]), int(priority), item.raw)
    return Heard(item.name, item.raw)
