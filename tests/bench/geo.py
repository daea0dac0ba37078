"""Nearest five of 100,000 units by three filters, beside Redis GEOSEARCH on the same machine in the same run.

Fifteen towns; duty (one in ten would do), a power, and a position that is fresh. Ours answers exactly, with reasons and
how many fell out for what. Redis is asked twice: once with one key of all units, sorted by distance, until five pass
the filters (which the client knows); once with a key made for just this filter, which no question asked at will has.
"""

from __future__ import annotations

import random
import socket
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import Any

import msgspec

from firmware_stubs.fleet_account import percentile
from gateway.domain.events import Origin, PositionReport
from gateway.domain.position import Fix
from gateway.domain.time import Stamp
from gateway.feed.board import Board
from gateway.feed.settings import FeedSettings
from gateway.feed.wanted import Wanted
from gateway.ports import Resolved
from tests import peers
from tests.bench.feed import START, BenchClock, BenchRoster
from tests.scenarios.gateway_process import free_port, until

UNITS, TOWNS, QUESTIONS, K = 100_000, 15, 200, 5
STEPS = (100, 1_000, 10_000, UNITS)


class Resp:
    """As much of the protocol of Redis as is needed: arrays of words out, arrays of words in."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = self._socket.makefile("rb")

    @staticmethod
    def _said(words: tuple[object, ...]) -> bytes:
        made = [str(word).encode() for word in words]
        return b"*%d\r\n" % len(made) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in made)

    def _answer(self) -> Any:
        line = self._in.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"*":
            return [self._answer() for _ in range(int(rest))]
        if kind == b"$":
            return self._in.read(int(rest) + 2)[:-2]
        assert kind != b"-", line
        return rest

    def ask(self, *words: object) -> Any:
        """One command and its answer."""
        self._socket.sendall(self._said(words))
        return self._answer()

    def fill(self, key: str, places: list[tuple[float, float, str]]) -> None:
        """Units into a key, a thousand a command."""
        for first in range(0, len(places), 1000):
            self.ask("GEOADD", key, *(word for place in places[first : first + 1000] for word in place))


@contextmanager
def redis():
    """A server of our own; AssertionError or a skip says where there is none."""
    port = free_port()
    process = subprocess.Popen(
        [peers.program("redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 10, "redis listens")
        yield Resp(port)
    finally:
        process.kill()
        process.wait()


def board() -> tuple[Board, BenchClock, list[tuple[float, float, str]]]:
    """Everybody placed round a town; one in ten available."""
    rng, clock, roster = random.Random(3), BenchClock(), BenchRoster(UNITS)
    made, towns = Board(FeedSettings()), [(rng.uniform(50.5, 55), rng.uniform(-3, 0.5)) for _ in range(TOWNS)]
    made.refresh(roster, clock.now())  # type: ignore[arg-type]
    stamp, places = Stamp(clock.now(), clock.now().utc, "gnss"), []
    for number in range(UNITS):
        town = towns[number % TOWNS]
        lat, lon = town[0] + rng.gauss(0, 0.08), town[1] + rng.gauss(0, 0.12)
        report = PositionReport(Origin("bench", f"bcn-{number}"), stamp, Fix(lat, lon, 8.0), "mqtt")
        unit = f"PCC.U-{number}"
        made.place(report, Resolved(unit, f"P-{number}", f"bcn-{number}"))  # type: ignore[arg-type]
        made.set_duty(unit, 2 if rng.random() < 0.1 else 8, START.timestamp(), "sds_status")  # type: ignore[arg-type]
        places.append((lon, lat, unit))
    return made, clock, places


def search(link: Resp, key: str, lat: float, lon: float, fits: set[str]) -> list[str]:
    """The nearest five that pass, asking for more until there are."""
    for count in STEPS:
        words = ("FROMLONLAT", lon, lat, "BYRADIUS", 2000, "km", "ASC", "COUNT", count)
        found = [name for each in link.ask("GEOSEARCH", key, *words) if (name := each.decode()) in fits]
        if len(found) >= K:
            return found[:K]
    return found


def run() -> dict[str, Any]:
    """Question by question, each asked of all in turn."""
    made, clock, places = board()
    wanted = Wanted(lat=0.0, lon=0.0, power=("pcn",), duty=("available",), max_age_s=60.0, limit=K)
    fits = {
        name
        for name, standing in made.units.items()
        if "pcn" in standing.roll.powers and standing.duty.code == 2 and standing.live is not None
    }
    times: dict[str, list[float]] = {"ours": [], "ours_cpu": [], "geosearch": [], "geosearch_own_key": []}
    rng, same = random.Random(5), 0
    with redis() as link:
        link.fill("all", places)
        link.fill("some", [place for place in places if place[2] in fits])
        for _ in range(QUESTIONS):
            lon, lat, _ = rng.choice(places)
            question = msgspec.structs.replace(wanted, lat=lat + rng.gauss(0, 0.02), lon=lon + rng.gauss(0, 0.02))
            began_s, cpu_s = time.perf_counter(), time.process_time()
            answer = made.index.query(question, clock.now())
            ours_s, used_s = time.perf_counter(), time.process_time() - cpu_s
            theirs = search(link, "all", question.lat, question.lon, fits)
            theirs_s = time.perf_counter()
            search(link, "some", question.lat, question.lon, fits)
            own_s = time.perf_counter()
            taken = (ours_s - began_s, used_s, theirs_s - ours_s, own_s - theirs_s)
            for name, took_s in zip(times, taken, strict=True):
                times[name].append(took_s * 1000)
            # Redis keeps places to about half a metre: two that are as near as each other may change places.
            same += len({one.unit for one in answer.results} & set(theirs)) >= K - 1
    assert same == QUESTIONS, f"{QUESTIONS - same} answers differ from those of Redis"
    figures: dict[str, Any] = {"aims_ms": {"p50": 1.0, "p99": 3.0}, "units": UNITS, "would_do": len(fits)}
    for name, taken_ms in times.items():
        figures[name] = {"p50_ms": statistics.median(taken_ms), "p99_ms": percentile(taken_ms, 0.99)}
    for name in ("geosearch", "geosearch_own_key"):
        figures[f"{name}_of_ours"] = figures[name]["p50_ms"] / figures["ours"]["p50_ms"]
    return figures


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(run())).decode() + "\n")
