"""Who asked for the nearest unit, for what, and what was answered; looking at that is on record too."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
import structlog
from aiohttp import web

from gateway.api.evidence import seen
from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Routes, as_json
from gateway.api.shapes import WORDS, Moment
from gateway.domain.time import rfc3339
from gateway.feed.questions import Question, question, told
from gateway.feed.wanted import Ranking, Wanted

ROUTES = Routes()


class QuestionsOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Whose questions, or those that offered a unit; the last day where no span is given (to is exclusive).

    purpose: what it is wanted for, on record. after is the `next` of the page before.
    """

    purpose: Annotated[str, msgspec.Meta(pattern=WORDS, max_length=2000)]
    account: str | None = None
    unit: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    after: Annotated[int, msgspec.Meta(ge=0, le=2**53)] = 0


class QuestionPage(msgspec.Struct, frozen=True):
    """Questions, oldest first; next is the `after` of the next page."""

    questions: list[Question]
    next: int | None
    v: int = 1


def noted(call: Call[Wanted], ranking: Ranking) -> None:
    """Put a question and its answer on record."""
    if call.rooms.asking is not None:
        at, who = rfc3339(datetime.now(UTC)), call.who
        call.rooms.asking.note(question(at, who.account, who.person, call.asked, ranking))


@ROUTES.add("GET /v1/audit/nearest", "audit:read", Answer("Questions", shape=QuestionPage), QuestionsOf)
async def questions(call: Call[QuestionsOf]) -> web.StreamResponse:
    """Answer them by account, unit offered and span; a log line, and where there is a log one `browse` a sitting."""
    asked, asking = call.asked, call.rooms.asking
    if asking is None:
        raise ProblemError(404, "this instance keeps no record of questions")
    since, until = _span(asked)
    await _on_record(call, (rfc3339(since), rfc3339(until)))
    every = await asyncio.to_thread(asking.between, since, until)
    if call.feed.narrowed:
        every = [told(one, call.feed.may_hear_of) for one in every]
    found = [one for one in every if _fits(one, asked)]
    page = found[asked.after : asked.after + asked.limit]
    more = asked.after + len(page) < len(found)
    return as_json(QuestionPage(page, asked.after + len(page) if more else None))


def _span(asked: QuestionsOf) -> tuple[datetime, datetime]:
    try:
        until = (asked.until or datetime.now(UTC)).astimezone(UTC)
        since = (asked.since or until - timedelta(days=1)).astimezone(UTC)
    except OverflowError:
        raise ProblemError(422, "from, to: no time that a calendar knows") from None
    if since >= until:
        raise ProblemError(422, "to: lies before from")
    return since, until


def _fits(one: Question, asked: QuestionsOf) -> bool:
    if asked.account is not None and one.account != asked.account:
        return False
    return asked.unit is None or any(offer.unit == asked.unit for offer in one.offered)


async def _on_record(call: Call[QuestionsOf], span: tuple[str, str]) -> None:
    asked, who = call.asked, call.who
    facets = {"account": asked.account, "unit": asked.unit, "from": asked.since and span[0]}
    said = {name: part for name, part in {**facets, "to": asked.until and span[1]}.items() if part is not None}
    structlog.get_logger().info(
        "questions_shown", account=who.account, person=who.person, purpose=asked.purpose, facets=said
    )
    if call.rooms.evidence is not None:
        detail: dict[str, object] = {"what": "nearest", "purpose": asked.purpose, "facets": said}
        await seen(call, "browse", f"nearest {asked.purpose} {sorted(said.items())}", None, detail)
