"""Where footage goes: the RecordingSink that keeps segments durably and seals each recording exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from weakref import WeakValueDictionary

import msgspec
import structlog

from gateway.crypto.age import Cipher, chacha20poly1305
from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Sealed, Segment, UploadState
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.domain.time import Instant
from gateway.errors import EvidenceError, SegmentError, StoreBusyError
from gateway.evidence.asked import Asked
from gateway.evidence.needs import Needs
from gateway.evidence.rows import Exhibit
from gateway.evidence.sealing import Sealing
from gateway.evidence.speaking import flags_of, heard_as, lies_with, offered_as, spoken
from gateway.evidence.upload import (
    Upload,
    check_digest,
    check_gaps,
    check_segment,
    check_size,
    contradicts,
    ending_of,
    exhibit_id,
    flags_after,
    is_sealed_as,
    merged,
    read_offer,
    storable,
    written,
)
from gateway.evidence.vault.assembly import Ending, intent_of
from gateway.evidence.vault.committer import Committer, busy
from gateway.evidence.vault.files import DiskFiles, Files
from gateway.evidence.vault.reading import Reader
from gateway.evidence.vault.recovery import recover_all
from gateway.evidence.vault.room import Room
from gateway.evidence.vault.staging import Staged, Vault

MIB = 1024 * 1024
WINDOW_MAX = 8 * MIB
WINDOW_MIN = MIB

_log = structlog.get_logger()


class RecordingSettings(msgspec.Struct, frozen=True):
    """Room footage may not use, memory for segments in flight, days a resume works, hours a camera keeps its copy."""

    reserve_mb: int = 512
    memory_mb: int = 64
    resume_days: int = 35
    keep_hours: int = 24


class Recordings:
    """The vault's front: gateway.ports.RecordingSink."""

    def __init__(
        self,
        root: Path,
        needs: Needs,
        settings: RecordingSettings,
        files: Files | None = None,
        cipher: Cipher = chacha20poly1305,
    ) -> None:
        """Name the evidence directory and what it stands on; nothing happens before `open`."""
        files = files or DiskFiles()
        self._hashing = ThreadPoolExecutor(1, "vault-hasher")
        self._vault = Vault(root, files, needs.keyring, cipher, self._hashing)
        self._needs, self._settings = needs, settings
        self._room = Room(files, root, settings.reserve_mb * MIB)
        self._sealing = Sealing(self._vault, needs, settings.keep_hours)
        self._committer = Committer(settings.memory_mb * MIB)
        self.reader = Reader(root, needs.keyring, needs.shelf.exhibit)
        self._uploads: dict[RecordingKey, Upload] = {}
        self._locks: WeakValueDictionary[RecordingKey, asyncio.Lock] = WeakValueDictionary()
        self._writing: asyncio.TaskGroup | None = None
        self._asked = Asked()
        self.counters: dict[str, int] = dict.fromkeys(
            ("segments", "octets", "sealed", "incomplete", "offered_again", "recovered", "unreadable", "busy"), 0
        )

    # --- life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Recover what an earlier process left, finish seals it began, and start the committer."""
        if self._writing is not None:
            return
        left = await asyncio.to_thread(recover_all, self._vault, self._needs.shelf)
        self.counters["unreadable"] = len(left.unreadable)
        self._writing = await asyncio.TaskGroup().__aenter__()
        self._writing.create_task(self._committer.run())
        for staged, heard in left.uploads:
            try:
                await self._take_up(staged, heard)
            except (EvidenceError, msgspec.ValidationError) as error:
                _log.error("seal_waits", exhibit=staged.exhibit, problem=str(error))
        await self._asked.open()

    async def close(self) -> None:
        """Commit what is queued, let seals under way end, and stop; open uploads resume at the next start."""
        await self._asked.close()
        writing, self._writing = self._writing, None
        if writing is not None:
            await self._committer.close()
            await writing.__aexit__(None, None, None)
            await asyncio.to_thread(self._sealing.close)
            await asyncio.to_thread(self._hashing.shutdown)

    async def _take_up(self, staged: Staged, heard: datetime) -> None:
        """Enter a recovered upload; where its seal had begun, finish that."""
        self.counters["recovered"] += 1
        offer = read_offer(staged.notes.offer)
        moment = Instant(self._needs.clock.now().mono_s, heard)
        upload = Upload(offer.key, staged.exhibit, offer, staged, offer.size, moment)
        upload.intent = intent_of(staged)
        upload.sealing = upload.intent is not None
        earlier = self._uploads.setdefault(offer.key, upload)
        if earlier is not upload:
            upload = await self._one_of(earlier, upload)
        if upload.sealing:
            await self._seal(upload, None)
        else:
            await self._sealing.receive(upload)

    async def _one_of(self, one: Upload, two: Upload) -> Upload:
        """Of two uploads of one id (an offer or a seal that failed half way left one) end that which holds less."""
        less, more = sorted((one, two), key=lambda upload: (not upload.sealing, upload.staged.durable.end))
        self._uploads[more.key] = more
        await self._end(less)
        return more

    # --- the port ---------------------------------------------------------------------------------------------

    async def begin(self, offer: RecordingOffer) -> UploadState | Sealed:
        """Open or resume an upload; a recording already sealed with this checksum gives its receipt."""
        with self._counting():
            check_size(offer.size)
            return await self._asked.run(self._begin(offered_as(storable(offer), self._needs.rights)))

    async def keep(self, segment: Segment) -> UploadState:
        """Return only when the segment is durable (group commit, fdatasync)."""
        with self._counting():
            check_segment(segment)
            via, segment = segment.key.via, heard_as(segment, self._needs.rights)
            upload = self._uploads.get(segment.key)
            while upload is None or upload.sealing:  # asked again: a seal may begin before this task goes on
                found = await self._asked.run(self._place_for(segment, via))
                if isinstance(found, UploadState):
                    return found
                upload = found
            if upload.size is not None and segment.offset + len(segment.content) > upload.size:
                raise SegmentError("beyond_size")
            check_gaps(upload.staged.durable, segment)
            self._room.check(self._needs.clock.now())
            return await self._keep(upload, segment)

    async def state(self, key: RecordingKey) -> UploadState | Sealed | None:
        """What is durable; None for a recording never offered."""
        key = spoken(key, self._needs.rights)
        upload = self._uploads.get(key)
        if upload is not None:
            return self._state(upload)
        rows = await self._sealed_rows(key)
        return await self._sealing.sealed(rows[-1]) if rows else None

    async def finish(self, fin: RecordingFin) -> UploadState | Sealed:
        """Seal when everything is there; else the state with `missing`."""
        with self._counting():
            check_size(fin.size)
            return await self._asked.run(self._finish(heard_as(fin, self._needs.rights), fin.key.via))

    async def abandon(self, key: RecordingKey) -> Sealed | None:
        """Seal what came as an incomplete exhibit; None when nothing ever came."""
        with self._counting():
            return await self._asked.run(self._abandon(spoken(key, self._needs.rights)))

    async def expire(self) -> int:
        """Go on with seals that wait for the disk; abandon uploads that nobody has resumed for so long; how many."""
        now, patience_s = self._needs.clock.now(), self._settings.resume_days * 86400
        late = [
            upload.key
            for upload in self._uploads.values()
            if upload.intent is not None or (now.utc - upload.heard.utc).total_seconds() > patience_s
        ]
        for key in late:
            try:
                await self.abandon(key)
            except EvidenceError as error:  # this one waits for the next turn; the others don't wait for it
                _log.error("recording_not_expired", device=key.device, recording=key.recording, problem=str(error))
        return len(late)

    # --- each verb, under its recording's lock ----------------------------------------------------------------

    async def _begin(self, offer: RecordingOffer) -> UploadState | Sealed:
        async with self._lock(offer.key):
            upload = self._uploads.get(offer.key)
            if upload is not None and not upload.sealing and not contradicts(upload.offer, offer):
                return await self._amend(upload, offer)
            flags: tuple[str, ...] = ()
            if upload is not None:
                await self._end(upload)
                flags = ("recording_id_reused",)
            for row in reversed(rows := await self._sealed_rows(offer.key)):
                if is_sealed_as(offer, row):
                    self.counters["offered_again"] += 1
                    _log.info("recording_offered_again", exhibit=row.id, device=offer.key.device, via=offer.via)
                    return await self._sealing.sealed(row)
            return self._state(await self._start(offer, flags or flags_after(rows)))

    async def _amend(self, upload: Upload, offer: RecordingOffer) -> UploadState:
        """Note what a repeated offer adds."""
        now = merged(upload.offer, offer)
        upload.heard = self._needs.clock.now()
        if now != upload.offer:
            note = {"v": 1, "note": "offer", "offer": written(now)}
            await self._committer.submit(upload.staged, lambda: upload.staged.note(note), lambda: None)
            upload.offer, upload.size = now, upload.size if now.size is None else now.size
        await self._sealing.receive(upload)
        return self._state(upload)

    async def _start(self, offer: RecordingOffer, flags: tuple[str, ...]) -> Upload:
        now, flags = self._needs.clock.now(), (*flags, *flags_of(offer.key))
        self._room.check(now)
        exhibit = exhibit_id(now.utc)
        try:
            staged = await asyncio.to_thread(Staged.create, self._vault, exhibit, written(offer), flags)
        except (OSError, StoreBusyError) as error:
            await self._sealing.discard(exhibit)
            raise busy(error) from error
        upload = Upload(offer.key, exhibit, offer, staged, offer.size, now)
        self._uploads[offer.key] = upload
        await self._sealing.receive(upload)
        return upload

    async def _place_for(self, segment: Segment, via: DeviceId | None) -> Upload | UploadState:
        """Where a segment belongs whose recording is not open: behind a seal under way, a sealed one, or a new one."""
        async with self._lock(segment.key):
            upload = self._uploads.get(segment.key)
            if upload is not None and upload.sealing:
                raise StoreBusyError("the recording is being sealed")
            if upload is not None:
                return upload
            rows = await self._sealed_rows(segment.key)
            if rows and rows[-1].complete:
                return await self._compare(rows[-1], segment)
            bare = RecordingOffer(segment.key, segment.key.recording, via=via)
            return await self._start(bare, (*flags_after(rows), "not_offered"))

    async def _compare(self, row: Exhibit, segment: Segment) -> UploadState:
        """A segment of a sealed exhibit, once more: identical bytes pass."""
        size, end = row.size or 0, segment.offset + len(segment.content)
        if end > size:
            raise SegmentError("beyond_size")
        kept = await asyncio.to_thread(lambda: b"".join(self.reader.read(ExhibitId(row.id), segment.offset, end)))
        if kept != segment.content:
            raise SegmentError("segment_conflict")
        return UploadState(segment.key, size, ((0, size),) if size else (), (), self.window_bytes)

    async def _keep(self, upload: Upload, segment: Segment) -> UploadState:
        def apply() -> None:
            check_digest(segment)
            upload.staged.keep(segment.offset, segment.content)

        upload.heard = self._needs.clock.now()
        octets = len(segment.content)
        state: UploadState = await self._committer.submit(upload.staged, apply, lambda: self._state(upload), octets)
        self.counters["segments"] += 1
        self.counters["octets"] += octets
        return state

    async def _finish(self, fin: RecordingFin, via: DeviceId | None) -> UploadState | Sealed:
        async with self._lock(fin.key):
            upload = self._uploads.get(fin.key)
            if upload is None:
                return await self._finish_unknown(fin, via)
            upload.heard = self._needs.clock.now()
            upload.sealing = True
            try:
                missing = await self._behind_writes(upload, fin.size)
                if missing and upload.intent is None:
                    upload.size = max(upload.size or 0, fin.size)
                    self.counters["incomplete"] += 1
                    return self._state(upload, "incomplete")
                return await self._seal(upload, ending_of(upload, fin))
            finally:
                upload.sealing = upload.intent is not None

    async def _finish_unknown(self, fin: RecordingFin, via: DeviceId | None) -> UploadState | Sealed:
        """A fin for what is not open: the receipt once more, or everything is missing."""
        offer = RecordingOffer(fin.key, fin.key.recording, size=fin.size, checksum=fin.sha256, via=via)
        rows = await self._sealed_rows(fin.key)
        for row in reversed(rows):
            if is_sealed_as(offer, row):
                return await self._sealing.sealed(row)
        return self._state(await self._start(offer, (*flags_after(rows), "not_offered")), "incomplete")

    async def _abandon(self, key: RecordingKey) -> Sealed | None:
        async with self._lock(key):
            upload = self._uploads.get(key)
            if upload is not None:
                return await self._end(upload)
            rows = await self._sealed_rows(key)
            return await self._sealing.sealed(rows[-1]) if rows else None

    async def _end(self, upload: Upload) -> Sealed | None:
        """Seal what came, as incomplete."""
        upload.sealing = True
        try:
            await self._behind_writes(upload, 0)
            if upload.intent is None and not upload.staged.durable.end:
                await self._sealing.nothing_came(upload)
                self._forget(upload)
                return None
            return await self._seal(upload, Ending(upload.size or 0, abandoned=True))
        finally:
            upload.sealing = upload.intent is not None or self._uploads.get(upload.key) is not upload

    async def _seal(self, upload: Upload, ending: Ending | None) -> Sealed:
        if upload.intent is None and not upload.staged.in_order:
            self._room.check(self._needs.clock.now(), upload.staged.durable.end)
        sealed = await self._sealing.seal(upload, ending)
        self._forget(upload)
        self.counters["sealed"] += 1
        return sealed

    # --- small parts ------------------------------------------------------------------------------------------

    @property
    def window_bytes(self) -> int:
        """How far beyond what is durable each camera may send now."""
        share = self._settings.memory_mb * MIB // max(1, len(self._uploads))
        return max(WINDOW_MIN, min(WINDOW_MAX, share))

    def uploads(self) -> list[dict[str, object]]:
        """Uploads in flight: device, recording, exhibit, size (None: not known yet) and durable bytes."""
        return [upload.progress() for upload in self._uploads.values()]

    @property
    def condition(self) -> str:
        """`ok`, or `degraded` while footage is refused for want of room."""
        try:
            self._room.check(self._needs.clock.now())
        except StoreBusyError:
            return "degraded"
        return "ok"

    def _state(self, upload: Upload, reason: str = "success") -> UploadState:
        return upload.state(self.window_bytes, reason)

    async def _behind_writes(self, upload: Upload, size: int) -> list[tuple[int, int]]:
        """Wait behind every segment queued before; what of [0, size) is missing then."""
        missing: list[tuple[int, int]] = await self._committer.submit(
            upload.staged, lambda: None, lambda: upload.staged.durable.gaps(0, size)
        )
        return missing

    async def _sealed_rows(self, key: RecordingKey) -> list[Exhibit]:
        rows = await asyncio.to_thread(self._needs.shelf.by_recording, key.device, key.recording)
        return [row for row in rows if row.sealed_at is not None and lies_with(key, row.flags)]

    def _forget(self, upload: Upload) -> None:
        if self._uploads.get(upload.key) is upload:
            del self._uploads[upload.key]

    @contextmanager
    def _counting(self) -> Iterator[None]:
        """Count what is refused, by its reason."""
        try:
            yield
        except SegmentError as error:
            self.counters[f"refused_{error}"] = self.counters.get(f"refused_{error}", 0) + 1
            raise
        except StoreBusyError:
            self.counters["busy"] += 1
            raise

    def _lock(self, key: RecordingKey) -> asyncio.Lock:
        return self._locks.setdefault(key, asyncio.Lock())
