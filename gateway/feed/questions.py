"""Who asked for the nearest unit, for what, and what was answered: a record of each question. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway.feed.sharing import MEMBERS, NOTHING, SKILLS
from gateway.feed.wanted import Ranking, Wanted


class Offer(msgspec.Struct, frozen=True):
    """One unit that was offered, in the order of the answer."""

    unit: str
    distance_m: float
    eta_s: float
    age_s: float
    why: tuple[str, ...]
    person: str | None = None


class Question(msgspec.Struct, frozen=True):
    """One question and its answer; `asked` has what was said, left out what was not.

    considered: None, and nothing rejected, for who may not see every unit: they were counted by who saw others.
    """

    at: str
    account: str
    person: str | None
    asked: dict[str, Any]
    offered: tuple[Offer, ...]
    considered: int | None
    rejected: dict[str, int]
    v: int = 1


def told(one: Question, seen: Callable[[str, frozenset[str]], bool]) -> Question:
    """It as somebody is told it who may not hear of every unit, or not of these fields of it."""
    excluded = tuple(unit for unit in one.asked.get("exclude", ()) if seen(unit, NOTHING))
    asked = {**one.asked, "exclude": excluded} if "exclude" in one.asked else one.asked
    skills = SKILLS if one.asked.get("skill") else NOTHING
    found = ((offer, skills if offer.person is None else skills | MEMBERS) for offer in one.offered)
    offered = tuple(offer for offer, fields in found if seen(offer.unit, fields))
    return msgspec.structs.replace(one, asked=asked, offered=offered, considered=None, rejected={})


def question(at: str, account: str, person: str | None, wanted: Wanted, ranking: Ranking) -> Question:
    """A record of it."""
    default = Wanted(lat=0.0, lon=0.0)
    said = {name: part for name, part in msgspec.structs.asdict(wanted).items() if part != getattr(default, name)}
    asked = {**said, "lat": wanted.lat, "lon": wanted.lon, "limit": wanted.limit}
    offered = tuple(
        Offer(one.unit, one.distance_m, one.eta_s, one.age_s, one.why, one.person) for one in ranking.results
    )
    return Question(at, account, person, asked, offered, ranking.considered, ranking.rejected)
