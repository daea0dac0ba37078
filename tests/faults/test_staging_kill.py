"""kill -9 of a process that keeps segments in a loop: what it was told durable is there."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.domain.evidence import Sealed, Segment
from tests.evidence.vault.lab import KEY, FakeKeyring, Lab, fin, noise, offer

SIZE = 3_000_000
SEED = 11


class FileKeyring(FakeKeyring):
    """Secrets in files, so that two processes share them."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        for path in root.iterdir():
            if path.suffix != ".new":
                self.secrets[path.name.replace("|", "/")] = path.read_bytes()

    def put(self, name, secret):
        """Keep, whole or not at all."""
        super().put(name, secret)
        path = self.root / name.replace("/", "|")
        fresh = path.with_suffix(".new")
        fresh.write_bytes(secret)
        fresh.rename(path)

    def delete(self, name):
        """Destroy."""
        super().delete(name)
        (self.root / name.replace("/", "|")).unlink(missing_ok=True)


async def child(root: Path) -> None:
    """Keep segments in a mad order, telling on standard output what was acknowledged, until killed."""
    lab = Lab(root)
    lab.keyring = FileKeyring(root / "keys")
    content, chance = noise(SIZE, SEED), random.Random(int(time.time() * 1e6))
    async with lab.running() as sink:
        state = await sink.begin(offer(content))
        while True:
            print(json.dumps(state.durable), flush=True)
            first = next(iter(state.missing), (0, SIZE))[0]
            at = first if chance.random() < 0.7 else chance.randrange(SIZE)
            piece = content[at : at + chance.randrange(1, 60_000)]
            state = await sink.keep(Segment(KEY, at, piece))


def killed(root: Path, seconds: float) -> list:
    """Run the child so long; the last ranges it was told."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.test_staging_kill", str(root)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    lines = [line, *process.stdout.read().splitlines(keepends=True)]
    process.wait()
    process.stdout.close()
    return json.loads([told for told in lines if told.endswith("\n")][-1])


@pytest.mark.parametrize("seconds", [0.02, 0.3])
async def test_killed_again_and_again(tmp_path, seconds):
    """Three lives ended by SIGKILL, then one that ends in order: nothing told is lost, sealed byte-exact."""
    told: list = []
    for _ in range(3):
        now = await asyncio.to_thread(killed, tmp_path, seconds)
        assert covered(told, now), "the next life lost something"
        told = now
    lab, content = Lab(tmp_path), noise(SIZE, SEED)
    lab.keyring = FileKeyring(tmp_path / "keys")
    async with lab.running() as sink:
        state = await sink.begin(offer(content))
        assert covered(told, state.durable)
        assert state.durable
        for start, end in state.missing:
            for at in range(start, end, 1_000_000):
                await sink.keep(Segment(KEY, at, content[at : min(end, at + 1_000_000)]))
        sealed = await sink.finish(fin(content))
    assert isinstance(sealed, Sealed)
    assert sealed.flags == ()
    assert lab.content(sealed.exhibit) == content


def covered(ranges, by) -> bool:
    """Whether every range lies within one of the others."""
    return all(any(a <= start and end <= b for a, b in by) for start, end in ranges)


if __name__ == "__main__":
    asyncio.run(child(Path(sys.argv[1])))
