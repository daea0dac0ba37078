"""The evidence half put together: keys, catalogue, log, recordings. Used by the gateway and by commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.backup import key_backups
from gateway.backup.restored import clear_mark, read_mark, refuse_restored
from gateway.checking import Checks, checks
from gateway.copying import copies_beside, kept_copying
from gateway.crypto.keys import KeyStore
from gateway.crypto.signers import Uris
from gateway.disposing import Disposing, disposing
from gateway.domain.evidence import Recall, Recorded
from gateway.errors import ConfigError
from gateway.evidence.copies.copies import Copies
from gateway.evidence.copies.receipts import NewReceipts
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.generations import origin_at
from gateway.evidence.needs import Needs
from gateway.evidence.recall import recall_of
from gateway.evidence.recordings import Recordings
from gateway.evidence.shares import Limits, RecordingSettings
from gateway.evidence.vault.reading import Reader
from gateway.evidence.vault.thumbnails import Thumbnails
from gateway.evidence.witnesses import Witnesses
from gateway.evidence.work.desk import Desk
from gateway.media import examiner
from gateway.media.examiner import Examiner
from gateway.observe import Gauges, SystemClock
from gateway.ports import Clock, DeviceRights, Directory
from gateway.settings import Settings
from gateway.store.catalogue import Catalogue
from gateway.store.keyring import Keyring
from gateway.witnessing import kept_running, witnessed
from gateway.working import AgencyTerms, desk_of, keep_up

CHORES_EVERY_S = 30.0
LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Records:
    """Keys, catalogue and log of one store, open."""

    keystore: KeyStore
    keyring: Keyring
    catalogue: Catalogue
    custody: CustodyLog
    reader: Reader
    thumbnails: Thumbnails


@dataclass(frozen=True)
class EvidenceHalf:
    """All that keeps evidence, open; examiner is None where the settings want no media facts."""

    records: Records
    recordings: Recordings
    desk: Desk
    examiner: Examiner | None = None
    witnesses: Witnesses | None = None
    disposing: Disposing | None = None
    copies: Copies | None = None
    receipts: NewReceipts | None = None
    checks: Checks | None = None
    recall: Recall | None = None

    @property
    def condition(self) -> str:
        """`ok`; `degraded` while footage is refused for want of room, or something is missing or not what was sealed.

        `down` while the log is not what was written.
        """
        contradicted = self.witnesses is not None and self.witnesses.problem is not None
        broken = contradicted or self.records.custody.problem is not None
        checked = "ok" if self.checks is None else self.checks.condition
        return "down" if broken else self.recordings.condition if checked == "ok" else checked

    def parts(self) -> dict[str, str]:
        """What of it can fail by itself."""
        parts = {}
        if self.examiner is not None:
            parts["media"] = self.examiner.condition
        if self.witnesses is not None:
            parts["witness"] = self.witnesses.health()
        if self.copies is not None:
            parts["copies"] = self.copies.condition()
        return parts

    def lasting(self) -> list[Coroutine[Any, Any, None]]:
        """What runs as long as it is open."""
        chores = [_chores(self.recordings), _tell_of_room(self.recordings)]
        chores += [kept_running(self.witnesses), keep_up(self.desk)]
        if self.receipts is not None:
            chores.append(kept_copying(self.copies, self.receipts))
        others = (self.checks, self.examiner, self.disposing)
        return [*chores, *(each.run() for each in others if each is not None)]

    def add_gauges(self, gauges: Gauges) -> None:
        """Show what is counted here among the metrics."""
        gauges.add("evidence", self.figures)
        if self.examiner is not None:
            examiner = self.examiner
            gauges.add("media", lambda: examiner.counters)
        if self.witnesses is not None:
            gauges.add("witness", self.witnesses.counts)
        if self.disposing is not None:
            removals = self.disposing
            gauges.add("disposal", lambda: removals.figures)
        if self.copies is not None:
            gauges.add("copies", self.copies.figures)
        if self.receipts is not None:
            receipts = self.receipts
            gauges.add("receipts", lambda: receipts.counters)
        if self.checks is not None:
            self.checks.add_gauges(gauges)

    def figures(self) -> dict[str, int]:
        """Counters for the metrics; footage_waits is 1 while footage is refused for want of room."""
        sink = self.recordings
        now = {"log_entries": self.records.custody.size, "left_waiting": len(sink.waiting)}
        return {**sink.counters, **sink.shares.counters, **now, "footage_waits": int(sink.problem is not None)}

    async def cosigned(self, index: int, patience_s: float | None = None) -> str:
        """A checkpoint that covers an entry, cosigned by the quorum where one is asked for; waits for it.

        TimeoutError when patience ends: witnesses delay what goes out, never what comes in.
        """
        if self.witnesses is None:
            return self.records.custody.checkpoint_text
        return (await self.witnesses.wait_cosigned(index, patience_s)).note


class LogEntries:
    """The log, read (gateway.evidence.needs.Entries)."""

    def __init__(self, custody: CustodyLog) -> None:
        self._custody = custody

    async def recorded(self, index: int) -> Recorded:
        """An entry's exact leaf and its proof under the present checkpoint."""
        leaf = await asyncio.to_thread(self._custody.leaf, index)
        return Recorded(index, leaf, await asyncio.to_thread(self._custody.proof, index))


