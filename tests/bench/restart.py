"""How soon the gateway is ready with a thousand half-finished uploads in staging, and when the last was looked into.

The store is the real one (keys.db, log, catalogue); the gateway is a process of its own (`lapel run`).
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from gateway import settings as configuration_of
from gateway.domain.evidence import RecordingKey, RecordingOffer, Segment
from gateway.domain.ids import DeviceId
from gateway.evidence_half import evidence_half
from gateway.observe import SystemClock
from gateway.roster.directory import Roster
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

UPLOADS = int(os.environ.get("LAPEL_BENCH_UPLOADS", "1000"))
OCTETS = int(os.environ.get("LAPEL_BENCH_UPLOAD_KB", "2000")) * 1000


async def leave(folder: Path, uploads: int, octets: int) -> None:
    """Begin so many uploads and leave them half done: the first half, and the last piece."""
    settings = configuration_of.load(folder / "lapel.toml")
    content = random.Random(1).randbytes(octets)
    half, last = octets // 2, octets - octets // 10
    async with evidence_half(settings, Roster((), (), (), ()), SystemClock()) as store:
        for number in range(uploads):
            key = RecordingKey(DeviceId(f"cam-{number % 200:04}"), f"rec-{number}")
            await store.recordings.begin(RecordingOffer(key, "clip.mp4", size=octets))
            await store.recordings.keep(Segment(key, 0, content[:half]))
            await store.recordings.keep(Segment(key, last, content[last:]))


def measure(folder: Path, uploads: int = UPLOADS, octets: int = OCTETS) -> dict[str, Any]:
    """Seconds from the process's start until it serves, and until every upload has been looked into."""
    with mosquitto(folder) as port:
        gateway = GatewayProcess(folder, configuration(folder / "data", port, store={"reserve_mb": 0}))
        empty_s = _start(gateway)
        gateway.terminate()
        began = time.monotonic()
        asyncio.run(leave(folder, uploads, octets))
        left_s = time.monotonic() - began
        try:
            began = time.monotonic()
            ready_s = _start(gateway)
            until(lambda: gateway.events("uploads_looked_into"), 600, "all looked into", 0.05)
            return {
                "uploads": uploads,
                "each_mb": octets / 1e6,
                "left_in_s": left_s,
                "ready_s": ready_s,
                "ready_with_none_s": empty_s,
                "looked_into_s": time.monotonic() - began,
            }
        finally:
            gateway.kill()


def _start(gateway: GatewayProcess) -> float:
    began = time.monotonic()
    gateway.start().ready(120)
    return time.monotonic() - began


def run() -> dict[str, Any]:
    """Once; the store lies below LAPEL_BENCH_DIR or the temporary directory."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as name:
        return measure(Path(name))


if __name__ == "__main__":
    print(run())
