"""Exhibits over HTTP: list, one, content by Range, custody, proof. Every viewing is on record first."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
from collections.abc import AsyncGenerator
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, cast
from weakref import WeakValueDictionary

import msgspec
from aiohttp import web

from gateway.api import facets as asked_for
from gateway.api import settling
from gateway.api.afterwards import PLAYBACKS, SITTING, Playbacks
from gateway.api.problem import ProblemError
from gateway.api.ranges import span
from gateway.api.rooms import EvidenceRoom, evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.export.masters import master_name
from gateway.evidence.rows import CustodyEntry, Exhibit
from gateway.evidence.work.playback import Sitting

ROUTES = Routes()
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
    exhibit_ref: str | None = None
    incident: str | None = None
    held: bool | None = None
    hold: str | None = None
    review_due: bool | None = None
    due_before: date | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    after: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class Listed(Exhibit, frozen=True, kw_only=True):
    """An exhibit, and how many verified copies are wanted of it in all; copies counts the first."""

    copies_wanted: int = 1


class Page(msgspec.Struct, frozen=True):
    """One page of exhibits, newest first; next is the `after` of the next page."""

    total: int
    exhibits: list[Listed]
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


def listed(call: Call[Any], row: Exhibit) -> Listed:
    """A row as it is answered."""
    copies = _room(call).copies
    said = {name: getattr(row, name) for name in row.__struct_fields__}
    said["copies"] = row.copies or (1 if row.sealed_at is not None else None)
    return Listed(**said, copies_wanted=1 if copies is None else copies.wanted)


@ROUTES.add("GET /v1/exhibits", "evidence:read", Answer("A page of exhibits", shape=Page), Asked)
async def exhibits(call: Call[Asked]) -> web.StreamResponse:
    """Answer exhibits by facet; one `browse` entry a sitting."""
    asked, catalogue = call.asked, _room(call).catalogue
    facets = {name: part for name, part in msgspec.to_builtins(asked).items() if name not in ("limit", "after")}
    chosen = settling.chosen(call.who, asked_for.narrowed(facets, datetime.now(UTC).date()))
    said = {name: part for name, part in facets.items() if part is not None}
    await seen(call, "browse", f"browse {sorted(said.items())}", None, {"facets": said})
    call.request.config_dict[SITTINGS].browsed(call.who.account, call.who.session, datetime.now(UTC))
    rows = await asyncio.to_thread(catalogue.exhibits, chosen, asked.limit, asked.after)
    total = await asyncio.to_thread(catalogue.count, chosen)
    following = rows[-1].log_index if len(rows) == asked.limit else None
    return as_json(Page(total, [listed(call, row) for row in rows], following))


@ROUTES.add("GET /v1/exhibits/{exhibit}", "evidence:read", Answer("One exhibit", shape=Listed))
async def exhibit(call: Call[Nothing]) -> web.StreamResponse:
    """Answer one exhibit's facts; one `view` entry a sitting."""
    row = await one_exhibit(call)
    await seen(call, "view", row.id, row.id, {"what": "facts"})
    return as_json(listed(call, row))


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
    if row.gone:
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


DOWNLOAD = "evidence:download"


class Fetch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the recording is wanted: to be played, or as a file to be kept, and then for what purpose."""

    download: bool = False
    purpose: Annotated[str, msgspec.Meta(max_length=2000)] | None = None


RECORDING = Answer("The recording", "video/mp4", MEDIA, also=("video/*", "audio/*", "image/jpeg", "image/png", OCTETS))


@ROUTES.add("GET /v1/exhibits/{exhibit}/content", "evidence:content", RECORDING, Fetch)
async def content(call: Call[Fetch]) -> web.StreamResponse:
    """Answer the recording or a Range of it, decrypted on the way; `play` or `download` precedes the first byte.

    At the end of a sitting a second `play` says what of it was sent.
    """
    row = await one_exhibit(call)
    settling.may_see(call.who, row)
    if row.gone:
        raise ProblemError(410, f"{row.id} was disposed of")
    if row.sealed_at is None or row.size is None:
        raise ProblemError(409, f"{row.id} is not sealed yet")
    etag = f'"{row.sha256}"'
    ranged = span(call.request.headers, etag, row.size)
    start, end = ranged or (0, row.size)
    sitting = await _begun(call, row, start)
    response = web.StreamResponse(status=206 if ranged else 200)
    said = row.content_type or ""
    response.content_type = said if PLAYABLE.fullmatch(said) else OCTETS
    response.content_length = end - start
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "no-store"
    response.headers["ETag"] = etag
    if ranged:
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{row.size}"
    if sitting is None:
        suffix = master_name(row).removeprefix("master")
        response.headers["Content-Disposition"] = f'attachment; filename="{row.id}{suffix}"'
    await _sent(call, response, row, (start, end), sitting)
    return response


async def _begun(call: Call[Fetch], row: Exhibit, start: int) -> Sitting | None:
    """Put the playing, or the download, on record; None for a download, whose entry says all."""
    who, asked = call.who, call.asked
    if not asked.download:
        await seen(call, "play", f"play {row.id}", row.id, {"from_byte": start})
        return Sitting(who.account, who.session, row.id)
    if not who.may(DOWNLOAD):
        raise ProblemError(403, f"a download needs the permission {DOWNLOAD!r}", permission=DOWNLOAD)
    if asked.purpose is None or not asked.purpose.strip():
        raise ProblemError(422, "purpose: a download is asked for one")
    said: dict[str, object] = {"purpose": asked.purpose, "bytes": row.size}
    await seen(call, "download", f"download {row.id} {asked.purpose}", row.id, said)
    return None


async def _sent(
    call: Call[Any], response: web.StreamResponse, row: Exhibit, span: tuple[int, int], sitting: Sitting | None
) -> None:
    """Send a span; what was handed over counts as seen, whether or not the viewer stays to the end."""
    playbacks, at = call.request.config_dict[PLAYBACKS], span[0]
    # An early end (the viewer has gone) closes the file with the generator, not some time later.
    async with contextlib.aclosing(_pieces(call, row.id, *span)) as pieces:
        first = await anext(pieces, b"")
        await response.prepare(call.request)
        await response.write(first)
        at = _counted(playbacks, sitting, row, at, first)
        async for piece in pieces:
            await response.write(piece)
            at = _counted(playbacks, sitting, row, at, piece)
    await response.write_eof()


def _counted(playbacks: Playbacks, sitting: Sitting | None, row: Exhibit, at: int, piece: bytes) -> int:
    if sitting is not None:
        playbacks.sent(sitting, row, at, at + len(piece))
    return at + len(piece)


def _pieces(call: Call[Any], exhibit: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
    return cast("AsyncGenerator[bytes, None]", _room(call).reader.stream(ExhibitId(exhibit), start, end))
