"""Emergencies: `delivered` is a machine's word, `acknowledged` a named person's."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import structlog
from aiohttp import web

from gateway.api.on_record import on_record
from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.api.shapes import Words
from gateway.errors import RefusedError
from gateway.feed.emergencies import EmergencyRecord, Outcome

ROUTES = Routes()


class All(msgspec.Struct, frozen=True):
    """Emergencies open now, and the latest that are over."""

    emergencies: list[EmergencyRecord]
    v: int = 1


class Raise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose emergency was heard: a unit or a person."""

    more_schema: ClassVar[dict[str, Any]] = {
        "anyOf": [{"required": [who], "properties": {who: {"type": "string"}}} for who in ("unit", "person")]
    }
    unit: str | None = None
    person: str | None = None


class By(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The person who has it in hand."""

    by: Words


class Clear(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who says that it is over, and how it ended."""

    by: Words
    outcome: Outcome


@ROUTES.add("GET /v1/emergencies", "feed:read", Answer("Emergencies", shape=All))
async def emergencies(call: Call[Nothing]) -> web.StreamResponse:
    """Answer all that are open, and the latest that are over."""
    return as_json(All(call.feed.emergencies()))


@ROUTES.add(
    "POST /v1/emergencies", "emergency:act", Answer("The emergency raised", shape=EmergencyRecord, status=201), Raise
)
async def raised(call: Call[Raise]) -> web.StreamResponse:
    """Raise one by the control room's word, for whomever is named: also one whom this account may not see."""
    if call.asked.unit is None and call.asked.person is None:
        raise ProblemError(400, "body: say unit or person")
    if call.asked.person is not None and call.rooms.roster().person(call.asked.person) is None:
        raise ProblemError(404, f"no person {call.asked.person!r} is on the roster")
    try:
        record = call.rooms.feed.raise_manual(unit=call.asked.unit, person=call.asked.person)
    except RefusedError as wrong:
        raise ProblemError(wrong.code, str(wrong)) from wrong
    structlog.get_logger().info("emergency_raised", account=call.who.account, emergency=record.id)
    call.rooms.dispatch.emergency()
    return as_json(call.feed.emergency(await _on_record(call, record)), status=201)


@ROUTES.add("POST /v1/emergencies/{id}/ack", "emergency:act", Answer("Acknowledged", shape=EmergencyRecord), By)
async def acknowledge(call: Call[By]) -> web.StreamResponse:
    """A named person has it in hand."""
    return await _acted(call, call.rooms.feed.acknowledge(call.part("id"), call.asked.by), "emergency_acknowledged")


@ROUTES.add("POST /v1/emergencies/{id}/clear", "emergency:act", Answer("Cleared", shape=EmergencyRecord), Clear)
async def clear(call: Call[Clear]) -> web.StreamResponse:
    """It is over."""
    return await _acted(
        call, call.rooms.feed.clear(call.part("id"), call.asked.by, call.asked.outcome), "emergency_cleared"
    )


async def _acted(call: Call[By] | Call[Clear], record: EmergencyRecord | None, act: str) -> web.StreamResponse:
    """`by` is what the account says; the log has which account said so."""
    if record is None:
        raise ProblemError(404, f"emergency {call.part('id')!r} is not known, or is over")
    structlog.get_logger().info(act, account=call.who.account, emergency=record.id, by=call.asked.by)
    call.rooms.dispatch.emergency()
    return as_json(call.feed.emergency(await _on_record(call, record)))


async def _on_record(call: Call[Any], record: EmergencyRecord) -> EmergencyRecord:
    """Wait for the disk; then it as it stands: what the disk says changes whether it is journalled."""

    def stands() -> EmergencyRecord:
        return next((one for one in call.rooms.feed.emergencies() if one.id == record.id), record)

    await on_record(call.rooms.feed, lambda: call.feed.emergency(stands()))
    return stands()
