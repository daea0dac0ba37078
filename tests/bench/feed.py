"""How fast: positions from decoded event to consumer, and the nearest query, each beside the least there could be."""

from __future__ import annotations

import asyncio
import math
import random
import sys
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gateway.domain.events import Origin, PositionReport
from gateway.domain.people import Person, Power, Unit
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp
from gateway.feed.board import Board
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.feed.wanted import Wanted
from gateway.ports import Resolved

START = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
UNITS, ROUNDS, CROWD = 5_000, 10, 100_000


class BenchRoster:
    """As many units of one officer as wanted."""

    def __init__(self, count: int) -> None:
        rng = random.Random(1)
        powers = [(Power("pcn"), Power("csas.litter")), (Power("constable"),), (Power("pcn", date(2030, 1, 1)),)]
        self.people = {
            f"P-{n}": Person(f"P-{n}", "", "PCC", "CSO", str(n), 1 + n, rng.choice(powers)) for n in range(count)
        }
        self.all = [Unit(f"PCC.U-{n}", f"U{n}", "PCC", "foot", (f"P-{n}",)) for n in range(count)]

    def units(self) -> list[Unit]:
        return self.all

    def person(self, person: str) -> Person | None:
        return self.people.get(person)


class BenchClock:
    """A clock moved by the bench."""

    def __init__(self) -> None:
        self.instant = Instant(0.0, START)

    def now(self) -> Instant:
        return self.instant

    def on(self, seconds: float) -> Instant:
        self.instant = Instant(self.instant.mono_s + seconds, self.instant.utc + timedelta(seconds=seconds))
        return self.instant


def reports(count: int, now: Instant, seed: int) -> list[tuple[PositionReport, Resolved]]:
    """One fix of every unit, decoded and resolved."""
    rng = random.Random(seed)
    stamp = Stamp(now, now.utc, "gnss")
    return [
        (
            PositionReport(
                Origin("bench", f"bcn-{n}"), stamp, Fix(52.5 + rng.random() / 10, -0.3 + rng.random() / 5, 8.0), "mqtt"
            ),
            Resolved(f"PCC.U-{n}", f"P-{n}", f"bcn-{n}"),
        )
        for n in range(count)
    ]


async def positions() -> dict[str, float]:
    """5,000 units, one consumer, no coalescing (every position goes out): the dearest case."""
    clock = BenchClock()
    with tempfile.TemporaryDirectory() as folder:
        feed = Feed(FeedSettings(roster_s=1e9), BenchRoster(UNITS), clock, Path(folder))  # type: ignore[arg-type]
        await feed.open()
        consumer = feed.subscribe()
        consumer.take()
        spent = placed = 0.0
        for turn in range(ROUNDS):
            batch = reports(UNITS, clock.on(1.0), turn)
            begun = time.perf_counter()
            for report, who in batch:
                feed.position(report, who, quality=())
            placed += time.perf_counter() - begun
            feed.tick(clock.now())
            chunk = consumer.take()
            spent += time.perf_counter() - begun
            assert chunk is not None
            assert chunk.count(b"event: position") == UNITS
        features = msgspec.json.decode(feed.snapshot())["features"]
        await feed.close()
    begun = time.perf_counter()
    for _ in range(ROUNDS):
        for feature in features:
            msgspec.json.encode(feature)
    bare = time.perf_counter() - begun
    total = UNITS * ROUNDS
    return {
        "positions_per_s": total / spent,
        "placed_per_s": total / placed,
        "bare_encode_per_s": total / bare,
        "ratio_to_bare_encode": spent / bare,
    }


def nearest() -> dict[str, float]:
    """100,000 units: ours with every filter beside one plain haversine pass over the same columns."""
    board, clock, roster = Board(FeedSettings()), BenchClock(), BenchRoster(CROWD)
    board.refresh(roster, clock.now())  # type: ignore[arg-type]
    for n, (report, who) in enumerate(reports(CROWD, clock.now(), 7)):
        board.place(report, who)
        board.set_duty(who.unit, 2 if n % 10 == 0 else 8, START.timestamp(), "sds_status")  # type: ignore[arg-type]
    lat, lon = np.radians(board.index._lat[:CROWD]), np.radians(board.index._lon[:CROWD])
    ours, plain = [], []
    for turn in range(30):
        wanted = Wanted(lat=52.5 + turn / 400, lon=-0.25, power=("pcn",), duty=("available",))
        begun = time.perf_counter()
        found = board.index.query(wanted, clock.now())
        ours.append(time.perf_counter() - begun)
        assert len(found.results) == 5
        begun = time.perf_counter()
        phi, lam = math.radians(wanted.lat), math.radians(wanted.lon)
        half = np.sin((lat - phi) / 2) ** 2 + math.cos(phi) * np.cos(lat) * np.sin((lon - lam) / 2) ** 2
        np.argpartition(2 * np.arcsin(np.sqrt(half)), 5)[:5]
        plain.append(time.perf_counter() - begun)
    middle = sorted(ours)[15]
    return {"nearest_ms": middle * 1000, "plain_pass_ms": sorted(plain)[15] * 1000, "ratio": middle / sorted(plain)[15]}


def run() -> dict[str, Any]:
    """Both."""
    return {"feed": asyncio.run(positions()), "nearest": nearest()}


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(run())).decode() + "\n")
