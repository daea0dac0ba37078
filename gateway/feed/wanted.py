"""The question for the nearest unit, and its answer."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gateway.domain.ids import UnitId


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place (degrees) and who would do: every power and skill, and any one of the duties, agencies and roles.

    A power that is granted for an area must hold at the place.
    """

    lat: Annotated[float, msgspec.Meta(ge=-90, le=90)]
    lon: Annotated[float, msgspec.Meta(ge=-180, le=180)]
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 5
    power: tuple[str, ...] = ()
    duty: tuple[str, ...] = ()
    agency: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    max_age_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    exclude: tuple[str, ...] = ()
    zone: tuple[str, ...] = ()
    skill: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """One unit that could go, and why it is offered; the bearing is from the place asked for to the unit.

    person: it is this member alone, who is away from the unit.
    """

    unit: UnitId
    distance_m: float
    bearing_deg: float
    eta_s: float
    eta_basis: str
    age_s: float
    why: tuple[str, ...]
    person: str | None = None


class Ranking(msgspec.Struct, frozen=True):
    """Units, and members away from theirs, ranked; how many were looked at, and how many fell out for which reason."""

    results: tuple[Candidate, ...]
    considered: int
    rejected: dict[str, int]
