"""Work on an exhibit over HTTP: categorise, annotate, amend, hold, release, review, transfer. All on record."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any

import msgspec
from aiohttp import web

from gateway.api import evidence, settling
from gateway.api.problem import ProblemError
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Routes, as_json
from gateway.evidence.rows import Exhibit
from gateway.evidence.work.acts import Amendable, Amendment, Categorisation, Review, Transfer
from gateway.evidence.work.desk import Desk, HoldWords
from gateway.evidence.work.holds import ExhibitHold, IncidentHold
from gateway.evidence.work.refusals import ConflictError, NoneSuchError
from gateway.evidence.work.rules import Worker

ROUTES = Routes()
WORK, SUPERVISE = "evidence:work", "evidence:supervise"
Word = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=4000)]


class Categorise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A category and what its rule asks for."""

    category: Word
    exhibit_ref: Word | None = None
    incident: Word | None = None
    reference: Word | None = None
    note: Text | None = None
    fields: Annotated[dict[Word, Text], msgspec.Meta(max_length=50)] = {}


class Annotate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note; at_s is a position in the recording, in seconds."""

    text: Text
    at_s: Annotated[float, msgspec.Meta(ge=0)] | None = None


class Amend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A correction and why; what was there stays on record."""

    field: Amendable
    now: Text | None
    reason: Text


class Hold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, under what reference, and when somebody has to look at it again."""

    reason: Text
    reference: Word | None = None
    until: date | None = None


class HoldIncident(Hold, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """As a hold, of whatever bears this reference, now and later."""

    incident: Word


class Release(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which hold ends, and why."""

    hold: Word
    reason: Text


