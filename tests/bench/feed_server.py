"""The feed and its API as a process of its own, fed from within: python -m tests.bench.feed_server UNITS RATE TICK_MS.

With `full` behind these, zones and the position history on disk too.

Says its port on standard output, and at its end how late its turns came and what the feed counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway.api.exercise import exercise_server
from gateway.api.identity import Identity
from gateway.api.rooms import Rooms
from gateway.domain.events import Origin, PositionReport
from gateway.domain.position import Fix
from gateway.domain.time import Stamp
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.feed.trail import Trail
from gateway.observe import Metrics, SystemClock
from gateway.ports import Resolved
from gateway.store.tracks import TrackStore
from tests.bench.feed import BenchRoster
from tests.bench.wards import wards

TURN_S = 0.01


def queued_s() -> float:
    """For how long this thread has waited for a processor."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def _home(number: int) -> tuple[float, float]:
    """Where a unit walks: all over the wards."""
    return 52.5 + number % 1000 / 1e4, -0.3 + number / 5e5


class Doorman:
    """Lets everybody in: what signing in costs is not measured here."""

    def who(self, _request: object) -> Identity:
        """Whoever it is, they may."""
        return Identity("bench", frozenset({"*"}), "bench")


class Source:
    """So many fixes a second, in turns of ten milliseconds.

    late_s: by how much each turn came after its time; late_itself_s: that less the time in which the thread was ready
    and had no processor; busy_s: its CPU between two turns. What else the machine does is in the first alone.
    """

    def __init__(self, feed: Feed, clock: SystemClock, units: int, rate: int) -> None:
        self._feed, self._clock, self._rate = feed, clock, rate
        self._who = [
            (
                Origin("bench", f"bcn-{n}"),
                Resolved(f"PCC.U-{n}", f"P-{n}", f"bcn-{n}"),
                52.5 + n % 1000 / 1e4,
                -0.3 + n / 5e5,
            )
            for n in range(units)
        ]
        self._sent = self.behind = 0
        self.late_s: list[float] = []
        self.late_itself_s: list[float] = []
        self.busy_s: list[float] = []

    def send(self, count: int) -> None:
        """The next so many, a step further each time round."""
        now = self._clock.now()
        stamp, take = Stamp(now, now.utc, "gnss"), self._feed.position
        for number in range(self._sent, self._sent + count):
            turn, place = divmod(number, len(self._who))
            origin, who, lat, lon = self._who[place]
            fix = Fix(lat + turn % 50 * 2e-5, lon, 8.0, None, 1.4, 87.5)
            take(PositionReport(origin, stamp, fix, "mqtt"), who, quality=())
        self._sent += count

    async def run(self) -> None:
        """Until cancelled."""
        began_s = time.monotonic()
        while True:
            passed_s = time.monotonic() - began_s
            due = int(passed_s * self._rate) - self._sent
            self.behind = max(self.behind, due)
            if due > 0:
                self.send(min(due, self._rate // 10))
            slept_s, busy_s, queued = time.monotonic(), time.thread_time(), queued_s()
            await asyncio.sleep(TURN_S)
            late_s = time.monotonic() - slept_s - TURN_S
            self.late_s.append(late_s)
            self.late_itself_s.append(late_s - (queued_s() - queued))
            self.busy_s.append(time.thread_time() - busy_s)

    def told(self) -> dict[str, float]:
        """Since it was last asked."""
        late, itself, busy = sorted(self.late_s), sorted(self.late_itself_s), sorted(self.busy_s)
        self.late_s, self.late_itself_s, self.busy_s = [], [], []
        if not late:
            return {}
        times = {"late_p99_ms": late[int(len(late) * 0.99)], "late_max_ms": late[-1]}
        times |= {"late_by_itself_max_ms": itself[-1], "busy_max_ms": busy[-1]}
        behind, self.behind = self.behind, 0
        return {name: 1000 * took_s for name, took_s in times.items()} | {"sent": self._sent, "behind": behind}


def rooms(feed: Feed) -> Rooms:
    """What the routes of an exercise need."""
    needed: dict[str, Any] = dict.fromkeys(Rooms.__dataclass_fields__)
    needed |= {"instance": "bench", "doorkeeper": Doorman(), "metrics": Metrics(), "feed": feed, "exercise": False}
    return Rooms(**needed | {"inputs": dict, "parts": dict, "uploads": list})


async def served(units: int, rate: int, tick_ms: int, folder: Path, *, full: bool) -> None:
    """Until told to stop."""
    clock, roster = SystemClock(), BenchRoster(units)
    feed = Feed(FeedSettings(tick_ms=tick_ms, roster_s=1e9), roster, clock, folder)  # type: ignore[arg-type]
    await feed.open()
    trail = Trail(feed.board, roster, TrackStore(folder / "tracks"), 31, clock)  # type: ignore[arg-type]
    if full:
        feed.zoning.take_up(wards(), ())
        feed.board.placed = trail.note
    source, server = Source(feed, clock, units, rate), exercise_server(rooms(feed), "bench")
    source.send(units)
    feed.tick(clock.now())
    await trail.write()
    source._sent = 0
    gc.collect()
    gc.freeze()
    port = await server.open("127.0.0.1", 0)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, lambda: print(json.dumps(source.told()), flush=True))
    print(json.dumps({"port": port}), flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(each()) for each in (feed.run, source.run, trail.run)]
            await stop.wait()
            for task in running:
                task.cancel()
    print(json.dumps(source.told() | {"stats": feed.stats(), "history": trail.stats()}), flush=True)
    await server.close()
    await feed.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(served(*map(int, sys.argv[1:4]), Path(made), full=sys.argv[4:] == ["full"]))
