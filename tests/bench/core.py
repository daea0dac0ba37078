"""The pipeline's core: decoded report to board (gate, timing, dedupe, fusion, index), in fixes a second of one core.

100,000 units, CPU time. Bare, then with what else is switched on: zones, history, and the frame for consumers.
Beside it what decoding one beacon's JSON costs, with the quickest decoder there is.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from gateway.domain.events import PositionReport
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.feed.trail import Trail
from gateway.ports import Resolved
from gateway.store.tracks import TrackStore
from tests.bench.feed import BenchClock, BenchRoster, reports
from tests.bench.wards import wards

UNITS, SLICE, ROUNDS, EVERY_S = 100_000, 2_000, 3, 10.0
AIM = 100_000
PAYLOAD = (
    b'{"v":1,"fix_time":"2026-11-21T21:05:28.885Z","latitude":52.573921,"longitude":-0.240317,"accuracy_m":8,'
    b'"altitude_m":11,"heading_deg":87.5,"speed_mps":1.4,"battery_pct":64,"sos":false}'
)
Batch = list[tuple[PositionReport, Resolved]]


class _Beacon(msgspec.Struct):
    v: int
    fix_time: str
    latitude: float
    longitude: float
    accuracy_m: float | None = None
    altitude_m: float | None = None
    heading_deg: float | None = None
    speed_mps: float | None = None
    battery_pct: int | None = None
    sos: bool = False


class NoStore:
    """History without a disk."""

    def add(self, fixes: Any) -> None:
        """Kept, for as long as it takes to say so."""

    def expire(self, before: Any) -> int:
        """Nothing is ever old."""
        return 0


def moved(before: Batch, now: Instant) -> Batch:
    """Everybody a step further."""
    stamp = Stamp(now, now.utc, "gnss")
    return [
        (
            PositionReport(
                report.origin,
                stamp,
                Fix(report.fix.latitude + 2e-5, report.fix.longitude, 8.0, None, 1.4, 87.5),
                "mqtt",
            ),
            who,
        )
        for report, who in before
        if report.fix is not None
    ]


class Core:
    """A feed with everybody on it, and what each part of a round costs."""

    def __init__(self, feed: Feed, clock: BenchClock) -> None:
        self.feed, self.clock = feed, clock
        self.batch = reports(UNITS, clock.now(), 7)
        self.spent: dict[str, float] = {}
        self.outcomes = 0

    def timed(self, name: str, work: Callable[[], object]) -> None:
        """Do it, and add what it cost."""
        began_s = time.process_time()
        work()
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - began_s

    def place(self, some: Batch) -> None:
        """As the router does."""
        take = self.feed.position
        for report, who in some:
            take(report, who, quality=())

    def round(self, name: str) -> None:
        """One fix of everybody; frames are not made."""
        self.batch = moved(self.batch, self.clock.on(EVERY_S))
        for first in range(0, UNITS, SLICE):
            some = self.batch[first : first + SLICE]
            self.timed(name, lambda some=some: self.place(some))
            changed, self.feed.board.dirty = list(self.feed.board.dirty.values()), {}
            self.timed("zones", lambda changed=changed: self.feed.zoning.moved(changed))

    def framed(self) -> None:
        """One fix of everybody, and the tick that sends it."""
        self.batch = moved(self.batch, self.clock.on(EVERY_S))
        for first in range(0, UNITS, SLICE):
            some = self.batch[first : first + SLICE]
            self.timed("place_and_frame", lambda some=some: self.place(some))
            self.timed("place_and_frame", lambda: self.feed.tick(self.clock.now()))


def decoded(times: int) -> float:
    """Seconds of CPU to decode so many."""
    decoder = msgspec.json.Decoder(_Beacon)
    began_s = time.process_time()
    for _ in range(times):
        decoder.decode(PAYLOAD)
    return time.process_time() - began_s


def kept(trail: Trail, store: TrackStore) -> float:
    """Seconds of CPU to write what the trail has, as its own thread does."""
    began_s = time.process_time()
    store.add(trail._waiting[:SLICE])
    return (time.process_time() - began_s) / SLICE


async def measured(folder: Path) -> dict[str, Any]:
    """Rounds of each kind, in turn."""
    clock, roster = BenchClock(), BenchRoster(UNITS)
    feed = Feed(FeedSettings(roster_s=1e9), roster, clock, folder)  # type: ignore[arg-type]
    await feed.open()
    feed.zoning.take_up(wards(), ())
    trail, store = Trail(feed.board, roster, NoStore(), 31, clock), TrackStore(folder / "tracks")  # type: ignore[arg-type]
    core = Core(feed, clock)
    core.round("first")
    core.spent.clear()
    gc.collect()
    gc.freeze()
    peer = 0.0
    for _ in range(ROUNDS):
        peer += decoded(UNITS)
        feed.board.placed = None
        core.round("place")
        feed.board.placed = trail.note
        core.round("place_and_history")
        store_s = kept(trail, store)
        await trail.write()
        feed.board.placed = None
        core.framed()
    live = feed.board.counts["live"]
    assert live == UNITS * (1 + 3 * ROUNDS), dict(feed.board.counts)
    store.close()
    await feed.close()
    return told(core.spent, peer, store_s)


def told(spent: dict[str, float], peer: float, store_s: float) -> dict[str, Any]:
    """As fixes a second of one core."""
    total = UNITS * ROUNDS
    zones = spent["zones"] / 2
    each = {
        "fixes_per_s": spent["place"],
        "with_zones_per_s": spent["place"] + zones,
        "with_history_per_s": spent["place_and_history"],
        "with_both_per_s": spent["place_and_history"] + zones,
        "framed_per_s": spent["place_and_frame"],
    }
    return {
        "aim_per_s": AIM,
        "units": UNITS,
        **{name: round(total / seconds) for name, seconds in each.items()},
        "of_decoding_its_json": spent["place"] / peer,
        "history_to_disk_us": store_s * 1e6,
    }


def run() -> dict[str, Any]:
    """All of it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return asyncio.run(measured(Path(folder)))
        finally:
            gc.unfreeze()


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(run())).decode() + "\n")