class Why(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reason."""

    reason: Text


class Reviewed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A review's decision, why, and the date that its periods run from where it is not today."""

    decision: Word
    reason: Text
    since: date | None = None


class Transferred(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """To whom, by what right, for what; disclosed: told or shown, not handed over; controller: it becomes theirs."""

    recipient: Text
    legal_gateway: Text
    purpose: Text
    how: Text | None = None
    controller: Word | None = None
    disclosed: bool = False


class Held(msgspec.Struct, frozen=True):
    """A hold placed or released, and the exhibits that it was about at that moment."""

    hold: str
    exhibits: list[str]
    v: int = 1


class HeldExhibit(msgspec.Struct, frozen=True):
    """A hold placed on an exhibit."""

    hold: str
    exhibit: Exhibit
    v: int = 1


class HoldsOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All, or those to be looked at again before a day."""

    until_before: date | None = None


class Holds(msgspec.Struct, frozen=True):
    """Holds by incident, released ones too, and those that stand on single exhibits."""

    holds: list[IncidentHold]
    exhibits: list[ExhibitHold]
    v: int = 1


def desk_of(call: Call[Any]) -> tuple[Desk, Worker]:
    """The desk, and who sits at it."""
    return evidence_of(call.rooms).desk, Worker(call.who.account, call.who.person)


@contextlib.contextmanager
def answered() -> Iterator[None]:
    """Refusals of the desk as statuses; a field that cannot be is 422 as any other of our errors."""
    try:
        yield
    except NoneSuchError as wrong:
        raise ProblemError(404, str(wrong)) from wrong
    except ConflictError as wrong:
        raise ProblemError(409, str(wrong)) from wrong


async def _named(call: Call[Any]) -> str:
    """The exhibit of the path, which who asks may see."""
    name = call.part("exhibit")
    row = await asyncio.to_thread(evidence_of(call.rooms).catalogue.exhibit, name)
    if row is None:
        raise ProblemError(404, f"there is no exhibit {name!r}")
    settling.may_see(call.who, row)
    return name


def _path(act: str) -> str:
    return f"POST /v1/exhibits/{{exhibit}}/{act}"


@ROUTES.add(_path("categorise"), WORK, Answer("The exhibit, categorised", shape=Exhibit), Categorise)
async def categorise(call: Call[Categorise]) -> web.StreamResponse:
    """Give an exhibit its category; rule and dates follow from it."""
    (desk, who), name = desk_of(call), await _named(call)
    with answered():
        return as_json(await desk.categorise(who, name, Categorisation(**msgspec.structs.asdict(call.asked))))


@ROUTES.add(_path("annotate"), WORK, Answer("The exhibit", shape=Exhibit), Annotate)
async def annotate(call: Call[Annotate]) -> web.StreamResponse:
    """Add a note."""
    (desk, who), name = desk_of(call), await _named(call)
    with answered():
        return as_json(await desk.annotate(who, name, call.asked.text, call.asked.at_s))


@ROUTES.add(_path("amend"), SUPERVISE, Answer("The exhibit, corrected", shape=Exhibit), Amend)
async def amend(call: Call[Amend]) -> web.StreamResponse:
    """Correct a field; its former content stays on record."""
    (desk, who), name, asked = desk_of(call), await _named(call), call.asked
    if asked.field == "holder" and asked.now is not None and call.rooms.roster().person(asked.now) is None:
        raise ProblemError(422, f"now: {asked.now!r} is nobody in the roster")
    with answered():
        return as_json(await desk.amend(who, name, Amendment(**msgspec.structs.asdict(asked))))


@ROUTES.add(_path("hold"), WORK, Answer("The hold", shape=HeldExhibit, status=201), Hold)
async def hold(call: Call[Hold]) -> web.StreamResponse:
    """Hold an exhibit: while any hold stands nothing disposes of it."""
    (desk, who), name = desk_of(call), await _named(call)
    with answered():
        return as_json(HeldExhibit(*await desk.hold(who, name, _words(call.asked))), status=201)


@ROUTES.add(_path("release"), SUPERVISE, Answer("The exhibit", shape=Exhibit), Release)
async def release(call: Call[Release]) -> web.StreamResponse:
    """End one hold of an exhibit."""
    (desk, who), name = desk_of(call), await _named(call)
    with answered():
        return as_json(await desk.release(who, name, call.asked.hold, call.asked.reason))


@ROUTES.add(_path("review"), SUPERVISE, Answer("The exhibit, reviewed", shape=Exhibit), Reviewed)
async def review(call: Call[Reviewed]) -> web.StreamResponse:
    """Record a review and its decision; the dates follow from it."""
    (desk, who), name = desk_of(call), await _named(call)
    with answered():
        return as_json(await desk.review(who, name, Review(**msgspec.structs.asdict(call.asked))))


@ROUTES.add(_path("transfer"), SUPERVISE, Answer("The exhibit", shape=Exhibit), Transferred)
async def transfer(call: Call[Transferred]) -> web.StreamResponse:
    """Record to whom an exhibit went, or what of it was disclosed."""
    (desk, who), name = desk_of(call), await _named(call)
    with answered():
        return as_json(await desk.transfer(who, name, Transfer(**msgspec.structs.asdict(call.asked))))


@ROUTES.add("GET /v1/holds", "evidence:read", Answer("Holds", shape=Holds), HoldsOf)
async def holds(call: Call[HoldsOf]) -> web.StreamResponse:
    """Answer holds by incident and of exhibits; those to be looked at again, where a day is given."""
    desk, _ = desk_of(call)
    said = {"until_before": None if (day := call.asked.until_before) is None else day.isoformat()}
    await evidence.seen(call, "browse", f"holds {said}", None, {"what": "holds", "facets": said})
    return as_json(Holds(*await desk.holds(call.asked.until_before)))


@ROUTES.add("POST /v1/holds", WORK, Answer("The hold", shape=Held, status=201), HoldIncident)
async def hold_incident(call: Call[HoldIncident]) -> web.StreamResponse:
    """Hold every exhibit of an incident, those categorised later too."""
    desk, who = desk_of(call)
    with answered():
        return as_json(Held(*await desk.hold_incident(who, call.asked.incident, _words(call.asked))), status=201)


@ROUTES.add("POST /v1/holds/{hold}/release", SUPERVISE, Answer("What it held", shape=Held), Why)
async def release_incident(call: Call[Why]) -> web.StreamResponse:
    """End a hold by incident on every exhibit that it holds."""
    desk, who = desk_of(call)
    name = call.part("hold")
    with answered():
        return as_json(Held(name, await desk.release_incident(who, name, call.asked.reason)))


def _words(asked: Hold) -> HoldWords:
    return HoldWords(reason=asked.reason, reference=asked.reference, until=asked.until)
