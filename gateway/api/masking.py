"""Masking a unit (covert) during the shift: a named person's word, on record, in effect when it is answered."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import structlog
from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Routes, as_json
from gateway.api.tasks import may_act_on
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.errors import GatewayError
from gateway.store.masking import MASKING, Masking

ROUTES = Routes()
Words = Annotated[str, msgspec.Meta(min_length=1, max_length=400, pattern=r"\S")]


class Mask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Masked from now on, or no longer; the person whose word it is, and why."""

    masked: bool
    by: Words
    reason: Words


class MaskedUnit(msgspec.Struct, frozen=True):
    """The unit as it stands."""

    unit: str
    masked: bool
    by: str
    at: str
    v: int = 1


@ROUTES.add("PUT /v1/units/{unit}/mask", "unit:mask", Answer("Masked, or no longer", shape=MaskedUnit), Mask)
async def mask(call: Call[Mask]) -> web.StreamResponse:
    """Take a unit away from everybody who may not see masked ones, or give it back."""
    name, asked = call.part("unit"), call.asked
    may_act_on(call, name, f"no unit {name!r} is on the roster")
    act = Masking(asked.masked, asked.by, asked.reason, rfc3339(datetime.now(UTC)))
    await asyncio.to_thread(call.rooms.roster_store.put, MASKING, name, act, call.who.account)
    await call.rooms.roster_look()
    said = {"unit": name, **msgspec.structs.asdict(act)}
    structlog.get_logger().warning("unit_masked" if asked.masked else "unit_unmasked", account=call.who.account, **said)
    await _on_record(call, said)
    unit = call.rooms.roster().unit(name)
    if unit is None or bool(unit.masked) != asked.masked:
        raise ProblemError(503, "it is written down, and not in effect: the roster can't be read anew")
    return as_json(MaskedUnit(name, asked.masked, asked.by, act.at))


async def _on_record(call: Call[Mask], said: dict[str, object]) -> None:
    """An entry of the log, where there is one; a log that will not now exposes nobody (the roster has the act)."""
    if call.rooms.evidence is None:
        return
    try:
        await call.rooms.evidence.custody.record(Act("account", call.who.account, detail={"act": "mask", **said}))
    except GatewayError as problem:
        structlog.get_logger().error("masking_not_recorded", unit=said["unit"], problem=str(problem))
