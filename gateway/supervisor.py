"""Drivers run here: restarted with back-off, reported, never able to end the gateway."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping

import structlog

from gateway.domain.backoff import Backoff
from gateway.errors import GatewayError, LinkError
from gateway.ports import Driver, InputHealth

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
HEALTHY_S = 20.0


class Supervised:
    """One driver, its state and its restarts."""

    def __init__(self, name: str, driver: Driver) -> None:
        self.name, self._driver = name, driver
        self.state, self.restarts, self.stopping = "starting", 0, False
        self.problem: str | None = None
        self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, HEALTHY_S)

    def health(self) -> InputHealth:
        """The driver's own word, unless it is down."""
        own = self._driver.health()
        if self.state in ("up", "starting"):
            return own
        return InputHealth(self.state, own.last, self.problem, {**own.counters, "restarts": self.restarts}, own.groups)

    async def run(self) -> None:
        """Run the driver until cancelled. A LinkError restarts it; so does a defect, loudly."""
        log = structlog.get_logger().bind(input=self.name)
        while True:
            began_s = asyncio.get_running_loop().time()
            self.state, self.problem = "up", None
            try:
                await self._driver.run()
                self._failed(log, "ended by itself", None)
            except* LinkError as gone:
                self._failed(log, _first(gone), None)
            except* Exception as defect:  # noqa: BLE001 - a driver's defect must not end the gateway: it is down, loudly
                self._failed(log, f"defect: {_first(defect)}", defect)
            if self.stopping:  # the link went as we were cancelled, and its fault took the place of that
                return
            ran_s = asyncio.get_running_loop().time() - began_s
            await asyncio.sleep(self._backoff.next_s(ran_s, random.random()))  # noqa: S311 - spreads restarts, no secret

    def _failed(self, log: structlog.typing.FilteringBoundLogger, problem: str, defect: BaseException | None) -> None:
        self.state, self.problem = "down", problem
        self.restarts += 1
        if defect is None:
            log.warning("input_down", problem=problem)
        else:
            log.error("input_defect", problem=problem, exc_info=defect)


def _first(group: BaseExceptionGroup[BaseException]) -> str:
    """The innermost first error of a group, as text."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error) if isinstance(error, GatewayError) else f"{type(error).__name__}: {error}"


class Supervisor:
    """All inputs, each in a task of its own."""

    def __init__(self, drivers: Mapping[str, Driver]) -> None:
        self.inputs = {name: Supervised(name, driver) for name, driver in drivers.items()}

    def health(self) -> dict[str, InputHealth]:
        """Every input's health by name."""
        return {name: supervised.health() for name, supervised in self.inputs.items()}

    async def run(self, started: Callable[[], None] = lambda: None) -> None:
        """Run all until cancelled."""
        async with asyncio.TaskGroup() as group:
            for supervised in self.inputs.values():
                group.create_task(supervised.run(), name=f"input {supervised.name}")
            started()
            try:
                await asyncio.Event().wait()
            finally:
                for supervised in self.inputs.values():
                    supervised.stopping = True
