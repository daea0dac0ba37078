"""How fast footage becomes a sealed exhibit, against a plain copy of the same bytes with SHA-256 and fsync."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.evidence.vault.lab import MIB, Lab, fin, noise, offer, pieces

OCTETS = 256 * MIB
WINDOW = 8
ROUNDS = 3


def plain_copy(directory: Path, content: bytes, segment: int) -> float:
    """Seconds to hash and write the bytes, one fdatasync per window, one fsync at the end."""
    began = time.perf_counter()
    digest = hashlib.sha256()
    with (directory / "plain").open("wb", buffering=0) as file:
        for at in range(0, len(content), segment):
            piece = memoryview(content)[at : at + segment]
            digest.update(piece)
            file.write(piece)
            if at % (WINDOW * segment) == 0:
                os.fdatasync(file.fileno())
        os.fsync(file.fileno())
    return time.perf_counter() - began


async def sealed(directory: Path, content: bytes, segment: int) -> float:
    """Seconds from begin to the receipt, a window of segments in flight."""
    lab = Lab(directory, reserve_mb=0)
    lab.law = None
    recordings = lab.recordings()
    async with contextlib.AsyncExitStack() as stack:
        await recordings.open()
        stack.push_async_callback(recordings.close)
        stated = offer(content)
        end = fin(content)
        segments = pieces(content, segment)
        began = time.perf_counter()
        await recordings.begin(stated)
        room = asyncio.Semaphore(WINDOW)

        async def keep(piece) -> None:
            try:
                await recordings.keep(piece)
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            for piece in segments:
                await room.acquire()
                group.create_task(keep(piece))
        receipt = await recordings.finish(end)
        took = time.perf_counter() - began
        assert receipt.sha256 == end.sha256
        return took


def run() -> dict[str, float]:
    """Median MB/s of both and their ratio, per segment size; rounds interleaved."""
    content = b"".join(noise(MIB, seed) for seed in range(OCTETS // MIB))
    found: dict[str, float] = {}
    for segment, name in ((MIB, "1m"), (256 * 1024, "256k")):
        plain, ours = [], []
        for _ in range(ROUNDS):
            with tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as directory:
                plain.append(plain_copy(Path(directory), content, segment))
            with tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as directory:
                ours.append(asyncio.run(sealed(Path(directory), content, segment)))
        found[f"plain_{name}_mb_s"] = round(OCTETS / 1e6 / statistics.median(plain), 1)
        found[f"vault_{name}_mb_s"] = round(OCTETS / 1e6 / statistics.median(ours), 1)
        found[f"ratio_{name}"] = round(statistics.median(ours) / statistics.median(plain), 2)
    return found


if __name__ == "__main__":
    print(run())
