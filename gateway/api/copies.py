"""Second places over HTTP: how each is, and how many exhibits have fewer copies than are wanted."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.evidence.copies.copies import PlaceState

ROUTES = Routes()


class Places(msgspec.Struct, frozen=True):
    """How many verified copies are wanted in all, how many exhibits have fewer, and each second place."""

    wanted: int
    short: int
    places: list[PlaceState]
    v: int = 1


@ROUTES.add("GET /v1/copies", "evidence:read", Answer("Second places and how they are", shape=Places))
async def copies(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the state of each second place; none is no fault."""
    room = evidence_of(call.rooms)
    if room.copies is None:
        return as_json(Places(1, 0, []))
    short = await asyncio.to_thread(room.catalogue.count_short, room.copies.wanted)
    return as_json(Places(room.copies.wanted, short, room.copies.states()))
