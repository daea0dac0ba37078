"""People, units, devices; bookings: who holds what, from when, how known."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.roster_view import booked_seen, held_by_seen
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.api.shapes import Recent, Words
from gateway.domain.cameras import CameraStatus
from gateway.domain.ids import DeviceId
from gateway.domain.people import Booking, Device, How, Person, Unit
from gateway.domain.time import rfc3339
from gateway.errors import GatewayError, StoreBusyError
from gateway.feed.sharing import Names
from gateway.roster.directory import in_force

ROUTES = Routes()
YEARS = range(2000, 2100)
"""Bookings of other years are typing errors."""


class People(msgspec.Struct, frozen=True):
    """Everybody on the roster."""

    people: list[Person]
    v: int = 1


class UnitRows(msgspec.Struct, frozen=True):
    """Every unit on the roster."""

    units: list[Unit]
    v: int = 1


class CameraWord(msgspec.Struct, frozen=True):
    """What a camera last said of itself; doubts: `battery_low`, `storage_low`, `clock_doubtful`."""

    at: datetime | None
    arrived: datetime
    battery_pct: int | None
    storage_free_bytes: int | None
    recording: bool | None
    recordings_held: int | None
    docked: bool | None
    firmware: str | None
    clock_source: str | None
    clock_last_sync: datetime | None
    doubts: tuple[str, ...]


class DeviceRow(msgspec.Struct, frozen=True):
    """A device and who holds it now; status is a camera's last word of itself."""

    device: Device
    holders: list[str]
    status: CameraWord | None = None


class DeviceRows(msgspec.Struct, frozen=True):
    """Every device on the roster."""

    devices: list[DeviceRow]
    v: int = 1


class BookingsOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which device's bookings."""

    device: str | None = None


class BookingRows(msgspec.Struct, frozen=True):
    """Bookings in the order of entry, corrected ones included."""

    bookings: list[Booking]
    v: int = 1


class BookOn(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from"}):
    """A device handed to a person or unit; from when absent is now."""

    device: str
    holder: str
    since: Recent | None = None
    how: How = "console"


class BookOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the booking ended; absent is now."""

    to: Recent | None = None


class Correction(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """What was really so, and why it is corrected."""

    reason: Words
    holder: str | None = None
    since: Recent | None = None
    until: Recent | None = None


def aware(moment: datetime | None, field: str) -> datetime:
    """Return the moment, or now; ProblemError 400 where its year cannot be meant."""
    if moment is None:
        return datetime.now(UTC)
    if moment.year not in YEARS:
        raise ProblemError(400, f"{field}: the year is not within {YEARS.start} to {YEARS.stop - 1}")
    return moment


@ROUTES.add("GET /v1/roster/people", "roster:read", Answer("People", shape=People))
async def people(call: Call[Nothing]) -> web.StreamResponse:
    """Answer everybody."""
    return as_json(People([each for each in call.rooms.roster().people() if call.feed.may_name(Names(person=each.id))]))


@ROUTES.add("GET /v1/roster/units", "roster:read", Answer("Units", shape=UnitRows))
async def units(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every unit."""
    return as_json(UnitRows([each for each in call.rooms.roster().units() if call.feed.may_name(Names(each.id))]))


@ROUTES.add("GET /v1/devices", "roster:read", Answer("Devices and who holds them", shape=DeviceRows))
async def devices(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every device with its holders now."""
    roster, now = call.rooms.roster(), datetime.now(UTC)
    told = await asyncio.to_thread(call.rooms.expected.statuses) if call.rooms.expected is not None else {}
    return as_json(
        DeviceRows(
            [
                DeviceRow(each, list(roster.holder(each.id, now).persons), _told(told.get(each.id)))
                for each in roster.devices()
                if held_by_seen(call, each, roster.holder(each.id, now).persons)
            ]
        )
    )


def _told(status: CameraStatus | None) -> CameraWord | None:
    names = [field.name for field in msgspec.structs.fields(CameraWord)]
    return None if status is None else CameraWord(*(getattr(status, name) for name in names))


@ROUTES.add("GET /v1/bookings", "roster:read", Answer("Bookings", shape=BookingRows), BookingsOf)
async def bookings(call: Call[BookingsOf]) -> web.StreamResponse:
    """Answer bookings with their history."""
    return as_json(
        BookingRows(booked_seen(call, await asyncio.to_thread(call.rooms.roster_store.bookings, call.asked.device)))
    )


@ROUTES.add("POST /v1/bookings", "booking:write", Answer("The booking made", shape=Booking, status=201), BookOn)
async def book_on(call: Call[BookOn]) -> web.StreamResponse:
    """Hand a device over; whoever had it is ended at the same moment."""
    asked, since = call.asked, aware(call.asked.since, "from")

    def act() -> Any:  # noqa: ANN401 - a booking
        store = call.rooms.roster_store
        return store.book_on(DeviceId(asked.device), asked.holder, since, how=asked.how, actor=call.who.account)[0]

    return as_json(await changed(call, act), status=201)


@ROUTES.add("POST /v1/bookings/{booking}/end", "booking:write", Answer("The booking ended", shape=Booking), BookOff)
async def book_off(call: Call[BookOff]) -> web.StreamResponse:
    """End a booking."""
    number, until = _number(call.part("booking")), aware(call.asked.to, "to")

    def act() -> Any:  # noqa: ANN401 - a booking
        store = call.rooms.roster_store
        known = booked_seen(call, in_force(store.bookings()))
        open_now = [row for row in known if row.id == number and _lasts(row)]
        if not open_now:
            raise ProblemError(404, f"booking {number}: no open booking has this number")
        _in_order(open_now[0].since, until)
        return store.end(open_now[0], until, actor=call.who.account, reason="ended")

    return as_json(await changed(call, act))


@ROUTES.add("PATCH /v1/bookings/{booking}", "booking:write", Answer("The correction", shape=Booking), Correction)
async def correct(call: Call[Correction]) -> web.StreamResponse:
    """Correct a booking; the old one stays readable."""
    asked, number = call.asked, _number(call.part("booking"))
    since = aware(asked.since, "from") if asked.since else None
    until = aware(asked.until, "to") if asked.until else None

    def act() -> Any:  # noqa: ANN401 - a booking
        for old in call.rooms.roster_store.bookings():
            if old.id == number and not booked_seen(call, [old]):
                raise ProblemError(422, f"booking {number}: there is none in force by that number")
            if old.id == number:
                _in_order(since or old.since, until or old.until)
        return call.rooms.roster_store.correct(
            number, holder=asked.holder, since=since, until=until, actor=call.who.account, reason=asked.reason
        )

    return as_json(await changed(call, act))


def _lasts(row: Booking) -> bool:
    return row.until is None or row.until > datetime.now(UTC)


def _in_order(since: datetime, until: datetime | None) -> None:
    if until is not None and until < since:
        raise ProblemError(422, f"to: {rfc3339(until)} is before from, {rfc3339(since)}")


async def changed(call: Call[Any], act: Callable[[], Any], refusal: int = 422) -> Any:  # noqa: ANN401 - the act's
    """Do it, and have the roster taken up; what cannot be done is that status, a busy store 503."""
    try:
        row = await asyncio.to_thread(act)
    except (ProblemError, StoreBusyError):
        raise
    except GatewayError as wrong:
        raise ProblemError(refusal, str(wrong)) from wrong
    call.rooms.roster_changed()
    return row


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ProblemError(404, f"booking {text[:40]!r}: bookings are numbered")
    return int(text)
