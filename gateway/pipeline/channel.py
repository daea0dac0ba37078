"""A bounded queue whose overflow rule must be said."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Generic, TypeVar

from gateway.errors import MisuseError

Item = TypeVar("Item")


class Overflow(Enum):
    """What happens to an item that finds the channel full."""

    REFUSE = "refuse"
    DROP_OLDEST = "drop_oldest"


class Channel(Generic[Item]):
    """Items with a weight, taken all at once; single consumer, same event loop.

    spare(item) True: never dropped by DROP_OLDEST (emergencies), even past the capacity.
    """

    def __init__(
        self, capacity: int, *, overflow: Overflow, weigh: Callable[[Item], int], spare: Callable[[Item], bool]
    ) -> None:
        if capacity <= 0:
            raise MisuseError("a channel is bounded")
        self._capacity, self._overflow, self._weigh, self._spare = capacity, overflow, weigh, spare
        self._items: deque[Item] = deque()
        self._some = asyncio.Event()
        self.weight = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: Item) -> bool:
        """Add an item; False when it was refused. What is dropped is counted in `dropped`."""
        weight = self._weigh(item)
        if self.weight + weight > self._capacity and not self._spare(item) and not self._room(weight):
            self.dropped += 1
            return False
        self._items.append(item)
        self.weight += weight
        self._some.set()
        return True

    def _room(self, weight: int) -> bool:
        """Make room by the rule; False where the rule gives none."""
        if self._overflow is Overflow.REFUSE:
            return False
        kept: deque[Item] = deque()
        while self._items and self.weight + weight > self._capacity:
            oldest = self._items.popleft()
            if self._spare(oldest):
                kept.append(oldest)
                continue
            self.weight -= self._weigh(oldest)
            self.dropped += 1
        self._items.extendleft(reversed(kept))
        return self.weight + weight <= self._capacity

    def put_back(self, items: list[Item]) -> None:
        """Return items that could not be dealt with to the front, in their order."""
        self._items.extendleft(reversed(items))
        self.weight += sum(map(self._weigh, items))
        if items:
            self._some.set()

    def take_all(self) -> list[Item]:
        """Everything queued, oldest first."""
        items = list(self._items)
        self._items.clear()
        self.weight = 0
        self._some.clear()
        return items

    async def wait(self) -> None:
        """Return when there is something to take."""
        await self._some.wait()
