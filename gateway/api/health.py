"""Health of the process and of each half on its own, and metrics."""

from __future__ import annotations

from datetime import datetime

import msgspec
from aiohttp import web

from gateway.api.identity import OPEN
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.feed.coverage import GroupCover, coverage

ROUTES = Routes()


class Health(msgspec.Struct, frozen=True):
    """`ok`, `degraded` or `down`; parts each on its own (`off: why` is no fault: the machine lacks what it takes).

    problem: in words, where footage has to wait.
    """

    state: str
    parts: dict[str, str] = {}
    problem: str | msgspec.UnsetType = msgspec.UNSET
    v: int = 1


@ROUTES.add("GET /live", OPEN, Answer("The process answers", shape=Health))
async def live(_call: Call[Nothing]) -> web.StreamResponse:
    """Answer that the process runs."""
    return as_json(Health("ok"))


def _ready(call: Call[Nothing], names: tuple[str, ...], problem: str | None = None) -> web.StreamResponse:
    parts = call.rooms.parts()
    chosen = {name: parts[name] for name in names if name in parts}
    state = "ok" if all(word == "ok" or word.startswith("off") for word in chosen.values()) else "degraded"
    # Whoever asks for the whole wants to know whether to send consumers here: only the feed decides that.
    dead = chosen.get("feed") == "down" if "feed" in chosen else "down" in chosen.values()
    said = msgspec.UNSET if problem is None else problem
    return as_json(Health("down" if dead else state, chosen, said), status=503 if dead else 200)


@ROUTES.add("GET /ready", OPEN, Answer("Health of all parts; a degraded part never takes the rest away", shape=Health))
async def ready(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health of all parts and inputs."""
    return _ready(call, tuple(call.rooms.parts()))


@ROUTES.add("GET /ready/feed", OPEN, Answer("Health of the feed", shape=Health))
async def ready_feed(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health of the feed alone."""
    return _ready(call, ("feed",))


@ROUTES.add("GET /ready/evidence", OPEN, Answer("Health of the evidence store", shape=Health))
async def ready_evidence(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health of the evidence store, and of its log's witnesses, alone."""
    return _ready(call, ("evidence", "witness", "copies"), call.rooms.footage_problem())


@ROUTES.add("GET /metrics", "health:read", Answer("Prometheus metrics", media="text/plain", shape={"type": "string"}))
async def metrics(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the metrics in Prometheus text format."""
    return web.Response(body=call.rooms.metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})


class Input(msgspec.Struct, frozen=True):
    """One input: its state, when it last heard something, its counters; groups: what a radio says it listens to."""

    state: str
    last: datetime | None
    problem: str | None
    counters: dict[str, int]
    groups: tuple[int, ...] | None


class Uploading(msgspec.Struct, frozen=True):
    """A recording on its way; size None while the camera still makes it, durable the bytes that are on disk.

    via: the dock without the right that brings it, apart from the camera's own.
    """

    device: str
    recording: str
    exhibit: str
    size: int | None
    durable: int
    via: str | None = None


class Drivers(msgspec.Struct, frozen=True):
    """Every input of this instance, the uploads in flight, and the talkgroups that must be heard."""

    instance: str
    inputs: dict[str, Input]
    uploads: list[Uploading]
    groups: list[GroupCover]
    v: int = 1


@ROUTES.add("GET /v1/drivers", "health:read", Answer("Every input and how it is", shape=Drivers))
async def drivers(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health and counters of each input."""
    known = call.rooms.inputs()
    inputs = {name: Input(**msgspec.structs.asdict(health)) for name, health in known.items()}
    uploads = [Uploading(**each) for each in call.rooms.uploads()]
    return as_json(Drivers(call.rooms.instance, inputs, uploads, coverage(call.rooms.feed.settings.groups, known)))
