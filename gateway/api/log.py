"""The log over HTTP, readable by any tlog-tiles client (c2sp.org/tlog-tiles)."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes
from gateway.crypto.canonical import canonical
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.known_keys import VKEY, read_chain
from gateway.evidence.log.tiles import ENTRIES, WIDTH, tile_width

ROUTES = Routes()
INDEX = r"(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/(?:[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?"
"""A tile's path: groups of three digits, all but the last with x; .p/W for a partial one, W 1..255."""
OCTETS = {"type": "string", "format": "binary"}


def _log(call: Call[Nothing]) -> CustodyLog:
    return evidence_of(call.rooms).custody


@ROUTES.add("GET /v1/log/checkpoint", "log:read", Answer("The signed checkpoint", "text/plain", {"type": "string"}))
async def checkpoint(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the checkpoint, a C2SP signed note; with cosignatures where the log has witnesses."""
    room = evidence_of(call.rooms)
    note = await asyncio.to_thread(_checkpoint, room.custody)
    published = note if room.witnesses is None else room.witnesses.published(note)
    return web.Response(text=published, content_type="text/plain")


def _checkpoint(custody: CustodyLog) -> str:
    return (custody.directory / "log" / "checkpoint").read_text("utf-8")


@ROUTES.add("GET /v1/log/vkey", "log:read", Answer("The log's verifier key", "text/plain", {"type": "string"}))
async def vkey(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the verifier key; compare it with the one published elsewhere."""
    text = await asyncio.to_thread((_log(call).directory / "log" / VKEY).read_text, "utf-8")
    return web.Response(text=text, content_type="text/plain")


@ROUTES.add("GET /v1/log/rotations", "log:read", Answer("Rotations of its key", "text/plain", {"type": "string"}))
async def rotations(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the statements that lead from the log's first key to the present one, a JSON object a line."""
    notes = await asyncio.to_thread(read_chain, _log(call).directory / "log")
    text = "".join(canonical({"v": 1, "note": note}).decode() + "\n" for note in notes)
    return web.Response(text=text, content_type="text/plain")


@ROUTES.add(
    "GET /v1/log/tile/entries/{tile:.+}", "log:entries", Answer("An entry bundle", "application/octet-stream", OCTETS)
)
async def entries(call: Call[Nothing]) -> web.StreamResponse:
    """Answer an entry bundle (auditors), compressed for whoever accepts it."""
    bundle = await _tile(call, ENTRIES, call.part("tile"))
    bundle.enable_compression()
    return bundle


@ROUTES.add("GET /v1/log/tile/{level}/{tile:.+}", "log:read", Answer("A hash tile", "application/octet-stream", OCTETS))
async def tile(call: Call[Nothing]) -> web.StreamResponse:
    """Answer a hash tile of a level 0..63."""
    level = call.part("level")
    if not re.fullmatch(r"[0-9]|[1-5][0-9]|6[0-3]", level):
        raise ProblemError(404, f"level {level!r}: levels are 0 to 63")
    return await _tile(call, level, call.part("tile"))


async def _tile(call: Call[Nothing], level: str, index: str) -> web.Response:
    if not re.fullmatch(INDEX, index):
        raise ProblemError(404, f"{index!r} is not a tile's path (c2sp.org/tlog-tiles)")
    content = await asyncio.to_thread(_published_tile, _log(call), level, index)
    if content is None:
        raise ProblemError(404, f"there is no tile {level}/{index}")
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return web.Response(body=content, content_type="application/octet-stream", headers=headers)


def _published_tile(custody: CustodyLog, level: str, index: str) -> bytes | None:
    """A tile that the checkpoint covers: one of a batch under way may yet be taken back, and answers last for ever."""
    size = int(_checkpoint(custody).split("\n")[1])
    number, _, width = index.replace("x", "").replace("/", "").partition(".p")
    place = 0 if level == ENTRIES else int(level)
    if tile_width(place, int(number), size) < int(width or WIDTH):
        return None
    try:
        return (custody.directory / "log" / "tile" / level / index).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
