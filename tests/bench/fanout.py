"""Fifty consumers and 2,000 updates a second: what the server costs beside npm ws that sends one array a tick.

Over real sockets, tick 10 ms on both sides, in turn. `cores` is the whole server, its pipeline from the fix to the
feature included; `fan_out_cores` what the consumers add to it, which is what the peer is compared by: it has no
pipeline, it makes up records of the same length.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.bench.readers import Child, Kind, Reader, child, cpu_s, drain, feed_server
from tests.foreign.node import packages

CONSUMERS, RATE, TICK_MS, UNITS = 50, 2_000, 10, 1_000
SECONDS, TURNS = 2.0, 2
FEED_PACKAGES = Path(__file__).parents[1] / "foreign" / "feed"


def alone(server: Child) -> float:
    """Cores of the server with nobody there."""
    before_s = cpu_s(server.pid)
    time.sleep(SECONDS)
    return (cpu_s(server.pid) - before_s) / SECONDS


def measured(server: Child, kind: Kind) -> dict[str, float]:
    """Cores of the server, updates delivered of those wanted, and octets an update."""
    bare = alone(server)
    readers = [Reader(server.port, kind) for _ in range(CONSUMERS)]
    drain(readers, 2.0)
    for reader in readers:
        reader.count = reader.octets = 0
    before_s = cpu_s(server.pid)
    drain(readers, SECONDS)
    spent_s, count = cpu_s(server.pid) - before_s, sum(reader.count for reader in readers)
    octets = sum(reader.octets for reader in readers)
    for reader in readers:
        reader.socket.close()
    return {
        "cores": spent_s / SECONDS,
        "fan_out_cores": spent_s / SECONDS - bare,
        "delivered": count / (RATE * SECONDS * CONSUMERS),
        "octets_each": octets / max(1, count),
    }


def middle(turns: list[dict[str, float]]) -> dict[str, float]:
    """The mean of what was measured in turn."""
    return {name: sum(each[name] for each in turns) / len(turns) for name in turns[0]}


def run() -> dict[str, Any]:
    """SSE, our WebSocket, and the peer with as many octets each."""
    found: dict[str, list[dict[str, float]]] = {"sse": [], "ws": [], "peer": []}
    with feed_server(UNITS, RATE, TICK_MS) as ours:
        octets = str(round(measured(ours, "ws")["octets_each"]))
        environment = {"LAPEL_NODE": str(packages(FEED_PACKAGES))}
        script = str(Path(__file__).with_name("ws_server.mjs"))
        with child("node", script, str(RATE), str(TICK_MS), octets, environment=environment) as peer:
            for _ in range(TURNS):
                found["sse"].append(measured(ours, "sse"))
                found["peer"].append(measured(peer, "peer"))
                found["ws"].append(measured(ours, "ws"))
    each = {kind: middle(turns) for kind, turns in found.items()}
    return {
        "aims": {"cores": 0.15, "of_npm_ws": 1.25},
        **each,
        "sse_of_npm_ws": each["sse"]["fan_out_cores"] / each["peer"]["fan_out_cores"],
        "ws_of_npm_ws": each["ws"]["fan_out_cores"] / each["peer"]["fan_out_cores"],
        "sse_whole_of_npm_ws": each["sse"]["cores"] / each["peer"]["cores"],
        "ws_whole_of_npm_ws": each["ws"]["cores"] / each["peer"]["cores"],
    }


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(run())).decode() + "\n")
