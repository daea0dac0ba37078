"""What people do with an exhibit, as custody acts: each is checked against the exhibit as it stands. Pure."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Any, Literal

import msgspec

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.evidence.rows import Exhibit
from gateway.evidence.work.holds import incident_ref
from gateway.evidence.work.refusals import ConflictError, UnfitError
from gateway.evidence.work.rules import Worker
from gateway.evidence.work.terms import Dates, Decision, Rule, applied, rule_name

Amendable = Literal["started_at", "ended_at", "name", "holder", "exhibit_ref", "incident", "controller"]
_TIMES = ("started_at", "ended_at")
_MAY_BE_NULL = ("holder", "exhibit_ref", "incident")


class Categorisation(msgspec.Struct, frozen=True, kw_only=True):
    """A category, and what its rule asks for; fields are those that have no place of their own."""

    category: str
    exhibit_ref: str | None = None
    incident: str | None = None
    reference: str | None = None
    note: str | None = None
    fields: dict[str, str] = msgspec.field(default_factory=dict)


class Amendment(msgspec.Struct, frozen=True, kw_only=True):
    """A correction; what was there stays on record."""

    field: Amendable
    now: str | None
    reason: str


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What a review decided; since is the date that its periods run from (a verdict, a release), else today."""

    decision: str
    reason: str
    since: date | None = None


class Transfer(msgspec.Struct, frozen=True, kw_only=True):
    """To whom an exhibit goes (or is told), by what right and for what; controller where it becomes theirs."""

    recipient: str
    legal_gateway: str
    purpose: str
    how: str | None = None
    controller: str | None = None
    disclosed: bool = False


def workable(row: Exhibit) -> None:
    """ConflictError where an exhibit is past work, or not yet there for it."""
    if row.disposed_at is not None:
        raise ConflictError(f"{row.id} was disposed of")
    if row.shredded_at is not None:
        raise ConflictError(f"the key of {row.id} was destroyed")
    if row.sealed_at is None:
        raise ConflictError(f"{row.id} is not sealed yet")


def categorised(row: Exhibit, who: Worker, said: Categorisation, rule: Rule, dates: Dates) -> Act:
    """The act that categorises; UnfitError where the rule asks for more."""
    said = msgspec.structs.replace(said, incident=None if said.incident is None else incident_ref(said.incident))
    given: dict[str, Any] = {name: text for name, text in msgspec.structs.asdict(said).items() if name != "fields"}
    have = {**said.fields, **given, "exhibit_ref": said.exhibit_ref or row.exhibit_ref}
    have["incident"] = said.incident or row.incident
    missing = [name for name in rule.required if not str(have.get(name) or "").strip()]
    if missing:
        raise UnfitError(f"{missing[0]}: is required for {rule.category} ({', '.join(rule.required)})")
    name = rule_name(row.controller or "", rule.category, rule.version)
    facts = {"category": rule.category, "rule": name, **dates.facts()}
    detail = {name: text for name, text in given.items() if name != "category" and text is not None}
    if said.fields:
        detail["fields"] = dict(said.fields)
    return Act("categorise", who.account, ExhibitId(row.id), facts, detail)


def annotated(row: Exhibit, who: Worker, text: str, at_s: float | None) -> Act:
    """The act that adds a note, at a position in the recording where it is about one."""
    written("text", text)
    if at_s is not None and not (math.isfinite(at_s) and 0 <= at_s <= (row.duration_s or math.inf) + 1):
        raise UnfitError(f"at_s: {at_s} is not within the recording")
    return Act("annotate", who.account, ExhibitId(row.id), detail={"text": text, "at_s": at_s})


def amended(row: Exhibit, who: Worker, said: Amendment) -> Act:
    """The act that corrects a field and keeps what it was."""
    written("reason", said.reason)
    was, now = _plain(getattr(row, said.field)), _wanted(row, said)
    if was == now:
        raise UnfitError(f"now: {said.field} is {now!r} already")
    detail = {"field": said.field, "was": was, "now": now, "reason": said.reason, said.field: now}
    return Act("amend", who.account, ExhibitId(row.id), detail=detail)


