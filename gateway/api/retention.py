"""Retention rules over HTTP: what is in force, what a change would do, a proposal, a second person's approval."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from gateway.api.problem import ProblemError
from gateway.api.routing import Answer, Call, Nothing, Routes, as_json
from gateway.api.work import Text, Why, Word, answered, desk_of
from gateway.evidence.work.comparison import Comparison
from gateway.evidence.work.retention import RuleDesk
from gateway.evidence.work.rules import Proposal
from gateway.evidence.work.terms import EVERYBODY, Decision, Rule

ROUTES = Routes()
SUPERVISE = "evidence:supervise"
Days = Annotated[int, msgspec.Meta(ge=0, le=73_000)]


class RuleWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule as somebody wants it; applies: to what is categorised already, too."""

    category: Word
    controller: Word = EVERYBODY
    title: Annotated[str, msgspec.Meta(max_length=200)] = ""
    days: Days | None = None
    review_days: Days | None = None
    required: Annotated[tuple[Word, ...], msgspec.Meta(max_length=50)] = ()
    applies: bool = False

    def rule(self) -> Rule:
        """As the desk takes it; the version is its to give."""
        return Rule(**msgspec.structs.asdict(self))


class RuleProposed(RuleWanted, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A rule, and why it should be so."""

    reason: Text

    def rule(self) -> Rule:
        """As the desk takes it."""
        return Rule(**{name: part for name, part in msgspec.structs.asdict(self).items() if name != "reason"})


class RuleTable(msgspec.Struct, frozen=True):
    """RuleTable in force, proposals, what a review can decide, and the days of grace."""

    rules: list[Rule]
    proposals: list[Proposal]
    decisions: list[Decision]
    grace_days: int
    v: int = 1


class RuleChange(msgspec.Struct, frozen=True):
    """A rule by name, and what it changes, or would change, of what is categorised already."""

    name: str
    rule: Rule
    in_force: bool
    would: Comparison
    v: int = 1


@ROUTES.add("GET /v1/retention/rules", "evidence:read", Answer("The rules", shape=RuleTable))
async def rules(call: Call[Nothing]) -> web.StreamResponse:
    """Answer every rule in force and every proposal."""
    desk, _ = desk_of(call)
    in_force, proposals = await RuleDesk(desk).rules()
    return as_json(RuleTable(in_force, proposals, list(desk.tables.decisions), desk.tables.grace_days))


@ROUTES.add("POST /v1/retention/rules/dry-run", SUPERVISE, Answer("What it would change", shape=RuleChange), RuleWanted)
async def dry_run(call: Call[RuleWanted]) -> web.StreamResponse:
    """Answer which exhibits a rule would move, and where to; nothing is changed and nothing is on record."""
    desk, _ = desk_of(call)
    with answered():
        rule, comparison = await RuleDesk(desk).compare(call.asked.rule())
    return as_json(RuleChange(rule.name, rule, in_force=False, would=comparison))


@ROUTES.add("PUT /v1/retention/rules", SUPERVISE, Answer("The proposal", shape=RuleChange, status=202), RuleProposed)
async def propose(call: Call[RuleProposed]) -> web.StreamResponse:
    """Put a rule on record as proposed; it waits for a second person."""
    desk, who = desk_of(call)
    with answered():
        proposal, comparison = await RuleDesk(desk).propose(who, call.asked.rule(), call.asked.reason)
    return as_json(RuleChange(proposal.rule.name, proposal.rule, in_force=False, would=comparison), status=202)


@ROUTES.add(
    "POST /v1/retention/rules/{category}/{version}/approve", SUPERVISE, Answer("The rule", shape=RuleChange), Why
)
async def approve(call: Call[Why]) -> web.StreamResponse:
    """Bring a proposal into force; whoever proposed it cannot."""
    (desk, who), version = desk_of(call), call.part("version")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise ProblemError(404, f"version {version!r} is no number")
    with answered():
        rule, comparison = await RuleDesk(desk).approve(who, call.part("category"), int(version), call.asked.reason)
    return as_json(RuleChange(rule.name, rule, in_force=True, would=comparison))
