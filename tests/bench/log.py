"""How quickly the custody log commits, against a bare loop that fsyncs one file per batch."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from tests.evidence.log.lab import Lab, act

ENTRIES = 5_000
CALLERS = 256
FSYNCS = 300


async def _commit(lab: Lab) -> float:
    log = lab.log()
    await log.open()
    start = time.perf_counter()

    async def caller(number: int) -> None:
        for entry in range(number, ENTRIES, CALLERS):
            await log.record(act(entry, exhibit=f"X-{number}"))

    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(caller(number))
    taken_s = time.perf_counter() - start
    await log.close()
    return ENTRIES / taken_s


async def _alone(lab: Lab) -> float:
    """Milliseconds of one act on an idle log."""
    log = lab.log()
    await log.open()
    start = time.perf_counter()
    for number in range(100):
        await log.record(act(number))
    taken_s = time.perf_counter() - start
    await log.close()
    return taken_s * 10


def _bare(directory: Path) -> float:
    """Entries a second of `write 256 leaves, fsync` and nothing else."""
    batch = b"x" * 300 * CALLERS
    with (directory / "bare").open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(FSYNCS):
            file.write(batch)
            os.fsync(file.fileno())
        return FSYNCS * CALLERS / (time.perf_counter() - start)


def run() -> dict[str, float]:
    """Entries committed a second, the bare loop's, their ratio, and the time of a single act."""
    with tempfile.TemporaryDirectory() as name:
        lab = Lab(Path(name) / "store")
        committed, alone_ms = asyncio.run(_commit(lab)), asyncio.run(_alone(lab))
        lab.close()
        bare = _bare(Path(name))
    return {
        "log_entries_per_s": round(committed, 1),
        "log_bare_fsync_entries_per_s": round(bare, 1),
        "log_ratio": round(committed / bare, 4),
        "log_single_act_ms": round(alone_ms, 2),
    }


if __name__ == "__main__":
    print(run())
