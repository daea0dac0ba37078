"""Where a power that is granted for an area holds: at places inside the zone of that name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from gateway.domain.people import Power

NOWHERE: frozenset[str] = frozenset()
Around = Callable[[float, float], frozenset[str]]
"""The zones that a place (latitude, longitude) is in."""


def _in_no_zone(_lat: float, _lon: float) -> frozenset[str]:
    return NOWHERE


class Areas:
    """The zones that areas are looked up among, and every area that some power is granted for.

    An area is a zone's id, or that without the word before its colon. One that names no zone can't be looked at: its
    power counts, and whoever asks is told so, for an officer left out unseen is the worse mistake.
    """

    def __init__(self, zones: Iterable[str] = (), around: Around = _in_no_zone) -> None:
        self._zones: dict[str, set[str]] = {}
        for zone in zones:
            for name in {zone, zone.partition(":")[2] or zone}:
                self._zones.setdefault(name, set()).add(zone)
        self.around = around

    def holds(self, area: str | None, here: frozenset[str]) -> bool | None:
        """Whether a power for that area holds in these zones; None where that can't be said."""
        if area is None:
            return True
        named = self._zones.get(area)
        return None if named is None else not named.isdisjoint(here)

    def why(self, power: str, grants: Iterable[Power], here: frozenset[str]) -> str:
        """How a unit comes to have a power here, in words."""
        areas = [grant.area for grant in grants if grant.id == power]
        if any(area is None for area in areas):
            return f"power {power}"
        for area in areas:
            if self.holds(area, here):
                return f"power {power} in {area}"
        area = next((area for area in areas if self.holds(area, here) is None), None)
        return f"power {power}" if area is None else f"power {power} (for {area}, which is no zone: not looked at)"
