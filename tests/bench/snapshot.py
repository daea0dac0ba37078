"""A snapshot of 100,000 units beside a stream of 2,000 fixes a second, and by how much anybody waits for it.

`late_max_ms` is by how much a turn of the server's loop came late on the wall's clock, `late_by_itself_max_ms` that
less the time in which it had no processor, `busy_max_ms` the most CPU between two turns (feed_server.py). While this is
measured, 100,000 positions sent at once grow old at once, too.
"""

from __future__ import annotations

import http.client
import sys
import time
from typing import Any

import msgspec

from tests.bench.readers import Child, Kind, Reader, drain, feed_server

UNITS, RATE, TICK_MS = 100_000, 2_000, 100
QUIET_S, PATIENCE_S = 2.0, 20.0
OPENS = {"sse": b"event: snapshot", "ws": b'"type":"snapshot"'}
ENDS = b'"emergencies":[]}'


def streamed(server: Child, kind: Kind) -> dict[str, Any]:
    """Subscribe, and read until the snapshot is over and a second of what comes behind."""
    reader, began_s = Reader(server.port, kind), time.monotonic()
    reader._word = ENDS
    while not reader.count:
        drain([reader], 0.02)
        assert time.monotonic() - began_s < PATIENCE_S, "the snapshot does not end"
    took_s, octets = time.monotonic() - began_s, reader.octets
    reader._word, reader.count = b'position"' if kind == "ws" else b"event: position", 0
    drain([reader], 1.0)
    reader.socket.close()
    assert reader.count > RATE // 4, f"only {reader.count} positions behind the snapshot"
    return {"mb": octets / 1e6, "seconds": took_s, **server.asked()}


def asked(server: Child) -> dict[str, Any]:
    """GET /v1/units."""
    began_s, link = time.monotonic(), http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    link.request("GET", "/v1/units", headers={"Authorization": "Bearer x"})
    body = link.getresponse().read()
    took_s = time.monotonic() - began_s
    link.close()
    told = {"mb": len(body) / 1e6, "seconds": took_s, **server.asked()}
    assert len(msgspec.json.decode(body)["features"]) == UNITS
    return told


def run() -> dict[str, Any]:
    """Nobody, then REST, SSE and WebSocket, one after the other."""
    with feed_server(UNITS, RATE, TICK_MS) as server:
        time.sleep(1)
        server.asked()
        time.sleep(QUIET_S)
        quiet = server.asked()
        found = {"rest": asked(server), "sse": streamed(server, "sse"), "ws": streamed(server, "ws")}
    return {"aim_ms": 50, "units": UNITS, "nobody": quiet, **found}


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(run())).decode() + "\n")
