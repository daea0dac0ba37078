"""Views of the feed and what each is told: of units, of records that name somebody, of the rows of the index. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import numpy as np

from gateway.domain.ids import DeviceId, Issi, UnitId
from gateway.feed import trimming
from gateway.feed.agreement import Agreement
from gateway.feed.board import Board
from gateway.feed.nearest import Mask
from gateway.feed.standing import Standing
from gateway.feed.urgent_lines import UrgentRecord
from gateway.feed.view import EVERYTHING, ORDINARY, WHOLE, Opened, Sight, View
from gateway.ports import Directory

Rows = Callable[[int], Mask]
NOTHING, SKILLS, MEMBERS = frozenset[str](), frozenset({"skills"}), frozenset({"members"})


class Names(msgspec.Struct):
    """Who is named in a record, as far as anybody is."""

    unit: str | None = None
    person: str | None = None
    last_held_by: str | None = None
    issi: int | None = None
    device: str | None = None


class _Rule(msgspec.Struct):
    agencies: tuple[str, ...] = ()


class Sharing:
    """Every agreement, and one view for each kind of consumer."""

    def __init__(self, board: Board, directory: Directory | None) -> None:
        self._board, self._directory = board, directory
        self.agreements: tuple[Agreement, ...] = ()
        self.opened: Opened = {}
        self._views: dict[tuple[str, bool], View] = {}

    def take_up(self, agreements: Iterable[Agreement]) -> None:
        """These are the agreements."""
        self.agreements = tuple(agreements)
        self._views.clear()

    def view(self, agency: str | None, *, masked: bool) -> View:
        """What a consumer of this agency (None: of none) sees; masked: it may see masked units."""
        if agency is None:
            return EVERYTHING if masked else ORDINARY
        known = self._views.get((agency, masked))
        if known is None:
            known = View(agency, masked=masked, agreements=self.agreements, opened=self.opened)
            self._views[agency, masked] = known
        return known

    def narrows(self, view: View) -> bool:
        """Whether there may be a unit that this view does not see."""
        return view.limited or (not view.masked and bool(self._board.masked))

    def hides(self, unit: str) -> bool:
        """Whether somebody may follow who does not see this unit."""
        standing = self._board.units.get(UnitId(unit))
        if standing is None or unit in self._board.masked:
            return True
        return any(not view.sees(standing) for view in self._views.values())

    # --- records

    def told(self, view: View, record: UrgentRecord) -> bytes | None:
        """A record as this view is told it; None where it is not. An emergency always is, if without a name."""
        if not self.narrows(view) or record.event == "removed":
            return record.payload
        if record.event == "coverage":
            rule = msgspec.json.decode(record.payload, type=_Rule)
            return record.payload if view.sees_all_units_of(rule.agencies) else None
        sight = self._sight_of(view, record)
        if sight is None:
            return trimming.nameless(record.payload) if record.event == "emergency" else None
        return trimming.record(record.payload, sight.without) if sight.without else record.payload

    def _sight_of(self, view: View, record: UrgentRecord) -> Sight | None:
        try:
            names = msgspec.json.decode(record.payload, type=Names)
            if record.event != "message" and names.unit is None:
                names.unit = record.unit
            return self.sight(view, names, unknown=record.event == "emergency")
        except Exception:  # noqa: BLE001 - who it is can't be found out: then nobody's name is told, and the alarm goes out
            return None

    def sight(self, view: View, names: Names, *, unknown: bool) -> Sight | None:
        """How whoever is named is seen; None where one of them is not.

        Whom nobody knows is seen by those whose view has no limits, by others only where `unknown` says so.
        """
        found = list(self._seen(view, names))
        if not found:
            return WHOLE if unknown or not view.limited else None
        if None in found:
            return None
        return Sight(frozenset().union(*(each.without for each in found if each is not None)))

    def _seen(self, view: View, names: Names) -> Iterator[Sight | None]:
        """Of each unit, person and radio named; a device (it goes from hand to hand) counts where nothing else does."""
        someone = False
        if names.unit is not None:
            standing = self._board.units.get(UnitId(names.unit))
            someone = True
            yield view.sight(standing) if standing is not None else (None if view.limited else WHOLE)
        for name in (names.person, names.last_held_by, self._wearer(names.issi)):
            if name is not None:
                someone = True
                yield self._person(view, name)
        if not someone and self._directory is not None:
            yield from self._things(view, names)

    def _wearer(self, issi: int | None) -> str | None:
        found = self._directory.person_by_issi(Issi(issi)) if issi is not None and self._directory is not None else None
        return None if found is None else found.id

    def _person(self, view: View, name: str) -> Sight | None:
        if self._directory is None:
            return None if view.limited else WHOLE
        unit, person = self._directory.unit_of(name), self._directory.person(name)
        standing = self._board.units.get(unit.id) if unit is not None else None
        if standing is not None:
            return view.sight(standing)
        if unit is not None and unit.masked and not view.masked:
            return None
        if person is None:
            return None if view.limited else WHOLE
        return WHOLE if view.sees_agency(person.agency) else None

    def _things(self, view: View, names: Names) -> Iterator[Sight | None]:
        assert self._directory is not None  # as `_seen` asks
        found = [self._directory.terminal(Issi(names.issi))] if names.issi is not None else []
        found += [self._directory.device(DeviceId(names.device))] if names.device is not None else []
        for device in found:
            if device is not None:
                yield WHOLE if view.sees_agency(device.agency) else None

    # --- units

    def shown(self, view: View, standing: Standing, feature: bytes) -> bytes:
        """A unit's Feature as this view sees it; it does see the unit."""
        sight = view.sight(standing) if view.limited else WHOLE
        if sight is None or sight.whole:
            return feature
        return trimming.feature(feature, sight.without, sight.shared_by)

    def standing(self, view: View, name: str) -> Standing | None:
        """A unit by its id, off duty or on; None for one that there is not as far as this view goes."""
        found = self._board.units.get(UnitId(name))
        return found if found is not None and view.sees(found) else None

    def rows(self, view: View, *, skill: bool = False) -> Rows | None:
        """Which rows of the index are seen; None: all. skill: it is asked who has one, so not of whom that is kept."""
        if not self.narrows(view):
            return None
        return lambda rows: self._rows(view, rows, SKILLS if skill else NOTHING)

    def _rows(self, view: View, rows: int, asked: frozenset[str]) -> Mask:
        index, units = self._board.index, self._board.units
        seen = np.ones(rows, np.bool_)
        if view.agency is not None:
            seen = index.chosen((view.agency,), (), (), (), rows)
            for each in view.always:
                if asked & frozenset(each.without):
                    continue
                seen |= index.chosen((each.owner,), each.role, each.power, each.zone, rows)
        named: Sequence[str] = [unit for agency, unit in view.opened if agency == view.agency]
        for name in (*named, *self._board.masked):
            if (standing := units.get(UnitId(name))) is not None and standing.row < rows:
                seen[standing.row] = self.offered(view, standing, asked)
        for name in index.parted:  # by what the whole unit is, not by what the one who is away has
            apart = list(units[name].apart.values())
            seen[apart] = self.offered(view, units[name], asked | MEMBERS)
        return seen

    def offered(self, view: View, standing: Standing, asked: frozenset[str]) -> bool:
        """Whether `nearest` may answer with this unit, where the answer tells these fields."""
        sight = view.sight(standing)
        return sight is not None and not (asked & sight.without)
