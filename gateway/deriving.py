"""Clips and derivatives put together: the vault, the log, the ffmpeg commands; made one at a time in the background."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from gateway.errors import StoreBusyError
from gateway.evidence.derived.deriver import Deriver, Store
from gateway.evidence.settings import StoreSection
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.room import Room
from gateway.evidence_half import Records
from gateway.media.making import Maker
from gateway.media.settings import MediaSettings
from gateway.ports import Clock

LOOK_S = 1.0
SWEEP_EVERY = 3600
_log = structlog.get_logger()


def deriver(records: Records, media: MediaSettings, limits: StoreSection, clock: Clock) -> Deriver:
    """What makes new exhibits of masters."""
    root, files = Path(records.custody.directory), DiskFiles()
    return Deriver(
        Store(
            root=root,
            files=files,
            room=Room(files, root, limits.reserve_mb << 20),
            keyring=records.keyring,
            keks=records.keystore,
            shelf=records.catalogue,
            log=records.custody,
            now=clock.now,
            make=Maker(media, records.reader).make,
        )
    )


async def kept_deriving(deriving: Deriver, made: Callable[[], None]) -> None:
    """Bring every job to its end, oldest first, those that a restart found too, and say so; until cancelled."""
    looks = 0
    while True:
        try:
            if looks % SWEEP_EVERY == 0:
                await asyncio.to_thread(deriving.sweep)
            for job in await asyncio.to_thread(deriving.waiting):
                await deriving.finish(job.exhibit)
                made()
        except StoreBusyError as busy:
            _log.warning("derivative_put_off", problem=str(busy))
            await asyncio.sleep(busy.retry_after_s)
        except Exception:  # noqa: BLE001 - a defect here must not take evidence along: the next look tries again
            _log.exception("derivatives_not_made")
        looks += 1
        await asyncio.sleep(LOOK_S)
