"""Members of a unit where each of them is: who is with it, who is too far off for their powers to count.

The unit is where its position says. A member whose own position is within `member_m` of it is with the unit, and so
is one who has none (none yet, or lost). One farther off is not: the unit's powers are without theirs, and they are
a point of their own in `nearest`. Two positions are of different moments: what somebody on the way can have covered
between them says nothing, and leaves things as they were. Pure: time is an argument. A unit of one costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.domain.ids import UnitId
from gateway.domain.people import Person
from gateway.domain.position import Fix
from gateway.feed.gate import distance_m
from gateway.feed.nearest import Index
from gateway.feed.roll import alone, without
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import Sighting, Standing
from gateway.ports import Directory

NOBODY: frozenset[str] = frozenset()


def own_sighting(standing: Standing, person: str, now_mono_s: float | None = None) -> Sighting | None:
    """Where this member's own devices say that they are; None where none does, or (given a time) not for long."""
    theirs = [
        each
        for device, each in standing.sightings.items()
        if standing.devices.get(device) == person
        and (now_mono_s is None or each.age_s(now_mono_s) <= each.pace.stale_s)
    ]
    live = standing.live
    return live if live in theirs else max(theirs, key=lambda each: each.fix_s, default=None)


class Members:
    """Keeps rolls and the index in step with where members are. `moved` is told of a unit whose feature changed."""

    def __init__(self, settings: FeedSettings, index: Index, moved: Callable[[Standing], None]) -> None:
        self._settings, self._index, self._moved = settings, index, moved
        self._due: dict[int, list[UnitId]] = {}
        self._waiting: set[UnitId] = set()

    # --- where they are

    def look(self, standing: Standing, now_mono_s: float) -> None:
        """A position of a unit of several has changed."""
        standing.members_json = None
        own = self._own(standing, now_mono_s)
        away = frozenset(name for name, mine in own.items() if self._away(standing, name, mine))
        if away != standing.roll.away:
            self._split(standing, away)
        for name in away:
            self._index.move(standing.apart[name], own[name])
        if own:
            self._wait(standing, own.values())

    def _own(self, standing: Standing, now_mono_s: float) -> dict[str, Sighting]:
        """Each member's own position, where it is another than the unit's."""
        if standing.live is None:
            return {}
        found = {each.id: own_sighting(standing, each.id, now_mono_s) for each in standing.roll.persons}
        return {
            name: mine
            for name, mine in found.items()
            if mine is not None and mine is not standing.live and name not in standing.off
        }

    def _away(self, standing: Standing, name: str, mine: Sighting) -> bool:
        live = standing.live
        assert live is not None
        way_m, limit_m = distance_m(mine.fix, live.fix), self._settings.member_m
        if way_m <= limit_m:
            return False
        told = (each.accuracy_m or 0.0 for each in (mine.fix, live.fix))
        speed_mps = self._speed(standing, mine.fix, live.fix)
        sure = way_m - speed_mps * abs(mine.fix_s - live.fix_s) > limit_m and max(told) < way_m
        return sure or name in standing.roll.away

    def _speed(self, standing: Standing, *fixes: Fix) -> float:
        known = [fix.speed_mps for fix in fixes if fix.speed_mps is not None]
        return max(known) if known else self._settings.speed_mps(standing.roll.unit.kind)

    def _split(self, standing: Standing, away: frozenset[str]) -> None:
        roll = standing.roll = without(standing.roll, away=away)
        standing.roll_json = None
        self._index.enrol(standing.row, roll)
        for name in [name for name in standing.apart if name not in away]:
            self._index.drop(standing.apart.pop(name))
        for person in roll.persons:
            if person.id in away:
                self._enter(standing, person)

    def _enter(self, standing: Standing, person: Person) -> None:
        row = standing.apart.get(person.id)
        if row is None:
            row = standing.apart[person.id] = self._index.add(standing.id, person.id)
        self._index.enrol(row, alone(standing.roll, person))
        self._index.rank(row, standing)

    def rank(self, standing: Standing) -> None:
        """The unit's duty has changed, and with it theirs; off the feed nobody is anywhere."""
        if not standing.on_feed or standing.live is None:
            self.together(standing)
        for row in standing.apart.values():
            self._index.rank(row, standing)

    def together(self, standing: Standing) -> None:
        """Nobody is known to be away any more."""
        if standing.roll.away:
            self._split(standing, NOBODY)

    def stays(self, standing: Standing, fresh: Sighting, live: Sighting, now_mono_s: float) -> bool:
        """Whether the unit stays where it is: one member's device must not carry it off while another's speaks."""
        if standing.devices.get(fresh.device) == standing.devices.get(live.device):
            return False
        far = distance_m(fresh.fix, live.fix) > self._settings.member_m
        return far and live.age_s(now_mono_s) <= live.pace.hold_s

    # --- age

    def _wait(self, standing: Standing, own: Iterable[Sighting]) -> None:
        """Look again when one of their positions is lost."""
        if standing.id not in self._waiting:
            self._waiting.add(standing.id)
            at_s = int(min(each.fix_mono_s + each.pace.stale_s for each in own)) + 1
            self._due.setdefault(at_s, []).append(standing.id)

    def age(self, units: dict[UnitId, Standing], now_mono_s: float) -> None:
        """Look at each unit of which a member's position may be lost by now."""
        for second in [second for second in self._due if second <= now_mono_s]:
            for name in self._due.pop(second):
                self._waiting.discard(name)
                if (standing := units.get(name)) is not None and standing.live is not None:
                    self.look(standing, now_mono_s)
                    self._moved(standing)

    # --- who they are

    def book_off(self, standing: Standing, person: str, at_s: float) -> bool:
        """One of several goes off duty; False where nobody would be left, or it is nobody of theirs."""
        left = {each.id for each in standing.roll.persons} - set(standing.off)
        if person not in left or len(left) < 2:
            return False
        self._set_off(standing, {**standing.off, person: at_s})
        return True

    def book_on(self, standing: Standing, person: str | None, at_s: float) -> bool:
        """Whether they had booked off and are back."""
        if person is None or person not in standing.off:
            return False
        standing.back[person] = at_s
        self._set_off(standing, {name: off_s for name, off_s in standing.off.items() if name != person})
        return True

    def all_on(self, standing: Standing) -> None:
        """The unit as a whole came or went."""
        if standing.off:
            self._set_off(standing, {})

    def _set_off(self, standing: Standing, off: dict[str, float]) -> None:
        standing.off = off
        standing.roll = without(standing.roll, off=frozenset(off))
        standing.roll_json = standing.members_json = None
        self._index.enrol(standing.row, standing.roll)
        self._moved(standing)

    def strangers(self, standing: Standing, directory: Directory) -> dict[str, UnitId | None]:
        """Devices of those who are no member any more, and the unit that each of them is with now."""
        members = standing.roll.unit.members
        gone = {device: person for device, person in standing.devices.items() if person and person not in members}
        units = {device: directory.unit_of(person) for device, person in gone.items()}
        return {device: unit.id if unit is not None else None for device, unit in units.items()}