def origin_of(evidence: Path) -> str:
    """The origin of the log that lies there, from its verifier key; ConfigError where there is none."""
    path = evidence / "log" / "log.vkey"
    try:
        return path.read_text("ascii").split("+", 1)[0]
    except (OSError, UnicodeDecodeError) as wrong:
        raise ConfigError("", f"there is no log here: {wrong}", str(path)) from wrong


@contextlib.contextmanager
def records(
    evidence: Path, keys: Path | KeyStore, origin: str, clock: Clock, *, create: bool = False
) -> Iterator[Records]:
    """Open keys, catalogue and log; safe beside a running gateway (the log's writers take turns)."""
    keystore = keys if isinstance(keys, KeyStore) else KeyStore(keys)
    keystore.load(create=create)
    with contextlib.ExitStack() as stack:
        keyring, catalogue = Keyring(evidence / "keys.db", keystore), Catalogue(evidence / "evidence.db")
        keyring.open()
        stack.callback(keyring.close)
        catalogue.open()
        stack.callback(catalogue.close)
        origin = origin_at(evidence, origin)
        custody = CustodyLog(evidence, origin, keystore, keyring, catalogue, clock, version("lapel"))
        custody.open_now()
        stack.callback(custody.close_now)
        reader, thumbnails = Reader(evidence, keyring, catalogue.exhibit), Thumbnails(evidence, keyring)
        yield Records(keystore, keyring, catalogue, custody, reader, thumbnails)


@contextlib.contextmanager
def records_at(
    evidence: Path,
    keys: Path,
    origin: str | None = None,
    signers: Uris | None = None,
    *,
    even_restored: bool = False,
) -> Iterator[Records]:
    """Open the records of an existing store, for a command; ConfigError where it is a restored one, never started."""
    if not even_restored:
        refuse_restored(evidence.parent)
    with records(evidence, KeyStore(keys, signers), origin or origin_of(evidence), SystemClock()) as opened:
        yield opened


@contextlib.asynccontextmanager
async def evidence_half(
    settings: Settings, people: Directory, clock: Clock, rights: DeviceRights | None = None
) -> AsyncIterator[EvidenceHalf]:
    """Open everything that keeps evidence; IntegrityError where what lies there is not what was written."""
    evidence = settings.data / "evidence"
    async with contextlib.AsyncExitStack() as stack:
        keystore = KeyStore(settings.keys, settings.signers)
        opened = stack.enter_context(records(evidence, keystore, settings.log.origin, clock, create=True))
        # Before anything else can be signed: whether a witness saw more of this log than there is.
        witnesses = await stack.enter_async_context(witnessed(settings.log, opened.custody, clock))
        await _restore_on_record(settings, opened.custody)
        desk = desk_of(settings.retention, opened.custody, opened.catalogue, clock)
        await desk.look()
        copies = copies_beside(settings.store, opened, clock)
        recall = await asyncio.to_thread(_recall, opened.custody, settings.evidence.resume_days)
        needs = msgspec.structs.replace(_needs(opened, (people, clock, rights), desk, copies), recall=recall)
        repair = None if copies is None else copies.repair
        checking = stack.enter_context(checks(settings, opened.custody, opened.catalogue, clock, repair))
        recordings = Recordings(evidence, needs, _recording_settings(settings))
        await recordings.open()
        half = EvidenceHalf(
            opened,
            recordings,
            desk,
            _examiner(settings, opened, recordings, clock),
            witnesses,
            disposing=_disposing(settings, opened, copies, clock),
            copies=copies,
            receipts=NewReceipts(opened.catalogue, recordings.receipt_of),
            checks=checking,
            recall=recall,
        )
        try:
            async with asyncio.TaskGroup() as group:
                chores = [group.create_task(each) for each in half.lasting()]
                yield half
                for chore in chores:
                    chore.cancel()
        finally:
            await recordings.close()


