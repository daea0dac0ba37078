"""The to-be-settled list over HTTP: who may see it, and a named person's word on an exhibit."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from aiohttp import web

from gateway.api.identity import Identity
from gateway.api.problem import ProblemError
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Routes, as_json
from gateway.evidence.rows import Exhibit, ExhibitFilter
from gateway.evidence.settling import TO_SETTLE, Settlement, restricted, settled

ROUTES = Routes()
SETTLE = "evidence:settle"
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who settles it, why, and who held the camera where that is now known (ids of persons)."""

    by: Said
    reason: Said
    holder: Said | None = None


def may_see(who: Identity, row: Exhibit) -> None:
    """Content of a revoked device, or of a dock without the right, is for those who may settle it."""
    if restricted(row) and not who.may(SETTLE):
        raise ProblemError(403, f"{row.id} is to be settled: its content needs the permission {SETTLE}")


def chosen(who: Identity, facets: dict[str, Any]) -> ExhibitFilter:
    """What a list asks for; `settle=true` is the to-be-settled list, for those who may settle."""
    wanted = {name: part for name, part in facets.items() if name != "settle"}
    if not facets.get("settle"):
        return ExhibitFilter(**wanted)
    if not who.may(SETTLE):
        raise ProblemError(403, f"the to-be-settled list needs the permission {SETTLE}")
    return ExhibitFilter(**wanted, sealed=True, flags=tuple(sorted(TO_SETTLE)))


@ROUTES.add("POST /v1/exhibits/{exhibit}/settle", SETTLE, Answer("The exhibit, settled", shape=Exhibit), Word)
async def settle(call: Call[Word]) -> web.StreamResponse:
    """Settle what is in doubt about an exhibit, in a named person's name and with a reason; a custody entry says so."""
    room, asked, name = evidence_of(call.rooms), call.asked, call.part("exhibit")
    for field, person in (("by", asked.by), ("holder", asked.holder)):
        if person is not None and call.rooms.roster().person(person) is None:
            raise ProblemError(422, f"{field}: {person!r} is nobody in the roster")
    row = await asyncio.to_thread(room.catalogue.exhibit, name)
    if row is None:
        raise ProblemError(404, f"there is no exhibit {name!r}")
    try:
        act = settled(row, Settlement(asked.by, asked.reason, asked.holder), call.who.account)
    except ValueError as wrong:
        raise ProblemError(409, str(wrong)) from wrong
    await room.custody.record(act)
    return as_json(await asyncio.to_thread(room.catalogue.exhibit, name))
