"""Turns: at their time, each once at a time, again when asked."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from gateway.dispatch.turns import Turns
from tests.conftest import HandClock


class Log:
    """What had its turn, and a gate at which turns wait."""

    def __init__(self) -> None:
        self.clock, self.given = HandClock(), []
        self.gate = asyncio.Event()
        self.gate.set()
        self.turns = Turns(self.clock, self.turn)

    async def turn(self, name: str) -> None:
        """One turn."""
        self.given.append(name)
        await self.gate.wait()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """While turns are given."""
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self.turns.run())
            yield
            life.cancel()

    async def calm(self) -> None:
        """Until nothing more happens by itself."""
        self.turns.nudge()
        for _ in range(10):
            await asyncio.sleep(0)


async def test_at_their_time() -> None:
    """Not before it; the earlier first; those of before the start at the start."""
    log = Log()
    log.turns.at("early", -1.0)
    log.turns.at("late", 9.0)
    async with log.running():
        await log.calm()
        assert (log.given, log.turns.waiting) == (["early"], 1)
        log.clock.seconds = 9.0
        await log.calm()
        assert log.given == ["early", "late"]
        assert log.turns.waiting == 0


async def test_one_at_a_time_and_again() -> None:
    """Asked for while it is at its turn: it has another when that is over; others do not wait for it."""
    log = Log()
    log.gate.clear()
    async with log.running():
        log.turns.at("a", 0.0)
        await log.calm()
        log.turns.at("a", 0.0)
        log.turns.at("b", 0.0)
        await log.calm()
        assert (log.given, log.turns.busy("a")) == (["a", "b"], True)
        log.gate.set()
        await log.calm()
        assert log.given == ["a", "b", "a"]
        assert not log.turns.busy("a")


async def test_the_later_word_counts() -> None:
    """Moved further away, it waits."""
    log = Log()
    async with log.running():
        log.turns.at("a", 1.0)
        log.turns.at("a", 5.0)
        log.clock.seconds = 2.0
        await log.calm()
        assert log.given == []


async def test_wakes_by_itself() -> None:
    """A turn some milliseconds away needs no nudge."""
    log = Log()
    async with log.running():
        log.turns.at("a", 0.01)
        await asyncio.sleep(0)
        log.clock.seconds = 0.02
        await asyncio.sleep(0.05)
        assert log.given == ["a"]


async def test_a_defect_ends_the_room_loudly() -> None:
    """It is not swallowed here."""
    turns = Turns(HandClock(), lambda _name: broken())

    async def broken() -> None:
        raise ZeroDivisionError

    turns.at("a", 0.0)
    with pytest.raises(ExceptionGroup):
        await turns.run()
    assert not turns.busy("a")
