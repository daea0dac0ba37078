"""Whether a unit's radios can be reached, by what each of them said or did last. Pure.

A unit of several radios is reached by the best of them. What a radio says of itself stands until it is heard
again in a later frame: the position that comes in the same report as "service lost" does not undo it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from gateway.domain.events import Origin, Reach, ReachReport
from gateway.domain.ids import UnitId
from gateway.domain.time import Instant, from_rfc3339
from gateway.feed.board import Board
from gateway.feed.standing import Standing
from gateway.ports import Resolved

BEST_FIRST: tuple[Reach, ...] = ("ok", "low_battery", "dmo", "no_service", "off", "unknown")
RADIOS_KEPT = 100_000


class Contact(msgspec.Struct, eq=False):
    """One radio: whose it was, how it is; said_s is when it last spoke of its reach (monotonic), heard_s is UTC."""

    unit: UnitId | None
    reach: Reach
    said_s: float
    heard_s: float


class ReachRecord(msgspec.Struct, frozen=True):
    """The last word on one radio, as the urgent log has it."""

    v: int
    seq: int
    issi: int
    unit: str | None
    reach: Reach
    heard_at: str


Noted = Callable[[int, Contact | None], None]
"""Told of each radio that is otherwise than before; None for one forgotten."""


def _nobody(_issi: int, _contact: Contact | None) -> None:
    """Nobody writes it down."""


def best(contacts: Iterable[Contact]) -> Reach:
    """The reach of a unit with these radios."""
    return min((one.reach for one in contacts), key=BEST_FIRST.index, default="unknown")


class Contacts:
    """Every radio that was heard, by its ISSI."""

    def __init__(self, board: Board, noted: Noted = _nobody) -> None:
        self._board, self._noted = board, noted
        self._radios: dict[int, Contact] = {}
        self._of_unit: dict[UnitId, dict[int, Contact]] = {}

    def said(self, report: ReachReport, who: Resolved) -> list[Standing]:
        """A radio says how it is; the units that changed by it in a way that must be told at once."""
        issi = report.origin.issi if report.origin.issi is not None else who.issi
        arrived = report.stamp.arrived
        known = self._radios.get(issi) if issi is not None else None
        if issi is None or (known is not None and arrived.mono_s < known.said_s):
            return []
        return self._take(issi, Contact(who.unit, report.reach, arrived.mono_s, arrived.utc.timestamp()))

    def heard(self, origin: Origin, arrived: Instant, who: Resolved) -> list[Standing]:
        """A radio was heard, so it is in reach; a beacon's word (no ISSI) says nothing of a radio."""
        if origin.issi is None:
            return []
        known, heard_s = self._radios.get(origin.issi), arrived.utc.timestamp()
        if known is None:
            return self._take(origin.issi, Contact(who.unit, "ok", float("-inf"), heard_s))
        known.heard_s = heard_s
        reach: Reach = known.reach if arrived.mono_s <= known.said_s else "ok"
        if (known.unit, known.reach) == (who.unit, reach):
            return []
        return self._take(origin.issi, Contact(who.unit, reach, known.said_s, heard_s))

    def restore(self, record: ReachRecord) -> None:
        """Take up what was known before a restart; whatever is heard from now on is later."""
        unit = None if record.unit is None else UnitId(record.unit)
        heard_s = from_rfc3339(record.heard_at).timestamp()
        self._put(record.issi, Contact(unit, record.reach, float("-inf"), heard_s))

    def _take(self, issi: int, contact: Contact) -> list[Standing]:
        known = self._radios.get(issi)
        changed = self._put(issi, contact)
        same_unit = known is None or known.unit == contact.unit
        if contact.reach != ("ok" if known is None else known.reach) or not (same_unit or contact.reach == "ok"):
            self._noted(issi, contact)
        return changed

    def _put(self, issi: int, contact: Contact) -> list[Standing]:
        known = self._radios.pop(issi, None)
        units = {contact.unit} if known is None else {contact.unit, known.unit}
        if known is not None and known.unit is not None:
            self._of_unit[known.unit].pop(issi, None)
        self._radios[issi] = contact
        if contact.unit is not None:
            self._of_unit.setdefault(contact.unit, {})[issi] = contact
        self._bound()
        return [standing for name in units if name is not None and (standing := self._settle(name)) is not None]

    def _bound(self) -> None:
        """An ISSI is whatever somebody sends: the one longest unchanged is forgotten."""
        while len(self._radios) > RADIOS_KEPT:
            issi = next(iter(self._radios))
            gone = self._radios.pop(issi)
            self._noted(issi, None)
            if gone.unit is not None:
                self._of_unit.get(gone.unit, {}).pop(issi, None)

    def _settle(self, name: UnitId) -> Standing | None:
        """Show a unit's reach; give it back where that is news: that a radio works was to be expected."""
        standing = self._board.units.get(name)
        reach = best(self._of_unit.get(name, {}).values())
        if standing is None or standing.reach == reach:
            return None
        before, standing.reach = standing.reach, reach
        self._board.touch(standing)
        return None if (before, reach) == ("unknown", "ok") else standing

    def of(self, unit: str) -> Reach:
        """How a unit can be reached; unknown for one never heard by radio."""
        return best(self._of_unit.get(UnitId(unit), {}).values())

    def radios(self) -> dict[int, Contact]:
        """Every radio by its ISSI."""
        return self._radios
