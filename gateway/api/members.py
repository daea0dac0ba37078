"""Members of units as they change during the shift, and what shifts are planned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC
from typing import Annotated

import msgspec
import structlog
from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.roster import changed
from gateway.api.roster_view import named, seen_people, seen_reason
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.api.shapes import Recent
from gateway.api.tasks import may_act_on
from gateway.domain.people import Shift, Unit
from gateway.store.crews import CrewChange, Crews
from gateway.store.roster import name_of

ROUTES = Routes()


class Crew(msgspec.Struct, frozen=True):
    """A unit's members (ids of persons), and every change of them."""

    unit: str
    members: tuple[str, ...]
    history: list[CrewChange]
    v: int = 1


class CrewReason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the crew changes; kept with the change."""

    reason: Annotated[str, msgspec.Meta(max_length=400)] | None = None


class Shifts(msgspec.Struct, frozen=True):
    """Every planned shift."""

    shifts: list[Shift]
    v: int = 1


class PlannedShift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """A planned shift of a person or unit; the same holder and `from` again changes the plan."""

    holder: str
    since: Recent
    until: Recent
    cancelled: bool = False


@ROUTES.add("GET /v1/units/{unit}/members", "roster:read", Answer("Who is with it, and was", shape=Crew))
async def members(call: Call[Nothing]) -> web.StreamResponse:
    """Answer a unit's members with their history."""
    name = call.part("unit")
    unit = call.rooms.roster().unit(name)
    if unit is None or not call.feed.knows(name):
        raise ProblemError(404, f"no unit {name!r} is on the roster")
    kept = call.feed.has_history(name)
    history = await asyncio.to_thread(Crews(call.rooms.roster_store).history, name) if kept else []
    return as_json(Crew(name, seen_people(call, unit.members), _told(call, history)))


def _told(call: Call[Nothing], history: list[CrewChange]) -> list[CrewChange]:
    """Each change that shows whom they see; that somebody else came or went is not told either."""
    told: list[CrewChange] = []
    for each in history:
        members, reason = seen_people(call, each.members), seen_reason(call, each.reason)
        if not told or told[-1].members != members:
            told.append(msgspec.structs.replace(each, members=members, reason=reason))
    return told


@ROUTES.add(
    "PUT /v1/units/{unit}/members/{person}", "booking:write", Answer("The unit as it is", shape=Unit), CrewReason
)
async def join(call: Call[CrewReason]) -> web.StreamResponse:
    """Make somebody a member; they leave the unit that they were with."""
    return await _change(call, "joined", Crews(call.rooms.roster_store).join, call.asked.reason)


@ROUTES.add(
    "DELETE /v1/units/{unit}/members/{person}", "booking:write", Answer("The unit as it is", shape=Unit), CrewReason
)
async def leave(call: Call[CrewReason]) -> web.StreamResponse:
    """Take somebody out of a unit."""
    return await _change(call, "left", Crews(call.rooms.roster_store).leave, call.asked.reason)


async def _change(
    call: Call[CrewReason], what: str, act: Callable[..., Unit], reason: str | None
) -> web.StreamResponse:
    unit, person = call.part("unit"), call.part("person")
    may_act_on(call, unit, f"no unit {unit!r} is on the roster")
    if not seen_people(call, [person]):
        raise ProblemError(404, f"{person!r} is no person on the roster")
    made = await changed(call, lambda: act(unit, person, actor=call.who.account, reason=reason), 404)
    structlog.get_logger().info(f"member_{what}", unit=unit, person=person, account=call.who.account, reason=reason)
    return as_json(made)


@ROUTES.add("GET /v1/roster/shifts", "roster:read", Answer("Planned shifts", shape=Shifts))
async def shifts(call: Call[Nothing]) -> web.StreamResponse:
    """Answer what is planned."""
    found = call.rooms.roster().shifts()
    return as_json(Shifts([each for each in found if call.feed.may_name(named(call, each.holder))]))


@ROUTES.add("PUT /v1/roster/shifts", "booking:write", Answer("The shift as planned", shape=Shift), PlannedShift)
async def plan(call: Call[PlannedShift]) -> web.StreamResponse:
    """Plan a shift, or change the plan; nobody is booked on or off by it."""
    asked, roster = call.asked, call.rooms.roster()
    shift = Shift(asked.holder, asked.since.astimezone(UTC), asked.until.astimezone(UTC), asked.cancelled)
    if shift.until <= shift.since:
        raise ProblemError(422, "to: is not after from")
    known = roster.unit(shift.holder) is not None or roster.person(shift.holder) is not None
    if not known or not call.feed.may_name(named(call, shift.holder)):
        raise ProblemError(422, f"holder: {shift.holder!r} is neither a person nor a unit on the roster")
    store = call.rooms.roster_store
    await changed(call, lambda: store.put("shift", name_of(shift), shift, call.who.account), 404)
    return as_json(shift)
