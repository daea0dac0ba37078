"""Reconciliation beside a gateway at work: what is under way is never called missing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from gateway.domain.evidence import Act, RecordingKey
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.evidence.needs import FixedTerms, Needs
from gateway.evidence.recordings import Recordings
from gateway.evidence.shares import RecordingSettings
from gateway.evidence.vault.thumbnails import Thumbnails
from gateway.evidence.verify.items import Reconciliation
from gateway.evidence.verify.reconcile import reconcile
from tests.evidence.log.lab import Lab
from tests.evidence.vault.lab import FakePeople, HandClock, fin, noise, offer, pieces

RECORDINGS = int(os.environ.get("LAPEL_RECONCILE_RECORDINGS", "14"))


async def work(sink: Recordings, log, lab: Lab, camera: int, made: list[str]) -> None:
    """Seal one recording after the other: whole ones, ones of nothing, ones given up, with pictures and other acts."""
    shelf, number = Thumbnails(lab.evidence, lab.keyring), 0
    while len(made) < RECORDINGS:
        number += 1
        made.append(f"{camera} {number}")
        content, key = noise(90_000 + number, number), RecordingKey(DeviceId(f"cam-{camera}"), f"r{number}")
        await sink.begin(offer(content, key=key))
        if number % 5 == 0:
            await sink.abandon(key)
            continue
        for part in pieces(content, 30_000, key)[: 2 if number % 7 == 0 else None]:
            await sink.keep(part)
        if number % 7 == 0:
            await sink.abandon(key)
            continue
        sealed = await sink.finish(fin(content, key))
        picture = await asyncio.to_thread(shelf.put, ExhibitId(sealed.exhibit), b"picture")
        await log.record(Act("derive", "system", ExhibitId(sealed.exhibit), {"what": "media", "thumbnail": picture}))
        await log.record(Act("browse", "P-1", None, {}, {"listed": number}))


async def test_nothing_under_way_is_missing(tmp_path: Path) -> None:
    """Again and again while two cameras upload: everything is there each time, and in the end."""
    lab = Lab(tmp_path)
    looks: list[Reconciliation] = []
    with lab.opened() as log:
        terms = FixedTerms("PCC", "PCC/uncategorised@3", 31)
        needs = Needs(log, log, lab.catalogue, lab.keyring, lab.keystore, FakePeople(), terms, HandClock())
        sink = Recordings(lab.evidence, needs, RecordingSettings(reserve_mb=0))
        await sink.open()
        made: list[str] = []
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(work(sink, log, lab, camera, made)) for camera in (1, 2)]
            while not all(task.done() for task in workers):
                looks.append(await asyncio.to_thread(reconcile, lab.evidence, tmp_path / "keys"))
        await sink.close()
    lab.close()
    looks.append(reconcile(lab.evidence, tmp_path / "keys"))
    assert [item for told in looks for item in told.items] == []
    assert len(looks) > 2
    assert looks[-1].counts["sealed"] + looks[-1].counts.get("incomplete", 0) > 5
    assert looks[-1].counts["exhibits"] >= looks[0].counts["exhibits"]
