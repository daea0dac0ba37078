"""How quickly the custody log commits, against a bare loop that syncs the same bytes; how quickly it proves."""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
import time
from pathlib import Path

from gateway.evidence.log import merkle
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.tiles import Edge, grow, tile_path, tile_width
from tests.evidence.log.lab import Lab, act

ENTRIES = 10_240
CALLERS = 1_024
BATCH = 256
TREE = 10_000_000
PROOFS = 500
AIM_PER_S, AIM_PROOF_MS = 5_000, 5.0


async def _commit(lab: Lab) -> tuple[float, float]:
    """Entries a second, and seconds of processor for each."""
    log = lab.log()
    await log.open()
    start, spent = time.perf_counter(), time.process_time()

    async def caller(number: int) -> None:
        for entry in range(number, ENTRIES, CALLERS):
            await log.record(act(entry, exhibit=f"X-{number}"))

    async with asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(caller(number))
    taken_s, cpu_s = time.perf_counter() - start, time.process_time() - spent
    await log.close()
    return ENTRIES / taken_s, cpu_s / ENTRIES


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


def _bare(directory: Path, octets: int) -> float:
    """Entries a second of a loop that appends a batch of as many bytes and calls fdatasync, and nothing else."""
    batch = bytes(octets // (ENTRIES // BATCH))
    with (directory / "bare").open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(ENTRIES // BATCH):
            file.write(batch)
            os.fdatasync(file.fileno())
        return ENTRIES / (time.perf_counter() - start)


def _kept(lab: Lab) -> int:
    """Bytes that the entries came to: details, bundles and hash tiles."""
    return sum(
        path.stat().st_size for top in ("details", "log") for path in (lab.evidence / top).rglob("*") if path.is_file()
    )


def tall_tree(directory: Path, size: int) -> bytes:
    """Hash tiles of a log of so many entries, whose leaf hashes are random; its root."""
    edge, step = Edge(), 1 << 14
    for start in range(0, size, step):
        count = min(step, size - start)
        drawn = os.urandom(count * merkle.HASH_BYTES)
        growth = grow(edge, [drawn[at : at + 32] for at in range(0, len(drawn), 32)])
        edge = growth.edge
        for (level, number), tile in growth.tiles.items():
            width = len(tile) // 32
            if width == tile_width(level, number, size):
                path = directory / tile_path(level, number, width)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tile)
    return edge.root()


def _prove(directory: Path, size: int) -> dict[str, float]:
    """Milliseconds of one inclusion proof, its tiles in no cache of ours."""
    root, draw, taken, spent = tall_tree(directory, size), random.Random(1), [], []
    for _ in range(PROOFS):
        index = draw.randrange(size)
        start, spent_s = time.perf_counter(), time.thread_time()
        reader = TileReader(directory)
        path = merkle.inclusion_proof(index, size, reader.node(size))
        taken.append((time.perf_counter() - start) * 1000)
        spent.append((time.thread_time() - spent_s) * 1000)
        number, place = divmod(index, 256)
        leaf = reader.hashes(0, number, size)[place * 32 : place * 32 + 32]
        assert merkle.verify_inclusion(index, size, leaf, path, root)
    taken.sort()
    cpu_ms = sorted(spent)[PROOFS // 2]
    return {
        "median_ms": round(taken[PROOFS // 2], 3),
        "p99_ms": round(taken[PROOFS * 99 // 100], 3),
        "cpu_ms": round(cpu_ms, 3),
        "aim_ms": AIM_PROOF_MS,
    }


def run() -> dict[str, object]:
    """Entries committed a second, the bare loop's, their ratio, the time of one act, and of a proof in 10 million."""
    with tempfile.TemporaryDirectory() as name:
        lab = Lab(Path(name) / "store")
        committed, cpu_s = asyncio.run(_commit(lab))
        octets = _kept(lab)
        alone_ms = asyncio.run(_alone(lab))
        lab.close()
        bare = _bare(Path(name), octets)
        proofs = _prove(Path(name) / "tall", TREE)
    return {
        "log_entries_per_s": round(committed, 1),
        "log_aim_entries_per_s": AIM_PER_S,
        "log_cpu_us_per_entry": round(cpu_s * 1e6, 1),
        "log_bare_write_fdatasync_entries_per_s": round(bare, 1),
        "log_ratio": round(committed / bare, 4),
        "log_single_act_ms": round(alone_ms, 2),
        f"log_proof_in_{TREE}": proofs,
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    print(run())
