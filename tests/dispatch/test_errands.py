"""Errands: tried again, given up, replaced by a newer word, bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter

import pytest

from gateway.dispatch import errands as room
from gateway.dispatch.errands import Errands
from gateway.dispatch.ports import Surroundings
from gateway.dispatch.share import Share
from gateway.domain.ids import Issi
from gateway.errors import LinkError, RefusedError
from gateway.ports import Outgoing
from tests.conftest import HandClock
from tests.dispatch.rig import QUICK, FakeBeats, FakeDownlink, roster


def text(words: str) -> Outgoing:
    """A word to the officer."""
    return Outgoing(words, Issi(7), "text", words)


class Bench:
    """Errands over one gateway terminal."""

    def __init__(self) -> None:
        self.clock, self.link, self.counts = HandClock(), FakeDownlink(), Counter()
        directory = roster()
        around = Surroundings(
            directory, directory.devices, FakeBeats(), lambda: {"radio-1": self.link}, self.clock, lambda: 0.999
        )
        self.errands = Errands(QUICK, around, Share(around.downlinks), self.counts)
        self.said: list[bool] = []

    @contextlib.asynccontextmanager
    async def running(self):
        """While they are run."""
        async with asyncio.TaskGroup() as group:
            life = group.create_task(self.errands.turns.run())
            yield
            life.cancel()

    async def pass_s(self, seconds: float) -> None:
        """Time goes by."""
        self.clock.seconds += seconds
        self.errands.turns.nudge()
        for _ in range(20):
            await asyncio.sleep(0)


async def test_tried_until_it_is_out() -> None:
    """Lost links and refusals cost time; then it is out, once, and said so."""
    bench = Bench()
    bench.link.outcomes = [LinkError("gone"), RefusedError(42, "busy"), ZeroDivisionError()]
    async with bench.running():
        bench.errands.add("k", text("Go"), bench.said.append)
        for _ in range(5):
            await bench.pass_s(8)
    assert (bench.link.texts, bench.said, bench.errands.under_way("k")) == (["Go"], [True], False)


async def test_given_up() -> None:
    """After four refusals, or when no gateway terminal was there for too long."""
    bench = Bench()
    async with bench.running():
        bench.link.outcomes = [RefusedError(34, "no") for _ in range(4)]
        bench.errands.add("k", text("Go"), bench.said.append)
        for _ in range(6):
            await bench.pass_s(9)
        assert bench.said == [False]
        bench.link.ready = False
        bench.errands.add("k", text("Go"), bench.said.append)
        for _ in range(9):
            await bench.pass_s(9)
    assert (bench.said, bench.counts["errands_given_up"], bench.link.texts) == ([False, False], 2, [])


async def test_the_newer_word_counts() -> None:
    """Replaced while it waits, or while it is being sent: what is older says nothing any more."""
    bench = Bench()
    bench.link.ready = False
    async with bench.running():
        bench.errands.add("k", text("one"), bench.said.append)
        await bench.pass_s(0)
        bench.errands.add("k", text("two"), bench.said.append)
        bench.link.ready, bench.link.held = True, asyncio.Event()
        await bench.pass_s(0)
        bench.errands.add("k", text("three"), bench.said.append)
        bench.link.held.set()
        await bench.pass_s(9)
    assert (bench.link.texts, bench.said) == (["two", "three"], [True])


async def test_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is refused, and counted; one of a key that is there takes its place."""
    monkeypatch.setattr(room, "MOST", 2)
    bench = Bench()
    for key in ("a", "b", "c", "a"):
        bench.errands.add(key, text(key), bench.said.append)
    assert (bench.said, bench.counts["errands_dropped"]) == ([False], 1)
    async with bench.running():
        await bench.pass_s(0)
    assert sorted(map(str, bench.link.texts)) == ["a", "b"]


async def test_where_are_you_is_asked_sparingly() -> None:
    """Once a minute a terminal."""
    bench = Bench()
    async with bench.running():
        for issi in (7, 7, 8):
            bench.errands.locate(Issi(issi))
        await bench.pass_s(30)
        bench.errands.locate(Issi(7))
        await bench.pass_s(31)
        bench.errands.locate(Issi(7))
        await bench.pass_s(0)
    assert [message.issi for message in bench.link.heard] == [7, 8, 7]
