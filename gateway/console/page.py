"""The one page at `/`: a live table of units, recordings and the log."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from aiohttp import web

from gateway.api.identity import OPEN
from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Nothing, Routes

ROUTES = Routes()
OTHERS = ("text/html", "text/javascript", "image/svg+xml")
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
FILES = {
    name: files(__package__).joinpath("static", name).read_bytes()
    for name in ("page.html", "page.css", "page.js", "mark.svg")
}


def _file(name: str) -> web.Response:
    kind = TYPES[name.rsplit(".", 1)[-1]]
    return web.Response(body=FILES[name], content_type=kind, charset="utf-8", headers={"Cache-Control": "no-cache"})


@ROUTES.add("GET /", OPEN, Answer("The page", media="text/html", shape={"type": "string"}))
async def page(_call: Call[Nothing]) -> web.StreamResponse:
    """Answer the page; what it shows it asks for with the signed-in person's own permissions."""
    return _file("page.html")


@ROUTES.add("GET /static/{name}", OPEN, Answer("The page's own files", "text/css", {"type": "string"}, also=OTHERS))
async def static(call: Call[Any]) -> web.StreamResponse:
    """Answer one of the page's files."""
    name = call.part("name")
    if name not in FILES:
        raise ProblemError(404, f"there is no file {name!r}")
    return _file(name)
