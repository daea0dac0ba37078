"""Routes as declared: each names its permission, its query and what it answers; OpenAPI is made of the same."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_origin

import msgspec
from aiohttp import web

from gateway.api.identity import MASKED, Identity
from gateway.api.problem import ProblemError
from gateway.api.shapes import parts, textual, timed, whole
from gateway.feed.seen import Seen

if TYPE_CHECKING:
    from gateway.api.rooms import Rooms

Query = TypeVar("Query")


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A route without query or body."""


class Call(Generic[Query]):
    """One request as a handler sees it: who asks, the checked query or body, the rooms."""

    def __init__(self, request: web.Request, who: Identity, asked: Query, rooms: Rooms) -> None:
        self.request, self.who, self.asked, self.rooms = request, who, asked, rooms

    @cached_property
    def feed(self) -> Seen:
        """The feed as whoever asks may see it."""
        feed, who = self.rooms.feed, self.who
        return Seen(feed, feed.sharing.view(who.agency, masked=who.may(MASKED)))

    def part(self, name: str) -> str:
        """A part of the path."""
        return self.request.match_info[name]


class Answer(msgspec.Struct, frozen=True):
    """What a route answers: status, media type and (for JSON) the type or schema of the body; other media types."""

    what: str
    media: str = "application/json"
    shape: Any = None
    status: int = 200
    also: tuple[str, ...] = ()


class Route(msgspec.Struct, frozen=True):
    """One route."""

    method: str
    path: str
    permission: str
    run: Callable[[Call[Any]], Awaitable[web.StreamResponse]]
    answer: Answer
    asked: type[msgspec.Struct] = Nothing
    raw_body: bool = False
    headers: dict[str, dict[str, Any]] = {}

    @property
    def takes_body(self) -> bool:
        """Whether `asked` is the JSON body (else it is the query)."""
        return self.method in ("POST", "PUT", "PATCH")


class Routes:
    """A table of routes, filled by decorators."""

    def __init__(self) -> None:
        self.all: list[Route] = []

    def add(
        self,
        line: str,
        permission: str,
        answer: Answer,
        asked: type[msgspec.Struct] = Nothing,
        headers: dict[str, dict[str, Any]] | None = None,
    ) -> Callable[[Callable[[Call[Any]], Awaitable[web.StreamResponse]]], Callable[..., Awaitable[web.StreamResponse]]]:
        """Declare a route: `add("GET /v1/units", "feed:read", Answer("…"))`. permission is required.

        headers: the header fields that it reads, each with its schema.
        """
        method, path = line.split(" ", 1)

        def keep(
            run: Callable[[Call[Any]], Awaitable[web.StreamResponse]],
        ) -> Callable[..., Awaitable[web.StreamResponse]]:
            self.all.append(Route(method, path, permission, run, answer, asked, headers=headers or {}))
            return run

        return keep

    def include(self, other: Routes) -> None:
        """Take another table's routes."""
        self.all.extend(other.all)


async def asked_of(request: web.Request, route: Route) -> msgspec.Struct:
    """Check the query or the JSON body against what the route takes; ProblemError 400 or 422 names the field."""
    try:
        if route.takes_body:
            return _body(await request.read() or b"{}", route.asked)
        return msgspec.convert(_query(request, route), route.asked, strict=False)
    except msgspec.ValidationError as wrong:
        raise ProblemError(400, _said(str(wrong), body=route.takes_body)) from wrong
    except msgspec.DecodeError as wrong:
        raise ProblemError(400, f"the body is not JSON: {wrong}") from wrong


def _body(raw: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError:
        with contextlib.suppress(msgspec.ValidationError):
            return msgspec.convert(whole(msgspec.json.decode(raw)), kind)
        raise  # what is wrong is said of what was sent


def _query(request: web.Request, route: Route) -> dict[str, Any]:
    lists = {
        field.encode_name
        for field in msgspec.structs.fields(route.asked)
        if any(get_origin(part) is tuple for part in parts(field.type))
    }
    query: dict[str, Any] = {}
    for key in request.query:
        values = request.query.getall(key)
        if key in lists:
            query[key] = [part for value in values for part in value.split(",") if part]
        elif len(values) > 1:
            raise ProblemError(400, f"{key}: stands more than once")
        else:
            query[key] = values[0]
    for key in query.keys() - textual(route.asked):
        if query[key] == "null":
            raise ProblemError(400, f"{key}: is left out where there is nothing to say")
    for key in timed(route.asked) & query.keys():
        if re.fullmatch(r"[-+.0-9eE]+", query[key]) and not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", query[key]):
            raise ProblemError(400, f"{key}: a time is said as RFC 3339 says it")
    return query


def _said(wrong: str, *, body: bool) -> str:
    found = re.fullmatch(r"(?s)(.*?)(?: - at `\$\.?(.*)`)?", wrong)
    problem, path = (found[1], found[2]) if found else (wrong, None)
    place = "body" if body else "query"
    return f"{path or place}: {problem}"


def as_json(body: object, *, status: int = 200, media: str = "application/json") -> web.Response:
    """Answer with JSON."""
    return web.Response(status=status, body=msgspec.json.encode(body), content_type=media)
