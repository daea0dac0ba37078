"""Clips and derivatives over HTTP: asked for, watched; what comes of one is an exhibit like any other."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from gateway.api import settling
from gateway.api.evidence import one_exhibit
from gateway.api.problem import ProblemError
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.evidence.derived.deriver import Deriver
from gateway.evidence.derived.wish import WORDS_MAX, DeriveJob, Recipe, Wish, WishError

ROUTES = Routes()
DERIVE = "evidence:derive"
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=WORDS_MAX)]
Second = Annotated[float, msgspec.Meta(ge=0)]


class NewClip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From when to when, and why; exact: to the picture, encoded anew (else whole groups of pictures as they are)."""

    from_s: Second
    to_s: Second
    purpose: Said
    exact: bool = False


class NewDerivative(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """By which recipe, and why; a still says at which second."""

    recipe: Literal["h264_copy", "still", "audio"]
    purpose: Said
    at_s: Second | None = None


class DerivativeState(msgspec.Struct, frozen=True):
    """A derivative on its way: the exhibit that it becomes, its master, how it is made, where it stands and why."""

    exhibit: str
    master: str
    recipe: Recipe
    state: Literal["waiting", "making", "done", "failed"]
    reason: str | None
    asked_at: str
    ended_at: str | None
    v: int = 1


def _shown(job: DeriveJob) -> DerivativeState:
    wish = job.wish
    return DerivativeState(job.exhibit, wish.master, wish.recipe, job.state, job.reason, job.asked_at, job.ended_at)


def _deriver(call: Call[Any]) -> Deriver:
    deriver = evidence_of(call.rooms).deriver
    if deriver is None:
        raise ProblemError(404, "this instance makes no derivatives")
    return deriver


async def _asked(call: Call[Any], recipe: Recipe, **times: float | None) -> web.StreamResponse:
    row = await one_exhibit(call)
    settling.may_see(call.who, row)
    if row.disposed_at is not None:
        raise ProblemError(410, f"{row.id} was disposed of")
    wish = Wish(row.id, recipe, call.asked.purpose, call.who.account, **times)
    try:
        job = await asyncio.to_thread(_deriver(call).ask, wish)
    except WishError as wrong:
        raise ProblemError(422, str(wrong)) from wrong
    response = as_json(_shown(job), status=202)
    response.headers["Location"] = f"/v1/derivatives/{job.exhibit}"
    return response


WANTED = Answer("The derivative", shape=DerivativeState, status=202)


@ROUTES.add("POST /v1/exhibits/{exhibit}/clip", DERIVE, WANTED, NewClip)
async def clip(call: Call[NewClip]) -> web.StreamResponse:
    """Ask for a clip: a new exhibit; the master is only read."""
    asked = call.asked
    return await _asked(call, "clip_exact" if asked.exact else "clip_copy", from_s=asked.from_s, to_s=asked.to_s)


@ROUTES.add("POST /v1/exhibits/{exhibit}/derivatives", DERIVE, WANTED, NewDerivative)
async def derive(call: Call[NewDerivative]) -> web.StreamResponse:
    """Ask for a copy that plays everywhere, a still or the sound: a new exhibit; the master is only read."""
    return await _asked(call, call.asked.recipe, at_s=call.asked.at_s)


@ROUTES.add("GET /v1/derivatives/{exhibit}", DERIVE, Answer("A derivative", shape=DerivativeState))
async def one(call: Call[Nothing]) -> web.StreamResponse:
    """Answer where a derivative stands."""
    name = call.part("exhibit")
    job = await asyncio.to_thread(_deriver(call).job, name)
    if job is None:
        raise ProblemError(404, f"there is no derivative {name!r}")
    return as_json(_shown(job))
