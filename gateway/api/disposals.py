"""Disposals over HTTP: what is due, asking, a second person's word, taking it back; a request destroys nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.disposing import Disposing
from gateway.errors import OverruledError
from gateway.evidence.disposal.desk import EXHIBITS_MAX, Asked, NoSuchError
from gateway.evidence.disposal.record import State
from gateway.evidence.disposal.telling import DisposalTold
from gateway.evidence.rows import Exhibit

ROUTES = Routes()
REQUEST, APPROVE = "disposal:request", "disposal:approve"
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
Made = TypeVar("Made")


class DisposalRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which exhibits, on what ground and why; alone: why what belongs to them stays; erase_details: erasure only."""

    exhibits: Annotated[list[str], msgspec.Meta(min_length=1, max_length=EXHIBITS_MAX)]
    ground: Literal["due", "order", "erasure"]
    reason: Said
    alone: Said | None = None
    erase_details: bool = False


class DisposalApproval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A second person's word, with a remark where there is one."""

    reason: Said | None = None


class DisposalCancellation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is taken back."""

    reason: Said


class DisposalsWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which disposals to list."""

    state: State | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class Disposals(msgspec.Struct, frozen=True):
    """Disposals, the newest first, and how many exhibits are due that nobody asked for yet."""

    total: int
    due: int
    disposals: list[DisposalTold]
    v: int = 1


class DueExhibits(msgspec.Struct, frozen=True):
    """Exhibits past their due date, not held, of which nobody asked the disposal; the longest due first."""

    total: int
    exhibits: list[Exhibit]
    v: int = 1


def _desk(call: Call[Any]) -> Disposing:
    found = evidence_of(call.rooms).disposing
    if found is None:
        raise ProblemError(404, "this instance disposes of nothing")
    return found


async def _done(act: Callable[..., Made], *arguments: object) -> Made:
    """In a thread; what cannot be is 404, 409 or 422."""
    try:
        return await asyncio.to_thread(act, *arguments)
    except NoSuchError as wrong:
        raise ProblemError(404, str(wrong)) from wrong
    except OverruledError as wrong:
        raise ProblemError(409, str(wrong)) from wrong
    except ValueError as wrong:
        raise ProblemError(422, str(wrong)) from wrong


@ROUTES.add("GET /v1/disposals", "evidence:read", Answer("Disposals", shape=Disposals), DisposalsWanted)
async def disposals(call: Call[DisposalsWanted]) -> web.StreamResponse:
    """Answer disposals, the newest first."""
    found, asked = _desk(call), call.asked
    rows = [each for each in await asyncio.to_thread(found.all) if asked.state in (None, each.state)]
    due = await asyncio.to_thread(found.desk.count_due)
    return as_json(Disposals(len(rows), due, rows[: asked.limit]))


@ROUTES.add("GET /v1/disposals/due", REQUEST, Answer("What is due", shape=DueExhibits))
async def due(call: Call[Nothing]) -> web.StreamResponse:
    """Answer what is due for disposal; to be asked for, and never destroyed by itself."""
    desk = _desk(call).desk
    rows = await asyncio.to_thread(desk.due)
    return as_json(DueExhibits(await asyncio.to_thread(desk.count_due), list(rows)))


@ROUTES.add(
    "POST /v1/disposals", REQUEST, Answer("The disposal asked for", shape=DisposalTold, status=201), DisposalRequest
)
async def request(call: Call[DisposalRequest]) -> web.StreamResponse:
    """Ask for the disposal of exhibits; an entry of each says so."""
    said, found = call.asked, _desk(call)
    names = tuple(said.exhibits)
    asked = Asked(names, said.ground, said.reason, call.who.account, said.alone, said.erase_details)
    one = await _done(found.desk.request, asked)
    return as_json(await _done(found.one, one.id), status=201)


@ROUTES.add("GET /v1/disposals/{disposal}", "evidence:read", Answer("One disposal", shape=DisposalTold))
async def disposal(call: Call[Nothing]) -> web.StreamResponse:
    """Answer one disposal and how far it has got."""
    return as_json(await _done(_desk(call).one, call.part("disposal")))


@ROUTES.add(
    "POST /v1/disposals/{disposal}/approve",
    APPROVE,
    Answer("The disposal, approved", shape=DisposalTold),
    DisposalApproval,
)
async def approve(call: Call[DisposalApproval]) -> web.StreamResponse:
    """Approve what somebody else asked for; the grace runs from now."""
    found, name = _desk(call), call.part("disposal")
    await _done(found.desk.approve, name, call.who.account, call.asked.reason)
    return as_json(await _done(found.one, name))


@ROUTES.add(
    "POST /v1/disposals/{disposal}/cancel",
    REQUEST,
    Answer("The disposal, cancelled", shape=DisposalTold),
    DisposalCancellation,
)
async def cancel(call: Call[DisposalCancellation]) -> web.StreamResponse:
    """Take a disposal back, at any time before its keys are destroyed."""
    found, name = _desk(call), call.part("disposal")
    await _done(found.desk.cancel, name, call.who.account, call.asked.reason)
    return as_json(await _done(found.one, name))
