"""The evidence half put together: keys, catalogue, log, recordings. Used by the gateway and by commands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import structlog

from gateway.crypto.keys import KeyStore
from gateway.crypto.signers import Uris
from gateway.domain.evidence import Recorded
from gateway.domain.ids import DeviceId
from gateway.errors import ConfigError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.generations import origin_at
from gateway.evidence.needs import Needs, Terms
from gateway.evidence.recordings import Recordings
from gateway.evidence.shares import Limits, RecordingSettings
from gateway.evidence.vault.reading import Reader
from gateway.evidence.vault.thumbnails import Thumbnails
from gateway.evidence.witnesses import Witnesses
from gateway.media import examiner
from gateway.media.examiner import Examiner
from gateway.observe import Gauges, SystemClock
from gateway.ports import Clock, DeviceRights, Directory
from gateway.settings import Settings
from gateway.store.catalogue import Catalogue
from gateway.store.keyring import Keyring
from gateway.witnessing import kept_running, witnessed

NO_CONTROLLER = "unassigned"
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
    examiner: Examiner | None = None
    witnesses: Witnesses | None = None

    @property
    def condition(self) -> str:
        """`ok`, `degraded` while footage is refused for want of room, `down` while the log is not what was written."""
        contradicted = self.witnesses is not None and self.witnesses.problem is not None
        broken = contradicted or self.records.custody.problem is not None
        return "down" if broken else self.recordings.condition

    def add_gauges(self, gauges: Gauges) -> None:
        """Show what is counted here among the metrics."""
        gauges.add("evidence", self.figures)
        if self.examiner is not None:
            examiner = self.examiner
            gauges.add("media", lambda: examiner.counters)
        if self.witnesses is not None:
            gauges.add("witness", self.witnesses.counts)

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


class AgencyTerms:
    """An exhibit's controller is its device's agency; the uncategorised rule of the settings holds."""

    def __init__(self, people: Directory, days: int, rule_version: int) -> None:
        self._people, self._days, self._version = people, days, rule_version

    def terms(self, device: DeviceId, at: datetime) -> Terms:
        """Whose, under which rule, due when."""
        known = self._people.device(device)
        controller = known.agency if known else NO_CONTROLLER
        rule = f"{controller}/uncategorised@{self._version}"
        return Terms(controller, rule, (at + timedelta(days=self._days)).date())


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
def records_at(evidence: Path, keys: Path, origin: str | None = None, signers: Uris | None = None) -> Iterator[Records]:
    """Open the records of an existing store, for a command."""
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
        retention = AgencyTerms(people, settings.retention.uncategorised_days, settings.retention.rule_version)
        needs = Needs(
            custody=opened.custody,
            entries=LogEntries(opened.custody),
            shelf=opened.catalogue,
            keyring=opened.keyring,
            keks=opened.keystore,
            people=people,
            retention=retention,
            clock=clock,
            rights=rights,
            details=opened.custody,
            rotations=lambda: opened.custody.rotations,
        )
        recordings = Recordings(evidence, needs, _recording_settings(settings))
        await recordings.open()
        try:
            async with asyncio.TaskGroup() as group:
                examining = _examiner(settings, opened, recordings, clock)
                lasting = [_chores(recordings), _tell_of_room(recordings), kept_running(witnesses)]
                if examining is not None:
                    lasting.append(examining.run())
                chores = [group.create_task(each) for each in lasting]
                yield EvidenceHalf(opened, recordings, examining, witnesses)
                for chore in chores:
                    chore.cancel()
        finally:
            await recordings.close()


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
