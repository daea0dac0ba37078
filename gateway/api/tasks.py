"""Tasks to units' radios: given, seen, taken back; and how quickly units reacted."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.api.shapes import Moment
from gateway.dispatch.asked import DeclinedError, NewTask
from gateway.dispatch.ports import Wanted
from gateway.dispatch.task import State, Task
from gateway.dispatch.times import By, ResponseTimes

ROUTES = Routes()
Made = TypeVar("Made")
LONGEST_KEY = 255
IDEMPOTENT = {"Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": r"\S"}}
REPLAYED = "Idempotent-Replayed"


class Tasks(msgspec.Struct, frozen=True):
    """Tasks, oldest first."""

    tasks: list[Task]
    v: int = 1


class Which(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Of a unit, in a state, made in a span of time; the newest `limit` of them."""

    unit: str | None = None
    state: State | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 100


class Cancel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it is taken back."""

    reason: Annotated[str, msgspec.Meta(max_length=400)] | None = None


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Of tasks made in that span, by what they are put together."""

    since: Moment | None = None
    until: Moment | None = None
    by: By = "unit"


async def _granted(asked: Awaitable[Made]) -> Made:
    """A request declined is a problem with its status, and what more there is to say."""
    try:
        return await asked
    except DeclinedError as no:
        raise ProblemError(no.code, no.what, None, **no.more) from no


@ROUTES.add("POST /v1/tasks", "task:write", Answer("The task", shape=Task, status=201), NewTask, IDEMPOTENT)
async def give(call: Call[NewTask]) -> web.StreamResponse:
    """Give a unit a task; the same Idempotency-Key is the same task."""
    key = call.request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key.strip()) <= LONGEST_KEY:
        raise ProblemError(400, f"Idempotency-Key: 1 to {LONGEST_KEY} characters")
    may_act_on(call, call.asked.unit, f"no unit {call.asked.unit!r} on the roster")
    task, new = await _granted(call.rooms.dispatch.create(call.asked, call.who.account, key))
    structlog.get_logger().info("task_given", task=task.id, unit=task.unit, account=call.who.account, new=new)
    response = as_json(task, status=201)
    response.headers["Location"] = f"/v1/tasks/{task.id}"
    if not new:
        response.headers[REPLAYED] = "true"
    return response


@ROUTES.add("GET /v1/tasks", "feed:read", Answer("Tasks", shape=Tasks), Which)
async def tasks(call: Call[Which]) -> web.StreamResponse:
    """Answer tasks as they are now."""
    asked = call.asked
    wanted = Wanted(asked.unit, asked.state, asked.since, asked.until, asked.limit)
    found = await call.rooms.dispatch.tasks(wanted)
    return as_json(Tasks([each for each in found if call.feed.has_task(each.unit, each.agency)]))


@ROUTES.add("GET /v1/tasks/{id}", "feed:read", Answer("One task", shape=Task))
async def task(call: Call[Nothing]) -> web.StreamResponse:
    """Answer one task with its history."""
    return as_json(await _known(call, call.part("id")))


def may_act_on(call: Call[Any], unit: str, unknown: str) -> None:
    """ProblemError 404 for a unit that is not seen, 403 for another agency's that is only shown."""
    if not call.feed.knows(unit):
        raise ProblemError(404, unknown)
    if not call.feed.may_act_on(unit):
        raise ProblemError(403, f"{unit} is another agency's: no agreement ([[sharing]] tasks) lets yours act on it")


async def _known(call: Call[Any], name: str) -> Task:
    found = await _granted(call.rooms.dispatch.task(name))
    if not call.feed.has_task(found.unit, found.agency):
        raise ProblemError(404, f"task {name!r} is not known")
    return found


@ROUTES.add("POST /v1/tasks/{id}/cancel", "task:write", Answer("The task taken back", shape=Task), Cancel)
async def cancel(call: Call[Cancel]) -> web.StreamResponse:
    """Take a task back; an officer who may have it is told."""
    name, account = call.part("id"), call.who.account
    await _known(call, name)
    taken_back = await _granted(call.rooms.dispatch.cancel(name, account, call.asked.reason))
    structlog.get_logger().info("task_cancelled", task=name, account=account, reason=call.asked.reason)
    return as_json(taken_back)


@ROUTES.add("GET /v1/response-times", "feed:read", Answer("How quickly", shape=ResponseTimes), Span)
async def response_times(call: Call[Span]) -> web.StreamResponse:
    """Answer reported, dispatched, en route, at scene: counts, median, 90th percentile."""
    asked: Any = call.asked
    seen = lambda each: call.feed.has_task(each.unit, each.agency)  # noqa: E731
    return as_json(await call.rooms.dispatch.response_times(asked.since, asked.until, asked.by, seen))
