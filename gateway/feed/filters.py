"""What a consumer wants to see. Pure."""

from __future__ import annotations

import msgspec

from gateway.feed.duty import code_of
from gateway.feed.standing import Standing
from gateway.feed.view import ORDINARY, View


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Any of the agencies, roles, duties and zones; every power; inside bbox (west, south, east, north); not older.

    All of it among what the consumer may see at all (`view`).
    """

    agency: tuple[str, ...] = ()
    role: tuple[str, ...] = ()
    power: tuple[str, ...] = ()
    duty: tuple[str, ...] = ()
    bbox: tuple[float, float, float, float] | None = None
    max_age_s: float | None = None
    zone: tuple[str, ...] = ()
    view: View = ORDINARY

    @property
    def all_in_view(self) -> bool:
        """Whether whatever may be seen is wanted."""
        return msgspec.structs.replace(self, view=ORDINARY) == ALL

    def match(self, standing: Standing, now_mono_s: float) -> bool:
        """Whether a unit is wanted as it stands."""
        roll = standing.roll
        return (
            (not self.agency or roll.unit.agency in self.agency)
            and (not self.role or roll.role in self.role)
            and all(power in roll.powers for power in self.power)
            and (not self.duty or self._on(standing))
            and (not self.zone or any(zone in self.zone for zone in standing.zones or ()))
            and self._in_place(standing, now_mono_s)
            and self.view.sees(standing)
        )

    def _on(self, standing: Standing) -> bool:
        if not standing.known_duty:
            return "unknown" in self.duty
        return standing.duty.code in [code_of(word) for word in self.duty]

    def _in_place(self, standing: Standing, now_mono_s: float) -> bool:
        if self.bbox is None and self.max_age_s is None:
            return True
        live = standing.live
        if live is None or (self.max_age_s is not None and live.age_s(now_mono_s) > self.max_age_s):
            return False
        if self.bbox is None:
            return True
        west, south, east, north = self.bbox
        if not south <= live.fix.latitude <= north:
            return False
        if west > east:  # RFC 7946 section 5.2: a box over the antimeridian
            return live.fix.longitude >= west or live.fix.longitude <= east
        return west <= live.fix.longitude <= east


ALL = Filters()
