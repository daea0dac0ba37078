"""Holds by incident: one act that holds whatever bears the incident's reference, now and later. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.rows import Exhibit


class IncidentHold(msgspec.Struct, frozen=True):
    """A hold on an incident; until is when somebody has to look at it again."""

    hold: str
    incident: str
    reason: str
    reference: str | None = None
    until: str | None = None
    by: str | None = None
    stands: bool = True


class ExhibitHold(msgspec.Struct, frozen=True):
    """A hold that stands on one exhibit; reason is null where the detail was erased."""

    hold: str
    exhibit: str
    reason: str | None = None
    reference: str | None = None
    until: str | None = None
    by: str | None = None


class HoldBook:
    """The incident holds as `hold` and `release` entries without an exhibit leave them."""

    def __init__(self) -> None:
        self.all: dict[str, IncidentHold] = {}

    def take(self, facts: dict[str, Any], detail: dict[str, Any] | None) -> None:
        """Fold in one entry; one whose detail cannot be read holds nothing more, and releases what it names."""
        name = str(facts.get("hold", ""))
        if facts["kind"] == "release":
            if name in self.all:
                self.all[name] = msgspec.structs.replace(self.all[name], stands=False)
        elif detail is not None and isinstance(detail.get("incident"), str):
            words = (str(detail.get("reason", "")), detail.get("reference"), detail.get("until"), detail.get("actor"))
            self.all[name] = IncidentHold(name, detail["incident"], *words)

    def standing(self, incident: str | None) -> list[IncidentHold]:
        """Those that hold what bears this reference."""
        return [each for each in self.all.values() if each.stands and each.incident == incident]

    def ended(self, row: Exhibit) -> list[str]:
        """Incident holds on an exhibit that were released as a whole."""
        return [name for name in row.holds if name in self.all and not self.all[name].stands]

    def missing(self, exhibit: str, incident: str | None, have: tuple[str, ...]) -> list[Act]:
        """What an exhibit with this reference still lacks."""
        return [held(exhibit, each, "system") for each in self.standing(incident) if each.hold not in have]


def incident_ref(text: str) -> str:
    """An incident's reference in the one form that is compared."""
    return " ".join(text.split()).upper()


def ended(exhibit: str, hold: str) -> Act:
    """The end of a hold on one exhibit, where its incident was released and this was left over."""
    detail = {"reason": "the hold of its incident was released"}
    return Act("release", "system", ExhibitId(exhibit), {"hold": hold}, detail)


def held(exhibit: str, hold: IncidentHold, actor: str) -> Act:
    """The hold of one exhibit by its incident; what comes later is held by the system, for whoever placed it."""
    why = {"reason": hold.reason, "reference": hold.reference, "until": hold.until}
    detail = {**why, "by_incident": hold.incident, "placed_by": hold.by}
    return Act("hold", actor, ExhibitId(exhibit), {"hold": hold.hold}, detail)