def _disposing(settings: Settings, opened: Records, copies: Copies | None, clock: Clock) -> Disposing:
    return disposing(
        opened,
        settings.retention,
        clock,
        copies=lambda: copies.places() if copies else [],
        key_backups=lambda: key_backups.places(settings.data),
    )


def _needs(
    opened: Records, known: tuple[Directory, Clock, DeviceRights | None], desk: Desk, copies: Copies | None
) -> Needs:
    """What recordings stand on."""
    people, clock, rights = known
    return Needs(
        custody=opened.custody,
        entries=LogEntries(opened.custody),
        shelf=opened.catalogue,
        keyring=opened.keyring,
        keks=opened.keystore,
        people=people,
        retention=AgencyTerms(people, desk.books),
        clock=clock,
        rights=rights,
        details=opened.custody,
        copied=copies,
        rotations=lambda: opened.custody.rotations,
    )


async def _restore_on_record(settings: Settings, custody: CustodyLog) -> None:
    """A store that was put back from a backup says so, first of all, in its own log."""
    mark = read_mark(settings.data)
    if mark is not None:
        recorded = await custody.record(mark.act)
        await asyncio.to_thread(clear_mark, settings.data)
        structlog.get_logger().warning("restored", backup=mark.backup, size=mark.size, log_index=recorded.index)


def _recall(custody: CustodyLog, days: int) -> Recall | None:
    """What a restore lost: cameras are asked for it for as long as a resume works."""
    return recall_of(custody.leaf, custody.size, custody.vkey, days)


def _recording_settings(settings: Settings) -> RecordingSettings:
    """What [store] says of room and sharing, key by key, and [evidence] of how long."""
    shared = Limits(**{name: getattr(settings.store, name) for name in Limits.__struct_fields__})
    evidence = settings.evidence
    return RecordingSettings(settings.store.reserve_mb, shared, evidence.resume_days, evidence.receipt_keep_hours)


def _examiner(settings: Settings, opened: Records, recordings: Recordings, clock: Clock) -> Examiner | None:
    """What finds out about the media, in the background; None where that is not wanted."""
    if not settings.media.enabled:
        return None

    def arrivals() -> tuple[int, int]:
        return recordings.counters["sealed"], recordings.counters["octets"]

    return Examiner(
        settings.media,
        examiner.Needs(opened.catalogue, opened.reader, opened.thumbnails, opened.custody, clock, arrivals),
    )


async def _chores(recordings: Recordings) -> None:
    """Seal what has been idle too long, and retry seals that waited for the disk."""
    while True:
        await asyncio.sleep(CHORES_EVERY_S)
        try:
            await recordings.expire()
        except Exception:  # noqa: BLE001 - a defect here must not take the feed along: the next turn tries again
            structlog.get_logger().exception("recordings_not_expired")


async def _tell_of_room(recordings: Recordings) -> None:
    """Say in the log when footage has to wait for room, and when it goes on."""
    before: str | None = None
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        now = recordings.problem
        if now is not None and before is None:
            structlog.get_logger().error("footage_waits", problem=now)
        elif now is None and before is not None:
            structlog.get_logger().warning("footage_goes_on", waited_for=before)
        before = now
