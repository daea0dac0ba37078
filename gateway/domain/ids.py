"""Identities as checked strings and numbers."""

from __future__ import annotations

import re
from typing import NewType

Issi = NewType("Issi", int)
"""Individual Short Subscriber Identity, 1..16777215 (EN 300 392-1 clause 7)."""
DeviceId = NewType("DeviceId", str)
PersonId = NewType("PersonId", str)
UnitId = NewType("UnitId", str)
"""AGENCY.NAME, whole, also as a topic level."""
ExhibitId = NewType("ExhibitId", str)

ISSI_MAX = 0xFFFFFF
RESERVED = frozenset({"gateway"})
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_POWER = re.compile(r"[a-z0-9]+(\.[a-z0-9_]+)*")
_UNIT = re.compile(r"[A-Z0-9]{2,8}\.[A-Za-z0-9_-]{1,32}")


def _checked(text: str, what: str) -> str:
    """Return text when it is an id; ValueError names what it should have been."""
    if not _ID.fullmatch(text) or text in RESERVED:
        message = f"{text!r} is not a valid {what} id ([A-Za-z0-9][A-Za-z0-9._-]{{0,63}}, not reserved)"
        raise ValueError(message)
    return text


def device_id(text: str) -> DeviceId:
    """Check a device id (roster id = certificate name = topic level); ValueError if it is none."""
    return DeviceId(_checked(text, "device"))


def person_id(text: str) -> PersonId:
    """Check a person id; ValueError if it is none."""
    return PersonId(_checked(text, "person"))


def unit_id(text: str) -> UnitId:
    """Check a unit id, AGENCY.NAME; ValueError if it is none."""
    if not _UNIT.fullmatch(text):
        message = f"{text!r} is not a valid unit id (AGENCY.NAME)"
        raise ValueError(message)
    return UnitId(text)


def power_id(text: str) -> str:
    """Check the name of a power, e.g. `pcn` or `csas.litter`; ValueError if it is none."""
    if not _POWER.fullmatch(text):
        message = f"{text!r} is not a valid power ([a-z0-9]+, then .[a-z0-9_]+ as often as needed)"
        raise ValueError(message)
    return text


def issi(number: int) -> Issi:
    """Check an ISSI, 1..16777215; ValueError if it is none."""
    if not 1 <= number <= ISSI_MAX:
        message = f"{number} is not an ISSI (1..{ISSI_MAX})"
        raise ValueError(message)
    return Issi(number)
