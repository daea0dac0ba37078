"""Exhibits over HTTP: list, one, content by Range, custody, proof. Every viewing is on record first."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, cast
from weakref import WeakValueDictionary

import msgspec
from aiohttp import web

from gateway.api import settling
from gateway.api.problem import ProblemError
from gateway.api.ranges import span
from gateway.api.rooms import EvidenceRoom, evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.rows import CustodyEntry, Exhibit

ROUTES = Routes()
SITTING = timedelta(minutes=15)
"""Viewings of one person, exhibit and session nearer than this are one entry (contracts section 5)."""
MOST_SITTINGS = 100_000


Playable = Literal["playable", "partial", "unplayable", "not_examined"]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facets of a list; after is the log_index of the last exhibit of the page before."""

    device: str | None = None
    recording: str | None = None
    controller: str | None = None
    category: str | None = None
    holder: str | None = None
    complete: bool | None = None
    playable: Playable | None = None
    settle: bool | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    after: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class Page(msgspec.Struct, frozen=True):
    """One page of exhibits, newest first; next is the `after` of the next page."""

    total: int
    exhibits: list[Exhibit]
    next: int | None
    v: int = 1


class Chain(msgspec.Struct, frozen=True):
    """Every act on an exhibit, oldest first."""

    exhibit: str
    custody: list[CustodyEntry]
    v: int = 1


class Proof(msgspec.Struct, frozen=True):
    """An exhibit's seal in the log: exact leaf (base64) and `.tlog-proof` text."""

    exhibit: str
    log_index: int
    entry: str
    proof: str
    v: int = 1


class Sittings:
    """Who has looked at what lately."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str, str], datetime] = {}
        self._browsed: dict[tuple[str, str], datetime] = {}
        self._locks: WeakValueDictionary[tuple[str, str, str], asyncio.Lock] = WeakValueDictionary()

    def lock(self, who: str, session: str, what: str) -> asyncio.Lock:
        """Held while an entry is written: who comes meanwhile waits for it, and sees nothing before."""
        return self._locks.setdefault((who, session, what), asyncio.Lock())

    def fresh(self, who: str, session: str, what: str, now: datetime) -> bool:
        """Whether this starts a new sitting; a continued one is extended."""
        key = (who, session, what)
        last = self._last.get(key)
        if len(self._last) >= MOST_SITTINGS:
            self._last = {each: at for each, at in self._last.items() if now - at < SITTING}
        self._last[key] = now
        return last is None or now - last >= SITTING

    def browsed(self, who: str, session: str, now: datetime) -> None:
        """A list was looked at, which is on record."""
        if len(self._browsed) >= MOST_SITTINGS:
            self._browsed = {each: at for each, at in self._browsed.items() if now - at < SITTING}
        self._browsed[who, session] = now

    def covers(self, who: str, session: str, now: datetime) -> bool:
        """Whether a list is being looked at: its thumbnails are part of that."""
        last = self._browsed.get((who, session))
        return last is not None and now - last < SITTING

    def forget(self, who: str, session: str, what: str) -> None:
        """The entry could not be written: the next one starts anew."""
        self._last.pop((who, session, what), None)


SITTINGS = web.AppKey("sittings", Sittings)


def _room(call: Call[Any]) -> EvidenceRoom:
    return evidence_of(call.rooms)


async def seen(call: Call[Any], act: str, what: str, exhibit: str | None, detail: dict[str, object]) -> None:
    """Put a viewing on record before anything is shown."""
    who, sittings = call.who, call.request.config_dict[SITTINGS]
    async with sittings.lock(who.account, who.session, what):
        if not sittings.fresh(who.account, who.session, what, datetime.now(UTC)):
            return
        about, whole = ExhibitId(exhibit) if exhibit else None, {"session": who.session, **detail}
        try:
            await _room(call).custody.record(Act(act, who.account, about, detail=whole))
        except BaseException:
            sittings.forget(who.account, who.session, what)
            raise


async def one_exhibit(call: Call[Any]) -> Exhibit:
    """The exhibit that the path names; ProblemError 404 for none."""
    name = call.part("exhibit")
    row = await asyncio.to_thread(_room(call).catalogue.exhibit, name)
    if row is None:
        raise ProblemError(404, f"there is no exhibit {name!r}")
    return row


@ROUTES.add("GET /v1/exhibits", "evidence:read", Answer("A page of exhibits", shape=Page), Asked)
async def exhibits(call: Call[Asked]) -> web.StreamResponse:
    """Answer exhibits by facet; one `browse` entry a sitting."""
    asked, catalogue = call.asked, _room(call).catalogue
    facets = {name: part for name, part in msgspec.structs.asdict(asked).items() if name not in ("limit", "after")}
    chosen = settling.chosen(call.who, facets)
    said = {name: part for name, part in facets.items() if part is not None}
    await seen(call, "browse", f"browse {sorted(said.items())}", None, {"facets": said})
    call.request.config_dict[SITTINGS].browsed(call.who.account, call.who.session, datetime.now(UTC))
    rows = await asyncio.to_thread(catalogue.exhibits, chosen, asked.limit, asked.after)
    total = await asyncio.to_thread(catalogue.count, chosen)
    following = rows[-1].log_index if len(rows) == asked.limit else None
    return as_json(Page(total, rows, following))


@ROUTES.add("GET /v1/exhibits/{exhibit}", "evidence:read", Answer("One exhibit", shape=Exhibit))
async def exhibit(call: Call[Nothing]) -> web.StreamResponse:
    """Answer one exhibit's facts; one `view` entry a sitting."""
    row = await one_exhibit(call)
    await seen(call, "view", row.id, row.id, {"what": "facts"})
    return as_json(row)


