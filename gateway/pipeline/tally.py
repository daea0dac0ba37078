"""What is to be kept of counters that only grow while a process runs, and of a clock that jumped. Pure."""

from __future__ import annotations

from collections.abc import Mapping

LOST = ("dropped", "unwritable", "unjournalled", "defects", "discarded", "overflow", "overrun")
"""A counter whose name ends in one of these counts what did not arrive where it should."""
STEP_S = 1.0


def losses(part: str, counters: Mapping[str, float]) -> dict[str, int]:
    """A part's counters that tell of losses, by `part_name`."""
    return {f"{part}_{name}": int(count) for name, count in counters.items() if name.endswith(LOST)}


class Tally:
    """Counters, read again and again: what has come since the last look that was kept."""

    def __init__(self) -> None:
        self._kept: dict[str, int] = {}

    def grown(self, counters: Mapping[str, int]) -> dict[str, int]:
        """What has come since; a counter that is smaller than it was began anew."""
        before = {name: min(self._kept.get(name, 0), count) for name, count in counters.items()}
        begun_anew = {name for name, count in counters.items() if count < self._kept.get(name, 0)}
        found = {name: count - (0 if name in begun_anew else before[name]) for name, count in counters.items()}
        return {name: more for name, more in found.items() if more}

    def keep(self, counters: Mapping[str, int]) -> None:
        """That look is on disk: the next one counts from there."""
        self._kept |= counters


class Steps:
    """Two clocks compared: by how much the wall clock jumped against the monotonic one."""

    def __init__(self) -> None:
        self._offset_s: float | None = None

    def look(self, mono_s: float, wall_s: float) -> float | None:
        """Seconds of a jump beyond STEP_S since the last look, rounded to the millisecond; else None."""
        offset_s, before_s = wall_s - mono_s, self._offset_s
        self._offset_s = offset_s
        if before_s is None or abs(offset_s - before_s) <= STEP_S:
            return None
        return round(offset_s - before_s, 3)
