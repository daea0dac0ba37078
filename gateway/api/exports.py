"""Exports over HTTP: asked for, watched, fetched in as many parts as it takes; who fetches one is on record first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from aiohttp import web

from gateway.api import settling
from gateway.api.evidence import SITTINGS
from gateway.api.problem import ProblemError
from gateway.api.ranges import span
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.export.jobs import ExportJob, ExportJobs, ExportState, KeyTakenError
from gateway.evidence.export.order import EXHIBITS_MAX, WORDS_MAX, Order, OrderError

ROUTES = Routes()
EXPORT = "evidence:export"
LONGEST_KEY = 255
IDEMPOTENT = {"Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": r"\S"}}
REPLAYED = "Idempotent-Replayed"
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=WORDS_MAX)]


class NewExport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which exhibits, why, for whom, by what right; to_age: the age recipient it is encrypted to."""

    exhibits: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=EXHIBITS_MAX)]
    purpose: Said
    recipient: Said
    legal_gateway: Said
    to_age: str | None = None


class ExportList(msgspec.Struct, frozen=True):
    """Exports, newest first."""

    exports: list[ExportState]
    v: int = 1


def _jobs(call: Call[Any]) -> ExportJobs:
    jobs = evidence_of(call.rooms).exports
    if jobs is None:
        raise ProblemError(404, "this instance makes no exports")
    return jobs


async def _job(call: Call[Any]) -> ExportJob:
    name = call.part("export")
    job = await asyncio.to_thread(_jobs(call).job, name)
    if job is None:
        raise ProblemError(404, f"there is no export {name!r}")
    return job


async def _check_exhibits(call: Call[Any], exhibits: tuple[str, ...]) -> None:
    """Each is there, sealed, and may be seen by whoever asks."""
    catalogue = evidence_of(call.rooms).catalogue
    for name in exhibits:
        row = await asyncio.to_thread(catalogue.exhibit, name)
        if row is None:
            raise ProblemError(404, f"there is no exhibit {name!r}")
        settling.may_see(call.who, row)
        if row.disposed_at is not None or row.shredded_at is not None:
            raise ProblemError(410, f"{name} was disposed of")
        if row.sealed_at is None:
            raise ProblemError(409, f"{name} is not sealed yet")


@ROUTES.add("POST /v1/exports", EXPORT, Answer("The export", shape=ExportState, status=202), NewExport, IDEMPOTENT)
async def ask(call: Call[NewExport]) -> web.StreamResponse:
    """Ask for an export; the same Idempotency-Key is the same export."""
    key, asked = call.request.headers.get("Idempotency-Key"), call.asked
    if key is not None and not 0 < len(key.strip()) <= LONGEST_KEY:
        raise ProblemError(400, f"Idempotency-Key: 1 to {LONGEST_KEY} characters")
    await _check_exhibits(call, asked.exhibits)
    order = Order(actor=call.who.account, **msgspec.structs.asdict(asked))
    try:
        job, new = await asyncio.to_thread(_jobs(call).ask, order, key)
    except (OrderError, KeyTakenError) as wrong:
        raise ProblemError(422, str(wrong)) from wrong
    response = as_json(_jobs(call).state(job), status=202)
    response.headers["Location"] = f"/v1/exports/{job.export}"
    if not new:
        response.headers[REPLAYED] = "true"
    return response


@ROUTES.add("GET /v1/exports", EXPORT, Answer("Exports", shape=ExportList))
async def exports(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every export as it stands, newest first."""
    jobs = _jobs(call)
    return as_json(ExportList([jobs.state(job) for job in await asyncio.to_thread(jobs.all)]))


@ROUTES.add("GET /v1/exports/{export}", EXPORT, Answer("One export", shape=ExportState))
async def one(call: Call[Nothing]) -> web.StreamResponse:
    """Answer what an export waits for, how much of it is written, or what came of it."""
    return as_json(_jobs(call).state(await _job(call)))


TAR = {"type": "string", "format": "binary"}


@ROUTES.add("GET /v1/exports/{export}/content", EXPORT, Answer("The bag as a tar", "application/x-tar", TAR))
async def content(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the bag (a tar, or a tar in age) or a Range of it; `disclose` entries precede the first byte."""
    job, jobs = await _job(call), _jobs(call)
    if job.state in ("failed", "removed"):
        raise ProblemError(410, f"{job.export}: {job.state}: {job.reason}")
    if job.state != "done":
        raise ProblemError(409, f"{job.export} is not finished", {"Retry-After": "5"}, state=jobs.state(job).state)
    await _check_exhibits(call, job.order.exhibits)
    whole = await asyncio.to_thread(jobs.content, job)
    etag = f'"{job.export}"'
    ranged = span(call.request.headers, etag, whole.size)
    start, end = ranged or (0, whole.size)
    await _disclosed(call, job, start)
    response = web.StreamResponse(status=206 if ranged else 200)
    response.content_type, response.content_length = whole.media, end - start
    name = f'attachment; filename="{whole.name}"'
    response.headers.update({"Accept-Ranges": "bytes", "ETag": etag, "Content-Disposition": name})
    if ranged:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{whole.size}"
    await response.prepare(call.request)
    with contextlib.closing(whole.read(start, end)) as pieces:  # type: ignore[type-var]  # a generator
        while piece := await asyncio.to_thread(_next, pieces):
            await response.write(piece)
    await response.write_eof()
    return response


def _next(pieces: Iterator[bytes]) -> bytes:
    return next(pieces, b"")


async def _disclosed(call: Call[Any], job: ExportJob, start: int) -> None:
    """Who fetched it when, on every exhibit; once a sitting, however often it is gone on with."""
    who, sittings, order = call.who, call.request.config_dict[SITTINGS], job.order
    what = f"export {job.export}"
    async with sittings.lock(who.account, who.session, what):
        if not sittings.fresh(who.account, who.session, what, datetime.now(UTC)):
            return
        said = {"purpose": order.purpose, "recipient": order.recipient, "legal_gateway": order.legal_gateway}
        detail = {**said, "how": "fetched over HTTP", "session": who.session, "from_byte": start}
        facts = {"export": job.export}
        acts = [Act("disclose", who.account, ExhibitId(each), facts, detail) for each in order.exhibits]
        try:
            await evidence_of(call.rooms).custody.record_many(acts)
        except BaseException:
            sittings.forget(who.account, who.session, what)
            raise
    _jobs(call).counts["fetched"] += 1


@ROUTES.add("DELETE /v1/exports/{export}", EXPORT, Answer("The export, removed", shape=ExportState))
async def remove(call: Call[Nothing]) -> web.StreamResponse:
    """Take away what was made; that it was made stays on record."""
    job, jobs = await _job(call), _jobs(call)
    if job.state in ("waiting", "making"):
        raise ProblemError(409, f"{job.export} is not finished")
    if job.state == "done":
        job = await asyncio.to_thread(jobs.remove, job, f"removed by {call.who.account}")
    return as_json(jobs.state(job))
