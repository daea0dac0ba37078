"""An exercise put together: past fixes, as fast as wanted, into a feed of their own on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, cast

import msgspec

from gateway.api.auth import Doorkeeper
from gateway.api.exercise import exercise_server
from gateway.api.rooms import Rooms
from gateway.domain.time import Instant
from gateway.feed.exercise import ExerciseFeed
from gateway.feed.past import PastFix, moment
from gateway.observe import Metrics
from gateway.settings import Settings
from gateway.store.accounts import Accounts
from gateway.store.roster import RosterStore
from gateway.tracks_half import milliseconds, quality_of, report_of, track_store, who_of

CHUNK = 1_000
LINGER_S = 1.0
"""So long it is served after the last fix, so that everybody has it."""


class ExerciseClock:
    """Begins at a past moment and goes at a speed of its own."""

    def __init__(self, start: datetime, speed: float, mono: Callable[[], float] = time.monotonic) -> None:
        self._start, self._speed, self._mono = start, speed, mono
        self._began_s = mono()

    def now(self) -> Instant:
        """The moment of the exercise, on both clocks."""
        passed_s = (self._mono() - self._began_s) * self._speed
        return Instant(passed_s, self._start + timedelta(seconds=passed_s))

    def instant(self, ms: int) -> Instant:
        """A moment of the exercise, on both clocks."""
        at = moment(ms)
        return Instant((at - self._start).total_seconds(), at)

    def wait_s(self, ms: int) -> float:
        """How long until that moment comes."""
        return (self.instant(ms).mono_s - self.now().mono_s) / self._speed


class Replayed(msgspec.Struct):
    """What became of it: fixes replayed, and by what the board made of them."""

    fixes: int = 0
    outcomes: dict[str, int] = {}


class Exercise:
    """A replay that is being served."""

    def __init__(self, feed: ExerciseFeed, clock: ExerciseClock, fixes: Iterator[PastFix]) -> None:
        self.feed, self._clock, self._fixes = feed, clock, fixes
        self.port = 0
        self.done = Replayed()

    async def play(self) -> Replayed:
        """Each fix when its moment comes; return a little after the last."""
        while chunk := await asyncio.to_thread(lambda: list(islice(self._fixes, CHUNK))):
            for past in chunk:
                if (wait_s := self._clock.wait_s(past.arrived_ms)) > 0:
                    await asyncio.sleep(wait_s)
                report = report_of(past, self._clock.instant(past.arrived_ms))
                self.feed.position(report, who_of(past), quality=quality_of(past))
                self.done.fixes += 1
        await asyncio.sleep(LINGER_S)
        self.done.outcomes = dict(self.feed.board.counts)
        return self.done


@contextlib.asynccontextmanager
async def exercise(
    settings: Settings, span: tuple[datetime, datetime], speed: float, port: int, unit: str | None = None
) -> AsyncIterator[Exercise]:
    """Serve a replay of the span; nothing of it touches the running gateway or what it keeps."""
    tracks = track_store(settings.data)
    fixes = tracks.replay(milliseconds(span[0]), milliseconds(span[1]))
    wanted = (each for each in fixes if unit is None or each.unit == unit)
    async with contextlib.AsyncExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lapel-exercise-")))
        store = RosterStore(settings.data / "roster.db")
        stack.callback(store.close)
        roster = await asyncio.to_thread(store.roster)
        clock = ExerciseClock(span[0], speed)
        feed = ExerciseFeed(settings.feed, roster, clock, scratch)
        feed.sharing.take_up(settings.sharing)
        await feed.open()
        stack.push_async_callback(feed.close)
        server = exercise_server(_rooms(settings, store, roster, feed), version("lapel"))
        running = Exercise(feed, clock, wanted)
        running.port = await server.open(settings.api.host, port)
        stack.push_async_callback(server.close)
        group = await stack.enter_async_context(asyncio.TaskGroup())
        ticking = group.create_task(feed.run())
        stack.callback(ticking.cancel)
        yield running


def _rooms(settings: Settings, store: RosterStore, roster: Any, feed: ExerciseFeed) -> Rooms:  # noqa: ANN401 - a Roster
    return Rooms(
        instance=f"{settings.gateway.instance}-exercise",
        doorkeeper=Doorkeeper(Accounts(store.engine), settings.auth.roles, settings.auth.session_hours),
        metrics=Metrics(),
        roster=lambda: roster,
        roster_store=store,
        feed=feed,
        dispatch=cast("Any", None),  # no route of an exercise gives anybody a task
        evidence=None,
        inputs=dict,
        parts=lambda: {"feed": feed.health()},
        uploads=list,
        roster_changed=lambda: None,
        exercise=True,
    )