def hold_placed(row: Exhibit, who: Worker, hold: str, why: dict[str, Any]) -> Act:
    """The act that holds one exhibit."""
    written("reason", why.get("reason"))
    return Act("hold", who.account, ExhibitId(row.id), {"hold": hold}, why)


def hold_released(row: Exhibit, who: Worker, hold: str, reason: str) -> Act:
    """The act that ends one hold."""
    written("reason", reason)
    if hold not in row.holds:
        raise ConflictError(f"{row.id} has no hold {hold!r}")
    return Act("release", who.account, ExhibitId(row.id), {"hold": hold}, {"reason": reason})


def reviewed(row: Exhibit, who: Worker, said: Review, decision: Decision, dates: Dates) -> Act:
    """The act that records a review and what it decided."""
    written("reason", said.reason)
    under = applied(row)
    if under is None or row.category is None:
        raise ConflictError(f"{row.id} is under no rule that could be reviewed: categorise it")
    name = rule_name(under.controller, under.category, under.version, decision.name)
    facts = {"decision": decision.name, "rule": name, **dates.facts()}
    detail = {"reason": said.reason, "reviewer": who.person or who.account, "since": _plain(said.since)}
    return Act("review", who.account, ExhibitId(row.id), facts, detail)


def transferred(row: Exhibit, who: Worker, said: Transfer) -> Act:
    """The act that says to whom an exhibit went, or what of it was told."""
    for name in ("recipient", "legal_gateway", "purpose"):
        written(name, getattr(said, name))
    facts: dict[str, Any] = {}
    if said.controller is not None:
        if said.disclosed:
            raise UnfitError("controller: a disclosure changes no controller")
        written("controller", said.controller)
        facts = {"controller": said.controller}
    words = {name: getattr(said, name) for name in ("recipient", "legal_gateway", "purpose", "how")}
    return Act("disclose" if said.disclosed else "transfer", who.account, ExhibitId(row.id), facts, words)


def reruled(row: Exhibit, rule: Rule, dates: Dates) -> Act:
    """The act that brings an exhibit under a newer version of its rule."""
    name = rule_name(row.controller or "", rule.category, rule.version)
    was = {"rule": row.rule, "due": row.due, "review_due": row.review_due}
    detail = {"reason": f"{rule.name} applies to what is categorised already", "was": was}
    return Act("rule_change", "system", ExhibitId(row.id), {"rule": name, **dates.facts()}, detail)


def written(field: str, text: object) -> None:
    """UnfitError where a text says nothing."""
    if not isinstance(text, str) or not text.strip():
        raise UnfitError(f"{field}: says nothing")


def _wanted(row: Exhibit, said: Amendment) -> str | None:
    if said.now is None:
        if said.field not in _MAY_BE_NULL:
            raise UnfitError(f"now: {said.field} cannot be nothing")
        return None
    written("now", said.now)
    if said.field == "incident":
        return incident_ref(said.now)
    return rfc3339(_moment(row, said.field, said.now)) if said.field in _TIMES else said.now


def _moment(row: Exhibit, field: str, text: str) -> datetime:
    try:
        moment = from_rfc3339(text)
    except (ValueError, OverflowError) as wrong:
        raise UnfitError(f"now: {text!r} is not a time (2026-11-21T21:05:00Z)") from wrong
    begun, ended = (moment, row.ended_at) if field == "started_at" else (row.started_at, moment)
    if begun is not None and ended is not None and ended < begun:
        raise UnfitError(f"now: {text!r} would end the recording before it began")
    return moment


def _plain(value: object) -> Any:  # noqa: ANN401 - as JSON says it
    if isinstance(value, datetime):
        return rfc3339(value)
    return value.isoformat() if isinstance(value, date) else value
