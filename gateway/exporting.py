"""Exports put together: store, keys, witnesses and time-stamps as the configuration names them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gateway.crypto.export_keys import ExportSigner, export_signer, fingerprint, stamping_certificate
from gateway.crypto.notes import parse_vkey
from gateway.domain.ids import ExhibitId
from gateway.domain.time import rfc3339
from gateway.errors import EvidenceError, LinkError
from gateway.evidence.export.defects import known_defects
from gateway.evidence.export.exporter import Exported, Exporter
from gateway.evidence.export.faults import KINDS, LISTED_MAX, Kept, builds_of, fault_record
from gateway.evidence.export.order import Former, Needs, Order, Progress, Published, Witnessing, unheard
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
from gateway.rekeying import changes
from gateway.store.losses import LossStore
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
        former=former(store, ours=stamping.embedded),
    )


def former(store: Records, *, ours: bool) -> Former:
    """Every key and certificate that was changed for another, as the log has it."""
    found: dict[str, tuple[str, ...]] = {}
    spans: dict[str, str] = {}
    for what in ("log", "export", *(["tsa"] if ours else [])):
        turns = [each for each in changes(store, what) if "new" in each.facts]
        for each in turns:
            spans[each.facts["new"]] = f" since={rfc3339(each.at)}"
        for each in turns:
            ended = spans.get(each.facts["old"], "") + f" until={rfc3339(each.at)}"
            spans[each.facts["old"]] = ended + (f" size={each.index + 1}" if what == "log" else "")
        found[what] = tuple(each.facts["old"] for each in reversed(turns))
    return Former(found["log"], found["export"], found.get("tsa", ()), spans, store.custody.rotations)


@dataclass(frozen=True)
class Terms:
    """How exports are made here: witnesses, time-stamps, a file of known defects newer than this release's."""

    log: LogSection
    stamping: TimestampSettings
    known_defects: str | None = None


@dataclass(frozen=True)
class Wanted:
    """One export: what, whereto, how long it waits for the witnesses, its id where it has one, who hears of it."""

    order: Order
    target: Path
    patience_s: float
    name: str | None = None
    told: Callable[[Progress], None] = unheard


async def export(store: Records, terms: Terms, wanted: Wanted) -> Exported:
    """Make one export; EvidenceError says what it waits for where it can't be finished yet."""
    async with witnessed(terms.log, store.custody, SystemClock()) as witnesses:
        return await exported(store, terms, wanted, _cosigning(store, witnesses, wanted.patience_s, wanted.told))


async def exported(store: Records, terms: Terms, wanted: Wanted, cosigned: Callable[[int], Awaitable[str]]) -> Exported:
    """As `export`, where somebody else listens to the witnesses."""
    telling = await asyncio.to_thread(published, store, terms.log, terms.stamping)
    needs = Needs(
        log=store.custody,
        shelf=store.catalogue,
        read=lambda exhibit, start: store.reader.read(ExhibitId(exhibit), start),
        cosigned=cosigned,
        signer=_signer(store, SystemClock().now().utc),
        published=telling,
        faults=lambda since, until: faults(store, since, until, terms.known_defects),
        now=lambda: SystemClock().now().utc,
        files=DiskFiles(),
        build=version("lapel"),
        stamps=_stamps(store, terms.stamping),
        told=wanted.told,
    )
    try:
        return await Exporter(needs, wanted.order, wanted.target, check_made, wanted.name).run()
    except LinkError as problem:
        raise EvidenceError(f"no time-stamp: {problem}; the same command goes on from here") from problem


async def cosigned_note(store: Records, log: LogSection, index: int, patience_s: float) -> str:
    """A checkpoint that covers an entry and met the quorum; EvidenceError where it takes longer than that."""
    async with witnessed(log, store.custody, SystemClock()) as witnesses:
        return await _cosigning(store, witnesses, patience_s)(index)


def check_made(bag: Path) -> None:
    """Whether the bag verifies, by code that did not write it; its recordings were compared as they were written."""
    verify_export(bag, masters=False).raise_first()


def faults(store: Records, since: datetime, until: datetime, newer_defects: str | None = None) -> dict[str, Any]:
    """The fault record of a span."""
    journal, catalogue, custody = store.custody.directory.parent / "journal", store.catalogue, store.custody
    first, last = since.date(), until.date()
    begun: dict[str, str] = {}
    for stem in sorted(path.stem for path in journal.glob("*.jrn")):
        begun.setdefault(stem[14:], stem)  # a file an hour, of which the first of a run is its start
    starts = sorted(stem for stem in begun.values() if str(first) <= stem[:10] <= str(last))
    listed = catalogue.of_kinds(KINDS, since, until, LISTED_MAX)
    span = catalogue.indexes_between(since, until)
    kept = Kept(
        kinds=catalogue.kinds_between(since, until),
        listed=[(each, custody.leaf(each.log_index)) for each in listed],
        builds=[] if span is None else builds_of(custody.leaves(*span)),
        quarantined=_quarantined(store, journal / "quarantine.db", since, until),
        lost=_lost(journal / "losses.db", first, last),
        starts=starts,
        defects=[(each.id, each.versions, each.text) for each in known_defects(newer_defects)],
    )
    return fault_record(kept, since, until, version("lapel"))


def _quarantined(store: Records, path: Path, since: datetime, until: datetime) -> dict[str, int] | None:
    if not path.exists():
        return None
    kept = QuarantineStore(path, store.keystore.wrap, store.keystore.unwrap)
    try:
        return kept.reasons(since, until)
    finally:
        kept.close()


def _lost(path: Path, first: date, last: date) -> dict[str, dict[str, int]] | None:
    if not path.exists():
        return None
    kept = LossStore(path)
    try:
        return kept.between(first, last)
    finally:
        kept.close()


def _signer(store: Records, now: datetime) -> ExportSigner:
    keys = store.keystore
    return export_signer(keys.directory, f"Exports of {store.custody.origin}", now, keys.uris.export)


def _stamps(store: Records, stamping: TimestampSettings) -> Timestamps | None:
    if stamping.url is not None:
        return TimestampClient(stamping.url, stamping.patience_s)
    return OwnTimestamps(store.keystore.directory) if stamping.embedded else None


def _cosigning(
    store: Records, witnesses: Witnesses | None, patience_s: float, told: Callable[[Progress], None] = unheard
) -> Callable[[int], Awaitable[str]]:
    """Give what waits for a checkpoint that covers an entry and met the quorum; told before it waits."""

    async def cosigned(index: int) -> str:
        try:
            async with asyncio.timeout(patience_s):
                if witnesses is None:
                    return await _found_cosigned(store, index, told)
                told(Progress("witness"))
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


async def _found_cosigned(store: Records, index: int, told: Callable[[Progress], None]) -> str:
    """The newest checkpoint; of a log that was witnessed, and whose witnesses nobody named here, the gateway's word."""
    custody = store.custody
    log = custody.directory / "log"
    if not (log / "cosigned").exists():
        return custody.checkpoint_text
    waits = False
    while True:
        found = await asyncio.to_thread(read_cosigned, log, parse_vkey(custody.vkey))
        if found is not None and found.size > index:
            return found.note
        if not waits:
            told(Progress("witness"))
            waits = True
        await asyncio.sleep(POLL_S)
