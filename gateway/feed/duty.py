"""Duty states by status code 0..16, and which of them are messages rather than states. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

from gateway.feed.wording import time_text

DutySource = Literal["sds_status", "mqtt", "api", "derived"]

EMERGENCY = 0
ON_DUTY = 1
OFF_DUTY = 11
UNKNOWN = 1
"""The code shown for a unit that never sent a status; its state says `unknown`."""

STATES = (
    "emergency",
    "on_duty",
    "available",
    "at_station",
    "refreshments",
    "en_route",
    "at_scene",
    "committed_deployable",
    "committed",
    "escort",
    "court",
    "off_duty",
)
MESSAGES = {
    12: "confidential_message",
    13: "non_urgent_call_back",
    14: "urgent_call_back",
    15: "received",
    16: "repeat",
}
BACK_ON_DUTY = range(1, 9)
_CODES = {state: code for code, state in enumerate(STATES)}


class Duty(msgspec.Struct, frozen=True):
    """A unit's duty state, as it is sent."""

    code: int
    state: str
    deployable: bool
    since: str
    incident: str | None = None
    source: DutySource = "derived"


class DutyRecord(msgspec.Struct, frozen=True):
    """A duty change, as consumers and the urgent log have it.

    overtime: on duty past the planned end; booked_on: since when, where that is known; booked_off: members who have
    gone off duty while others of the unit go on, since when.
    """

    v: int
    seq: int
    unit: str
    code: int
    state: str
    deployable: bool
    since: str
    incident: str | None
    source: DutySource
    overtime: bool = False
    booked_on: str | msgspec.UnsetType = msgspec.UNSET
    booked_off: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


def unknown(since_s: float) -> Duty:
    """Before its first status a unit is taken to be on duty, and not deployable."""
    return Duty(UNKNOWN, "unknown", deployable=False, since=time_text(since_s))


def code_of(text: str) -> int | None:
    """The code of a state's name or number; None for neither."""
    if text.isascii() and text.isdigit():
        return int(text) if int(text) < len(STATES) else None
    return _CODES.get(text)