@ROUTES.add("GET /v1/exhibits/{exhibit}/custody", "evidence:read", Answer("Its custody", shape=Chain))
async def custody(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every act on an exhibit."""
    row = await one_exhibit(call)
    await seen(call, "view", row.id, row.id, {"what": "custody"})
    return as_json(Chain(row.id, await asyncio.to_thread(_room(call).catalogue.custody, row.id)))


@ROUTES.add("GET /v1/exhibits/{exhibit}/proof", "evidence:read", Answer("Its seal's proof", shape=Proof))
async def proof(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the seal's exact leaf and its inclusion proof; proofs are no viewing."""
    row, log = await one_exhibit(call), _room(call).custody
    if row.sealed_at is None:
        raise ProblemError(409, f"{row.id} is not sealed yet")
    leaf = await asyncio.to_thread(log.leaf, row.log_index)
    text = await asyncio.to_thread(log.proof, row.log_index)
    return as_json(Proof(row.id, row.log_index, base64.b64encode(leaf).decode(), text))


JPEG = {"type": "string", "format": "binary"}


@ROUTES.add("GET /v1/exhibits/{exhibit}/thumbnail", "evidence:content", Answer("Its thumbnail", "image/jpeg", JPEG))
async def thumbnail(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the thumbnail; within a sitting over a list it is part of that `browse` entry, else it is a `view`."""
    row = await one_exhibit(call)
    settling.may_see(call.who, row)
    if row.disposed_at is not None:
        raise ProblemError(410, f"{row.id} was disposed of")
    if row.thumbnail is None:
        raise ProblemError(404, f"{row.id} has no thumbnail")
    if not call.request.config_dict[SITTINGS].covers(call.who.account, call.who.session, datetime.now(UTC)):
        await seen(call, "view", row.id, row.id, {"what": "thumbnail"})
    picture = await asyncio.to_thread(_room(call).thumbnails.get, ExhibitId(row.id))
    if picture is None:
        raise ProblemError(404, f"the thumbnail of {row.id} is not there")
    return web.Response(body=picture, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


MEDIA = {"type": "string", "format": "binary"}
OCTETS = "application/octet-stream"
PLAYABLE = re.compile(r"(?:video|audio)/[A-Za-z0-9][A-Za-z0-9.+-]{0,63}|image/(?:jpeg|png)")
"""A camera says what it sends: called a page or a script, it would run in the session of whoever looks at it."""


@ROUTES.add("GET /v1/exhibits/{exhibit}/content", "evidence:content", Answer("The recording", "video/mp4", MEDIA))
async def content(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the recording or a Range of it, decrypted on the way; a `play` entry precedes the first byte."""
    row = await one_exhibit(call)
    settling.may_see(call.who, row)
    if row.disposed_at is not None:
        raise ProblemError(410, f"{row.id} was disposed of")
    if row.sealed_at is None or row.size is None:
        raise ProblemError(409, f"{row.id} is not sealed yet")
    etag = f'"{row.sha256}"'
    ranged = span(call.request.headers, etag, row.size)
    start, end = ranged or (0, row.size)
    await seen(call, "play", f"play {row.id}", row.id, {"from_byte": start})
    response = web.StreamResponse(status=206 if ranged else 200)
    said = row.content_type or ""
    response.content_type = said if PLAYABLE.fullmatch(said) else OCTETS
    response.content_length = end - start
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "no-store"
    response.headers["ETag"] = etag
    if ranged:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    # An early end (the viewer has gone) closes the file with the generator, not some time later.
    async with contextlib.aclosing(_pieces(call, row.id, start, end)) as pieces:
        first = await anext(pieces, b"")
        await response.prepare(call.request)
        await response.write(first)
        async for piece in pieces:
            await response.write(piece)
    await response.write_eof()
    return response


def _pieces(call: Call[Any], exhibit: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
    return cast("AsyncGenerator[bytes, None]", _room(call).reader.stream(ExhibitId(exhibit), start, end))
