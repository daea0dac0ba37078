"""LIP reports, short and long, decoded a second on one core, against a bare loop over the same lines."""

from __future__ import annotations

import json
import random
import statistics
import time
from collections.abc import Callable

from drivers.tetra import lip
from drivers.tetra.bits import from_hex
from drivers.tetra.lip_long import SHAPES, TIMES, VELOCITIES, LongReport, encode_extended
from drivers.tetra.lip_short import ShortReport, encode_short

LINES = 20_000
ROUNDS = 7


def _lines() -> list[str]:
    """Short reports as a port delivers them: hex with PID, all fields used."""
    chance = random.Random(76)
    widths = (2, 25, 24, 3, 7, 4, 1, 8)
    reports = (ShortReport(*(chance.getrandbits(width) for width in widths)) for _ in range(LINES))
    return [lip.with_pid(encode_short(report)).hex() for report in reports]


def _long_lines() -> list[str]:
    """Long reports of every shape but none, every time and every velocity, with their status element."""
    chance = random.Random(84)
    lines = []
    for number in range(LINES // 4):
        kinds = {"time_type": number % 3, "shape": 1 + number % 10, "velocity_type": number % 8}
        layout = (*TIMES[number % 3], *SHAPES[1 + number % 10][1], *VELOCITIES[number % 8])
        fields = {name: chance.getrandbits(width) for name, width in layout}
        fields |= {"pdu_type": 1, "extension": 3, "ack_request": 0, "additional_type": 0, "additional": 129} | kinds
        lines.append(lip.with_pid(encode_extended(LongReport(fields))).hex())
    return lines


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
    figures: dict[str, float] = {}
    for name, lines in (("short", _lines()), ("long", _long_lines())):
        decoded, bare = _per_second(_decode, lines), _per_second(_bare, lines)
        figures |= {f"lip_{name}_per_s": round(decoded), f"{name}_bare_per_s": round(bare)}
        figures[f"{name}_ratio"] = round(bare / decoded, 2)
    return figures


if __name__ == "__main__":
    print(json.dumps(run()))
