"""Which zones each unit is in, as a column of the index. Pure (numpy)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


class ZoneRows:
    """A row a unit, a column a zone; `known` where a position has been looked at."""

    def __init__(self, zones: Sequence[str] = ()) -> None:
        self.numbers = {zone: number for number, zone in enumerate(zones)}
        self.inside = np.zeros((0, len(zones)), np.bool_)
        self.known = np.zeros(0, np.bool_)

    def room(self, rows: int) -> None:
        """For so many units at least."""
        if (more := rows - len(self.known)) > 0:
            more = max(more, len(self.known))
            self.inside = np.concatenate([self.inside, np.zeros((more, len(self.numbers)), np.bool_)])
            self.known = np.concatenate([self.known, np.zeros(more, np.bool_)])

    def clear(self, row: int) -> None:
        """Nothing is known of where this unit is."""
        if row < len(self.known):
            self.inside[row] = self.known[row] = False

    def mask(self, zones: Sequence[str], rows: int) -> Mask:
        """The units that are in any of these zones."""
        self.room(rows)
        columns = [self.numbers[zone] for zone in zones if zone in self.numbers]
        return np.asarray(self.inside[:rows][:, columns].any(axis=1))
