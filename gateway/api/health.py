"""Health of the process and of each half on its own, and metrics."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.api.routing import OPEN, Answer, Call, Nothing, Routes, as_json

ROUTES = Routes()
HEALTH = {"type": "object", "required": ["state"], "properties": {"state": {"type": "string"}}}


@ROUTES.add("GET /live", OPEN, Answer("The process answers", shape=HEALTH))
async def live(_call: Call[Nothing]) -> web.StreamResponse:
    """Answer that the process runs."""
    return as_json({"v": 1, "state": "ok"})


def _ready(call: Call[Nothing], names: tuple[str, ...]) -> web.StreamResponse:
    parts = call.rooms.parts()
    chosen = {name: parts[name] for name in names if name in parts}
    state = "ok" if all(word == "ok" for word in chosen.values()) else "degraded"
    dead = any(word == "down" for word in chosen.values())
    return as_json({"v": 1, "state": "down" if dead else state, "parts": chosen}, status=503 if dead else 200)


@ROUTES.add("GET /ready", OPEN, Answer("Health of all parts; a degraded part never takes the rest away", shape=HEALTH))
async def ready(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health of all parts and inputs."""
    return _ready(call, tuple(call.rooms.parts()))


@ROUTES.add("GET /ready/feed", OPEN, Answer("Health of the feed", shape=HEALTH))
async def ready_feed(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health of the feed alone."""
    return _ready(call, ("feed",))


@ROUTES.add("GET /ready/evidence", OPEN, Answer("Health of the evidence store", shape=HEALTH))
async def ready_evidence(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health of the evidence store alone."""
    return _ready(call, ("evidence",))


@ROUTES.add("GET /metrics", "health:read", Answer("Prometheus metrics", media="text/plain", shape={"type": "string"}))
async def metrics(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the metrics in Prometheus text format."""
    return web.Response(body=call.rooms.metrics.exposition(), headers={"Content-Type": "text/plain; version=0.0.4"})


@ROUTES.add("GET /v1/drivers", "health:read", Answer("Every input and how it is", shape={"type": "object"}))
async def drivers(call: Call[Nothing]) -> web.StreamResponse:
    """Answer the health and counters of each input."""
    rows: dict[str, Any] = {
        name: {
            "state": health.state,
            "last": health.last,
            "problem": health.problem,
            "counters": health.counters,
        }
        for name, health in call.rooms.inputs().items()
    }
    return as_json({"v": 1, "instance": call.rooms.instance, "inputs": rows, "uploads": call.rooms.uploads()})
