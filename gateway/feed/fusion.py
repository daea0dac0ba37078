"""Several devices of one person: whether they can all be right, and from which one the unit's position comes.

Two fixes of one person contradict one another where nobody of the unit's class gets from one to the other in the
time between them, accuracies allowed for: the device was left in the car, lent, or is wrong. Both positions are
shown; which one is right only people can say. Pure: time is the fixes' own.
"""

from __future__ import annotations

from gateway.domain.people import UnitKind
from gateway.domain.position import Fix
from gateway.feed.gate import LIMIT_MPS, allowance_m, distance_m
from gateway.feed.standing import Sighting, SourceChange, Standing
from gateway.feed.wording import time_text

CONFLICT = "source_conflict"
CLOSE_M = 100.0
"""Nearer than this two devices of one person do not disagree, whatever accuracy they claim."""


class Fusion:
    """Compares each new sighting with what the person's other devices say. `conflict_s`: so long before it is said."""

    def __init__(self, conflict_s: float) -> None:
        self._conflict_s = conflict_s
        self.changes = 0
        self.conflicts = 0

    def compare(self, standing: Standing, fresh: Sighting, now_mono_s: float) -> None:
        """This device of the unit has a new position: see whether it is where the person's other devices are."""
        person = standing.devices.get(fresh.device)
        if person is None:
            return
        others = [
            each
            for device, each in standing.sightings.items()
            if each is not fresh and standing.devices.get(device) == person and _speaks(each, now_mono_s)
        ]
        kind = standing.roll.unit.kind
        if any(contradict(fresh, each, kind) for each in others):
            since_s = standing.apart_since.setdefault(person, fresh.fix_s)
            if fresh.fix_s - since_s >= self._conflict_s:
                self._flag(standing, person)
        elif all(agree(fresh.fix, each.fix) for each in others):
            standing.agree_on(person)

    def _flag(self, standing: Standing, person: str) -> None:
        if person not in standing.conflicts:
            standing.conflicts.add(person)
            self.conflicts += 1

    def changed(self, standing: Standing, sighting: Sighting) -> None:
        """The unit's position comes from another device from now on."""
        former = standing.live
        if former is not None and former.device != sighting.device:
            self.changes += 1
            standing.change = SourceChange(time_text(sighting.fix_s), former.source, former.device, sighting.device)

    def stats(self) -> dict[str, int]:
        """Plain counters."""
        return {"source_changes": self.changes, "source_conflicts": self.conflicts}


def _speaks(sighting: Sighting, now_mono_s: float) -> bool:
    return sighting.age_s(now_mono_s) <= sighting.pace.ageing_s


def agree(a: Fix, b: Fix) -> bool:
    """Whether two positions are one place, as far as they can tell."""
    return distance_m(a, b) <= max(CLOSE_M, allowance_m(a) + allowance_m(b))


def contradict(a: Sighting, b: Sighting, kind: UnitKind) -> bool:
    """Whether nobody of this class could have been at both, each at its time."""
    way_m = LIMIT_MPS[kind] * abs(a.fix_s - b.fix_s)
    return distance_m(a.fix, b.fix) > max(CLOSE_M, allowance_m(a.fix) + allowance_m(b.fix)) + way_m
