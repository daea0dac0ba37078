"""The audit over HTTP: who did what, when, to which exhibit, why. Asking is itself on record, with its purpose."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from gateway.api.evidence import seen
from gateway.api.rooms import evidence_of
from gateway.api.routing import Answer, Call, Routes, as_json
from gateway.api.shapes import WORDS, Moment
from gateway.evidence.rows import ActFilter
from gateway.evidence.work.audit import Audit
from gateway.evidence.work.verbs import AuditedAct

ROUTES = Routes()
Verb = Literal["collection", "alteration", "consultation", "disclosure", "combination", "erasure", "other"]


class AuditOf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"since": "from", "until": "to"}):
    """Which acts, and what they are wanted for; to is exclusive; after is the index of the last of the page before."""

    purpose: Annotated[str, msgspec.Meta(max_length=2000, pattern=WORDS)]
    kind: tuple[str, ...] = ()
    verb: tuple[Verb, ...] = ()
    actor: str | None = None
    exhibit: str | None = None
    since: Moment | None = None
    until: Moment | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    after: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class AuditPage(msgspec.Struct, frozen=True):
    """Acts, oldest first; next is the `after` of the next page."""

    acts: list[AuditedAct]
    next: int | None
    v: int = 1


@ROUTES.add("GET /v1/audit", "audit:read", Answer("Acts", shape=AuditPage), AuditOf)
async def audit(call: Call[AuditOf]) -> web.StreamResponse:
    """Answer acts by kind, verb, actor, exhibit and span; one `browse` entry a sitting, purpose and question."""
    asked, room = call.asked, evidence_of(call.rooms)
    said = {name: part for name, part in _question(asked).items() if part not in (None, [])}
    detail: dict[str, object] = {"what": "audit", "purpose": asked.purpose, "facets": said}
    await seen(call, "browse", f"audit {asked.purpose} {sorted(said.items())}", None, detail)
    wanted = ActFilter(
        kinds=asked.kind or None, actor=asked.actor, exhibit=asked.exhibit, since=asked.since, until=asked.until
    )
    reader = Audit(room.custody, room.catalogue)
    found, after = await asyncio.to_thread(reader.acts, wanted, asked.verb, asked.limit, asked.after)
    return as_json(AuditPage(found, after))


def _question(asked: AuditOf) -> dict[str, Any]:
    whole: dict[str, Any] = msgspec.to_builtins(asked)
    return {name: part for name, part in whole.items() if name not in ("purpose", "limit", "after")}
