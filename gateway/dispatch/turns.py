"""Things to be tried at a time: each once at a time, again when it says so."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from gateway.ports import Clock


class Turns:
    """Names with the moment of their next turn (monotonic seconds), and what a turn does."""

    def __init__(self, clock: Clock, turn: Callable[[str], Awaitable[None]]) -> None:
        self._clock, self._turn = clock, turn
        self._due: dict[str, float] = {}
        self._busy: set[str] = set()
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """How many have a turn to come or are at it."""
        return len(self._due.keys() | self._busy)

    def busy(self, name: str) -> bool:
        """Whether this one is at its turn."""
        return name in self._busy

    def at(self, name: str, mono_s: float) -> None:
        """Its next turn is then."""
        self._due[name] = mono_s
        self._wake.set()

    def nudge(self) -> None:
        """Look at the clock now."""
        self._wake.set()

    async def run(self) -> None:
        """Give turns until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                now_s = self._clock.now().mono_s
                idle = {name: due for name, due in self._due.items() if name not in self._busy}
                for name in [name for name, due in idle.items() if due <= now_s]:
                    del self._due[name], idle[name]
                    self._busy.add(name)
                    group.create_task(self._one(name))
                patience_s = min(idle.values()) - now_s if idle else None
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        await self._wake.wait()

    async def _one(self, name: str) -> None:
        try:
            await self._turn(name)
        finally:
            self._busy.discard(name)
            self._wake.set()
