"""Two hundred cameras at once: their total against one stream, the gateway's memory, and positions meanwhile.

LAPEL_BENCH_CROWD is CAMERASxMB (200x50); the disk needs room for that. Aims: total within 20 % of one stream,
memory 300 MB at most, a position on the feed within 250 ms (99th percentile).
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from firmware_stubs.fleet_account import percentile
from tests.bench.site import BEACON, Memory, Site, site
from tests.faults.onlookers import Bystander, FeedReader
from tests.scenarios.gateway_process import ROOT

ONE_MB = 500
EVERY_S = 0.1


def fleet(at: Site, cameras: int, megabytes: int) -> dict[str, Any]:
    """So many cameras with one recording each; the account, without a breach and with nothing held."""
    words = ["--mqtt", f"127.0.0.1:{at.port}", "--vkey", str(at.vkey), "--patience", "30", "--timeout", "1800"]
    command = [sys.executable, "-m", "firmware_stubs.fleet", *words]
    done = subprocess.run(
        [*command, "--cameras", str(cameras), "--size", str(megabytes)], cwd=ROOT, capture_output=True, text=True
    )
    account: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, account["sealed"]) == (0, cameras), account
    return account


class Positions(threading.Thread):
    """Somebody who walks: each position's way from a beacon to the feed, in seconds."""

    def __init__(self, at: Site) -> None:
        super().__init__(daemon=True)
        self.late_s: list[float] = []
        self.over = threading.Event()
        self._beacon = Bystander(at.port)
        self._feed = FeedReader(at.gateway.address, at.gateway.token())

    def run(self) -> None:
        """One after the other until it is over."""
        number = 0
        while not self.over.wait(EVERY_S):
            number += 1
            latitude = round(52.5 + number * 1e-5, 6)
            began_s = time.monotonic()
            self._beacon.position(BEACON, latitude)
            self._feed.sees(lambda _name, seen, wanted=latitude: f"{wanted}" in json.dumps(seen), "the position")
            self.late_s.append(time.monotonic() - began_s)
            del self._feed.events[:]

    def close(self) -> None:
        """Stop walking."""
        self.over.set()
        self.join(30)
        self._feed.close()
        self._beacon.close()


def run() -> dict[str, Any]:
    """One stream, then the crowd, then one stream again, on one gateway."""
    cameras, megabytes = map(int, os.environ.get("LAPEL_BENCH_CROWD", "200x50").split("x"))
    with (
        tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as name,
        site(Path(name), kinds=("camera", "beacon")) as at,
    ):
        one = [fleet(at, 1, ONE_MB)["mb_s"]]
        walking = Positions(at)
        walking.start()
        with Memory(at.gateway.pid) as memory:
            crowd = fleet(at, cameras, megabytes)
        walking.close()
        one.append(fleet(at, 1, ONE_MB)["mb_s"])
    return {
        "aims": {"of_one_stream": 0.8, "gateway_peak_mb": 300, "positions_p99_ms": 250},
        "cameras": cameras,
        "recording_mb": megabytes,
        "one_stream_mb_s": statistics.mean(one),
        "crowd_mb_s": crowd["mb_s"],
        "of_one_stream": round(crowd["mb_s"] / statistics.mean(one), 2),
        "gateway_peak_mb": round(memory.peak, 1),
        "receipt_s": crowd["receipt_s"],
        "positions": len(walking.late_s),
        "positions_p50_ms": round(1000 * (percentile(walking.late_s, 0.5) or 0)),
        "positions_p99_ms": round(1000 * (percentile(walking.late_s, 0.99) or 0)),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
