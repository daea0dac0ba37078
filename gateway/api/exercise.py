"""The routes of an exercise: what can be looked at. Nothing can be ordered, set or acknowledged in a replay."""

from __future__ import annotations

from gateway.api import events, feed_socket, health, session, units
from gateway.api.rooms import Rooms
from gateway.api.routing import Routes
from gateway.api.server import Server

PATHS = frozenset(
    {"/v1/units", "/v1/units/nearest", "/v1/units/{unit}", "/v1/feed", "/v1/feed/ws", "/v1/session", "/live", "/ready"}
)


def exercise_server(rooms: Rooms, version: str) -> Server:
    """A server of these routes alone."""
    server = Server(rooms, version, Routes())
    kept = Routes()
    for part in (health, session, units, events, feed_socket):
        kept.all += [route for route in part.ROUTES.all if route.path in PATHS]
    kept.all += [route for route in server.routes.all if route.path == "/openapi.json"]
    server.routes = kept
    return server
