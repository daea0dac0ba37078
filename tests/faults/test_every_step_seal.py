"""Every step of an upload and its seal, blob, staging and log: crash, power cut, failed and lost, failed but kept.

What was told is there after the next start; the recording is sealed once; the store verifies, and nothing is missing.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.evidence import Sealed
from gateway.errors import GatewayError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.needs import FixedTerms, Needs
from gateway.evidence.recordings import Recordings
from gateway.evidence.shares import RecordingSettings
from gateway.evidence.vault.reading import Reader
from gateway.evidence.verify.reconcile import reconcile
from gateway.evidence.verify.store import verify_store
from gateway.evidence_half import LogEntries
from tests.evidence.log.lab import Lab, act
from tests.evidence.vault.lab import KEY, FakePeople, HandClock, fin, noise, offer, pieces
from tests.faults.every_step import WAYS, EveryStep, chosen
from tests.faults.figures import noted

CLIP = noise(150_000)
PARTS = pieces(CLIP, 50_000)
SHUFFLED = (0, 2, 1)


class Told:
    """What a camera was told: ranges, then the receipt."""

    def __init__(self) -> None:
        self.durable: tuple[tuple[int, int], ...] = ()
        self.sealed: Sealed | None = None


async def offered(sink: Recordings, told: Told, patience: int) -> None:
    """One upload from its offer to its receipt; each question asked again so often."""

    async def asked(question: Callable[[], Awaitable[Any]]) -> Any:
        for left in range(patience, -1, -1):
            try:
                return await question()
            except (GatewayError, OSError):
                if not left:
                    raise
        raise AssertionError

    state = await asked(lambda: sink.begin(offer(CLIP)))
    for place in () if isinstance(state, Sealed) else SHUFFLED:
        state = await asked(lambda place=place: sink.keep(PARTS[place]))
        if isinstance(state, Sealed):
            break
        told.durable = state.durable
    told.sealed = state if isinstance(state, Sealed) else await asked(lambda: sink.finish(fin(CLIP)))


async def life(lab: Lab, told: Told, *, patience: int = 0) -> None:
    """One process, ended in order as far as the disk lets it."""
    log = lab.log()
    try:
        await log.open()
        sink = made(lab, log)
        try:
            await sink.open()
            await offered(sink, told, patience)
        finally:
            await sink.close()
    finally:
        await log.close()


def made(lab: Lab, log: CustodyLog) -> Recordings:
    """The sink as a gateway composes it."""
    terms = FixedTerms("PCC", "PCC/uncategorised@3", 31)
    needs = Needs(log, LogEntries(log), lab.catalogue, lab.keyring, lab.keystore, FakePeople(), terms, HandClock())
    return Recordings(lab.evidence, needs, RecordingSettings(reserve_mb=0))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of one act."""
    lab = Lab(tmp_path_factory.mktemp("empty") / "store")
    with lab.opened() as log:
        log.record_now(act(0, None, "browse"))
    lab.close()
    return lab.directory


def broken(empty: Path, folder: Path, way: str, at: int) -> tuple[EveryStep, Told]:
    """One life in which a step fails, and what the camera heard in it."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(empty, folder)
    lab, told = Lab(folder), Told()
    steps = EveryStep(folder, way, at, dead=OSError)
    with steps.taken():
        try:
            asyncio.run(life(lab, told, patience=3 if way in {"lost", "kept"} else 0))
        except (GatewayError, OSError):
            assert way
    lab.close()
    steps.settle()
    return steps, told


def found(folder: Path, told: Told, where: str) -> None:
    """After the next start all that was told is there; offered again, it is sealed, once, byte for byte."""
    lab, again = Lab(folder), Told()

    async def next_life() -> None:
        log = lab.log()
        await log.open()
        sink = made(lab, log)
        await sink.open()
        await sink.waiting.caught_up()
        state = await sink.state(KEY)
        assert told.sealed is None or (state and state.exhibit == told.sealed.exhibit), where
        if state is not None and not isinstance(state, Sealed):
            for start, end in told.durable:
                assert any(a <= start and end <= b for a, b in state.durable), where
        else:
            assert state is not None or not told.durable, where
        await offered(sink, again, 0)
        await sink.close()
        await log.close()

    asyncio.run(next_life())
    assert again.sealed is not None
    reader = Reader(lab.evidence, lab.keyring, lab.catalogue.exhibit)
    assert b"".join(reader.read(again.sealed.exhibit, 0)) == CLIP, where
    kinds = [leaf["kind"] for leaf in lab.check() if leaf.get("exhibit") == again.sealed.exhibit]
    assert kinds == ["receive", "seal"], where
    lab.close()
    report = verify_store(lab.evidence, lab.directory / "keys")
    assert report.ok, (where, report.findings)
    assert (report.counts["sealed"], report.counts["blobs"]) == (1, 1), where
    assert reconcile(lab.evidence, lab.directory / "keys").items == [], where


@pytest.mark.timeout(900)
@pytest.mark.parametrize("way", WAYS)
def test_at_every_step(empty: Path, tmp_path: Path, way: str) -> None:
    """Blob, staging and log of one store on one disk."""
    counted, told = broken(empty, tmp_path / "count", "", -1)
    assert told.sealed is not None
    assert any("blobs/" in step for step in counted.done)
    assert any("log/checkpoint" in step for step in counted.done)
    tried = 0
    for at in chosen(len(counted.done), way):
        steps, told = broken(empty, tmp_path / "store", way, at)
        found(tmp_path / "store", told, f"{way} {at}: {steps.done[min(at, len(steps.done) - 1)]}")
        tried += 1
    noted("steps of a seal", way=way, tried=tried, of=len(counted.done))


def test_a_disk_that_does_not_sync_is_caught(empty: Path, tmp_path: Path) -> None:
    """The negative control: nothing was made durable, and what was told is found to be gone."""
    shutil.copytree(empty, tmp_path / "store")
    lab, told, steps = Lab(tmp_path / "store"), Told(), EveryStep(tmp_path / "store", "power")
    steps.power.honest = False
    with steps.taken():
        asyncio.run(life(lab, told))
    lab.close()
    steps.settle()
    assert told.sealed is not None
    with pytest.raises((AssertionError, GatewayError)):
        found(tmp_path / "store", told, "control")
