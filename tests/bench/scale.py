"""The design size of one machine: 100,000 units and 20,000 fixes a second, with zones, history and five consumers.

python -m tests.bench.scale --seconds 180; in `make bench` as long as LAPEL_SCALE_S says (20). Memory is compared from a
third of the time on, when every position has been sent and has grown old once; `behind` is by how many fixes the source
was ahead of the feed at most in the last quarter and in the one before it: where that does not grow, nothing queues up.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.readers import Child, Reader, cpu_s, drain, feed_server

UNITS, RATE, TICK_MS = 100_000, 20_000, 100
STEPS = 12
GROWTH, BEHIND_S = 0.05, 1.0
"""What is called flat, and how far behind the feed may be at most: a second's fixes."""


def resident_mb(pid: int) -> float:
    """Of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def watched(server: Child, readers: list[Reader], seconds: float) -> list[dict[str, float]]:
    """A row for each twelfth of the time."""
    rows, spent_s = [], cpu_s(server.pid)
    for _ in range(STEPS):
        for reader in readers:
            reader.count = 0
        drain(readers, seconds / STEPS)
        now_s = cpu_s(server.pid)
        each = {"cores": (now_s - spent_s) / (seconds / STEPS), "mb": resident_mb(server.pid)}
        rows.append(each | server.asked() | {"read": min(reader.count for reader in readers)})
        spent_s = now_s
    return rows


def run(seconds: float | None = None) -> dict[str, Any]:
    """For so long."""
    seconds = float(os.environ.get("LAPEL_SCALE_S", "20")) if seconds is None else seconds
    with feed_server(UNITS, RATE, TICK_MS, "full") as server:
        readers = [Reader(server.port, kind) for kind in ("sse", "sse", "sse", "ws", "ws")]
        drain(readers, 8.0)
        server.asked()
        rows = watched(server, readers, seconds)
        for reader in readers:
            reader.socket.close()
    third, quarter = rows[STEPS // 3 :], STEPS // 4
    last, before = rows[-quarter:], rows[-2 * quarter : -quarter]
    history, stats = server.last["history"], server.last["stats"]
    growth = third[-1]["mb"] / third[0]["mb"] - 1
    behind = max(row["behind"] for row in last)
    dropped = history.get("dropped", 0)
    return {
        "sound": growth <= GROWTH and behind <= BEHIND_S * RATE and not dropped and stats["live"] == stats["positions"],
        "units": UNITS,
        "seconds": seconds,
        "fixes_per_s": (rows[-1]["sent"] - rows[0]["sent"]) / (seconds * (STEPS - 1) / STEPS),
        "live_of_placed": stats["live"] / stats["positions"],
        "cores": sum(row["cores"] for row in rows) / STEPS,
        "mb_at_a_third": third[0]["mb"],
        "mb_at_the_end": third[-1]["mb"],
        "memory_growth": growth,
        "behind_last_quarter": behind,
        "behind_the_one_before": max(row["behind"] for row in before),
        "busy_max_ms": max(row["busy_max_ms"] for row in rows),
        "late_p99_ms": max(row["late_p99_ms"] for row in last),
        "late_by_itself_max_ms": max(row["late_by_itself_max_ms"] for row in rows),
        "read_per_s_least": min(row["read"] for row in rows) / (seconds / STEPS),
        "history_written": history["written"],
        "history_waiting": history["waiting"],
        "history_dropped": dropped,
        "consumers_closed": str(stats["consumers_closed"]),
    }


def main() -> None:
    """From the command line."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--seconds", type=float, default=None)
    figures = run(asked.parse_args().seconds)
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n")


if __name__ == "__main__":
    main()
