"""What a group of consumers may see of the feed: every outlet asks here, and nowhere else. Pure.

A consumer of an agency sees that agency's units whole, and of others what `[[sharing]]` says; one without an
agency sees them all. Masked (covert) units are seen only where the permission says so, and never of another agency.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from gateway.domain.ids import UnitId
from gateway.feed.agreement import Agreement
from gateway.feed.standing import Standing


class Sight(msgspec.Struct, frozen=True):
    """How a unit is seen: which fields are left out, and by which emergency it is seen at all."""

    without: frozenset[str] = frozenset()
    shared_by: str | None = None

    @property
    def whole(self) -> bool:
        """Whether nothing is left out or added."""
        return not self.without and self.shared_by is None


WHOLE = Sight()
Opened = dict[tuple[str, UnitId], Sight]
"""What open emergencies show besides: by the consumer's agency and the unit."""


class View:
    """One view of the feed. There is one object for each (see `Sharing.view`), so that it can name a group."""

    def __init__(
        self,
        agency: str | None,
        *,
        masked: bool,
        agreements: Iterable[Agreement] = (),
        opened: Opened | None = None,
    ) -> None:
        self.agency, self.masked = agency, masked
        mine = tuple(each for each in agreements if each.consumer == agency)
        self.always = tuple(each for each in mine if each.when == "always")
        self.opened: Opened = {} if opened is None else opened

    @property
    def limited(self) -> bool:
        """Whether it is an agency's."""
        return self.agency is not None

    def sees(self, standing: Standing) -> bool:
        """Whether a unit is seen as it stands."""
        if self.agency is None:
            return self.masked or not standing.roll.unit.masked
        return self.sight(standing) is not None

    def sight(self, standing: Standing) -> Sight | None:
        """How a unit is seen; None where it is not. Where several agreements cover it, what all of them leave out."""
        unit = standing.roll.unit
        if unit.masked and not (self.masked and self.agency in (None, unit.agency)):
            return None
        if self.agency in (None, unit.agency):
            return WHOLE
        found = [frozenset(each.without) for each in self.always if each.covers(standing)]
        if found:
            return Sight(frozenset.intersection(*found))
        return self.opened.get((self.agency, standing.id))

    def sees_agency(self, agency: str) -> bool:
        """Whether all of an agency's people and things are seen, in a unit or not."""
        return self.agency in (None, agency)

    def sees_all_units_of(self, agencies: Iterable[str]) -> bool:
        """Whether every unit of these agencies is seen: only then is it told that there is none."""
        if self.agency is None:
            return True
        whole = {each.owner for each in self.always if each.whole}
        named = tuple(agencies)
        return bool(named) and all(name == self.agency or name in whole for name in named)

    def sees_past(self, standing: Standing, what: Literal["tracks", "tasks"]) -> bool:
        """Whether a unit's tracks or tasks are seen: of another agency's only where an agreement says so."""
        if not self.sees(standing):
            return False
        if self.sees_agency(standing.roll.unit.agency):
            return True
        return any(getattr(each, what) and each.covers(standing) for each in self.always)


ORDINARY = View(None, masked=False)
EVERYTHING = View(None, masked=True)
