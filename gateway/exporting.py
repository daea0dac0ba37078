"""Exports put together: store, keys, witnesses and time-stamps as the configuration names them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway.crypto.export_keys import ExportSigner, export_signer, fingerprint, stamping_certificate
from gateway.crypto.notes import parse_vkey
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError, LinkError
from gateway.evidence.export.exporter import Exported, Exporter
from gateway.evidence.export.faults import KINDS, LISTED_MAX, Kept, fault_record
from gateway.evidence.export.order import Needs, Order, Published, Witnessing
from gateway.evidence.log.witnessed import read_cosigned
from gateway.evidence.settings import LogSection
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.verify.exported import verify_export
from gateway.evidence.witnesses import Witnesses
from gateway.evidence_half import Records
from gateway.observe import SystemClock
from gateway.outlets.own_timestamps import OwnTimestamps
from gateway.outlets.settings import TimestampSettings
from gateway.outlets.timestamps import TimestampClient
from gateway.ports import Timestamps
from gateway.store.quarantine import QuarantineStore
from gateway.witnessing import kept_running, witnessed

POLL_S = 0.2


def published(store: Records, log: LogSection, stamping: TimestampSettings) -> Published:
    """What is to be published outside every bag; keys that exports need are made where there are none."""
    now, keys = SystemClock().now().utc, store.keystore.directory
    signer = _signer(store, now)
    stamp: bytes | None = None
    if stamping.embedded:
        stamp = stamping_certificate(keys, f"Time-stamps of {store.custody.origin}", now)
    elif stamping.ca is not None:
        stamp = Path(stamping.ca).read_bytes()
    return Published(
        vkey=store.custody.vkey,
        log_operator=log.operator,
        signing_pem=signer.pem,
        signing_sha256=fingerprint(signer.pem),
        witnesses=tuple(Witnessing(each.vkey, each.operator) for each in log.witness),
        stamp_pem=stamp,
        stamp_sha256=None if stamp is None else fingerprint(stamp),
        stamp_label=stamping.label(log.operator),
    )


async def export(
    store: Records, log: LogSection, stamping: TimestampSettings, order: Order, target: Path, patience_s: float
) -> Exported:
    """Make one export; EvidenceError says what it waits for where it can't be finished yet."""
    telling = await asyncio.to_thread(published, store, log, stamping)
    async with witnessed(log, store.custody, SystemClock()) as witnesses:
        needs = Needs(
            log=store.custody,
            shelf=store.catalogue,
            read=lambda exhibit, start: store.reader.read(ExhibitId(exhibit), start),
            cosigned=_cosigning(store, witnesses, patience_s),
            signer=_signer(store, SystemClock().now().utc),
            published=telling,
            faults=lambda since, until: faults(store, since, until),
            now=lambda: SystemClock().now().utc,
            files=DiskFiles(),
            build=version("lapel"),
            stamps=_stamps(store, stamping),
        )
        try:
            return await Exporter(needs, order, target, check_made).run()
        except LinkError as problem:
            raise EvidenceError(f"no time-stamp: {problem}; the same command goes on from here") from problem


async def cosigned_note(store: Records, log: LogSection, index: int, patience_s: float) -> str:
    """A checkpoint that covers an entry and met the quorum; EvidenceError where it takes longer than that."""
    async with witnessed(log, store.custody, SystemClock()) as witnesses:
        return await _cosigning(store, witnesses, patience_s)(index)


def check_made(bag: Path) -> None:
    """Whether the bag verifies, by code that did not write it; its recordings were compared as they were written."""
    verify_export(bag, masters=False).raise_first()


def faults(store: Records, since: datetime, until: datetime) -> dict[str, Any]:
    """The fault record of a span."""
    journal = store.custody.directory.parent / "journal"
    quarantined = None
    if (journal / "quarantine.db").exists():
        kept = QuarantineStore(journal / "quarantine.db", store.keystore.wrap, store.keystore.unwrap)
        try:
            quarantined = kept.reasons(since, until)
        finally:
            kept.close()
    first, last = since.date().isoformat(), until.date().isoformat()
    begun: dict[str, str] = {}
    for stem in sorted(path.stem for path in journal.glob("*.jrn")):
        begun.setdefault(stem[14:], stem)  # a file an hour, of which the first of a run is its start
    starts = sorted(stem for stem in begun.values() if first <= stem[:10] <= last)
    kinds = store.catalogue.kinds_between(since, until)
    listed = store.catalogue.of_kinds(KINDS, since, until, LISTED_MAX)
    return fault_record(Kept(kinds, listed, quarantined, starts), store.custody, since, until, version("lapel"))


def _signer(store: Records, now: datetime) -> ExportSigner:
    return export_signer(store.keystore.directory, f"Exports of {store.custody.origin}", now)


def _stamps(store: Records, stamping: TimestampSettings) -> Timestamps | None:
    if stamping.url is not None:
        return TimestampClient(stamping.url, stamping.patience_s)
    return OwnTimestamps(store.keystore.directory) if stamping.embedded else None


def _cosigning(store: Records, witnesses: Witnesses | None, patience_s: float) -> Callable[[int], Awaitable[str]]:
    """Give what waits for a checkpoint that covers an entry and met the quorum."""

    async def cosigned(index: int) -> str:
        try:
            async with asyncio.timeout(patience_s):
                if witnesses is None:
                    return await _found_cosigned(store, index)
                return await _asked(witnesses, index)
        except TimeoutError as late:
            waited = f"entry {index} is not cosigned by the quorum after {patience_s:g} s"
            where = (
                "" if witnesses is not None else " (while the gateway runs, or with -c, where its witnesses are named)"
            )
            raise EvidenceError(f"{waited}; the same command goes on from here{where}") from late

    return cosigned


async def _asked(witnesses: Witnesses, index: int) -> str:
    async with asyncio.TaskGroup() as group:
        running = group.create_task(kept_running(witnesses))
        try:
            return (await witnesses.wait_cosigned(index)).note
        finally:
            running.cancel()


async def _found_cosigned(store: Records, index: int) -> str:
    """The newest checkpoint; of a log that was witnessed, and whose witnesses nobody named here, the gateway's word."""
    custody = store.custody
    log = custody.directory / "log"
    if not (log / "cosigned").exists():
        return custody.checkpoint_text
    while True:
        found = await asyncio.to_thread(read_cosigned, log, parse_vkey(custody.vkey))
        if found is not None and found.size > index:
            return found.note
        await asyncio.sleep(POLL_S)
