"""What befalls a camera and when: seeded, by how far a recording is, so that a fast upload meets it as well."""

import random

from firmware_stubs.habits import Habits

EARLIEST, LATEST = 0.05, 0.95


class Fate:
    """The troubles of one camera."""

    def __init__(self, habits: Habits, seed: object) -> None:
        self._habits, self._chance = habits, random.Random(str(seed))
        self._breaks: list[float] = []

    def begin(self, size: int) -> None:
        """A recording begins: choose where in it the camera goes away."""
        shares = sorted(self._chance.uniform(EARLIEST, LATEST) for _ in range(self._habits.breaks))
        self._breaks = [share * size for share in shares]

    def breaks(self, durable: int) -> bool:
        """Whether the camera goes away now; each break comes once."""
        if not self._breaks or durable < self._breaks[0]:
            return False
        self._breaks.pop(0)
        return True

    def dies(self, durable: int, size: int) -> bool:
        """Whether the battery is empty."""
        return self._habits.dies_at > 0 and durable >= self._habits.dies_at * size

    def damaged(self, payload: bytes) -> bytes:
        """A segment as it arrives: now and then with one bit wrong."""
        if not payload or self._chance.random() >= self._habits.corrupts:
            return payload
        hurt = bytearray(payload)
        hurt[self._chance.randrange(len(hurt))] ^= 1 << self._chance.randrange(8)
        return bytes(hurt)
