"""One stalled consumer of two hundred: what it does to the others' p99.

2,000 updates a second, tick 100 ms. Two hundred that read, two hundred of which one does not, and the first again, in
turn; `late` is how old the newest position of a chunk is when a consumer has it, of twenty who are timed.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import Any

import msgspec

from firmware_stubs.fleet_account import percentile
from tests.bench.readers import Child, Reader, drain, feed_server

CONSUMERS, TIMED, RATE, TICK_MS, UNITS = 200, 20, 2_000, 100, 200
SECONDS = 4.0


def others_p99_ms(server: Child, stalled: int) -> float:
    """Of those who read, in a quiet moment after everybody has come."""
    readers = [Reader(server.port, "sse", timed=number < TIMED) for number in range(CONSUMERS - stalled)]
    stuck = [Reader(server.port, "sse") for _ in range(stalled)]  # never read from: its socket fills, then its buffer
    drain(readers, 1.5)
    for reader in readers:
        reader.late_ms.clear()
    drain(readers, SECONDS)
    late = [late_ms for reader in readers for late_ms in reader.late_ms]
    for reader in (*readers, *stuck):
        reader.socket.close()
    time.sleep(0.3)
    return float(percentile(late, 0.99) or 0.0)


def run() -> dict[str, Any]:
    """Without, with, without."""
    with feed_server(UNITS, RATE, TICK_MS) as server:
        turns = [others_p99_ms(server, stalled) for stalled in (0, 1, 0, 1)]
    without, beside = statistics.mean(turns[::2]), statistics.mean(turns[1::2])
    stats = server.last["stats"]
    return {
        "aim": 1.5,
        "consumers": CONSUMERS,
        "p99_without_ms": without,
        "p99_beside_a_stalled_one_ms": beside,
        "ratio": beside / without,
        "conflated": stats["conflated"],
    }


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(run())).decode() + "\n")
