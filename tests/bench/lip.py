"""LIP short reports decoded a second on one core, against a bare loop over the same lines."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable

from drivers.tetra import lip
from drivers.tetra.bits import from_hex
from drivers.tetra.lip_short import ShortReport, encode_short

LINES = 20_000
ROUNDS = 7


def _lines() -> list[str]:
    """Short reports as a port delivers them: hex with PID, all fields used."""
    chance = random.Random(76)
    widths = (2, 25, 24, 3, 7, 4, 1, 8)
    reports = (ShortReport(*(chance.getrandbits(width) for width in widths)) for _ in range(LINES))
    return [lip.with_pid(encode_short(report)).hex() for report in reports]


def _per_second(work: Callable[[list[str]], None], lines: list[str]) -> float:
    """Median over some rounds: a shared machine has slow moments."""
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work(lines)
        rates.append(len(lines) / (time.perf_counter() - began))
    return statistics.median(rates)


def _bare(lines: list[str]) -> None:
    """What any decoder must do at least: look at each line and turn it into octets."""
    for line in lines:
        bytes.fromhex(line)


def _decode(lines: list[str]) -> None:
    """Hex to record."""
    for line in lines:
        lip.decode(lip.strip_pid(from_hex(line)))


def run() -> dict[str, float]:
    """Reports a second, bare lines a second, and how many times slower decoding is."""
    lines = _lines()
    decoded, bare = _per_second(_decode, lines), _per_second(_bare, lines)
    return {"lip_short_per_s": round(decoded), "bare_per_s": round(bare), "ratio": round(bare / decoded, 2)}


if __name__ == "__main__":
    print(json.dumps(run()))
