"""Where footage goes: the RecordingSink that keeps segments durably and seals each recording exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from gateway.crypto.age import Cipher, chacha20poly1305
from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Sealed, Segment, UploadState
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.errors import EvidenceError, SegmentError, StoreBusyError
from gateway.evidence.asked import Asked
from gateway.evidence.needs import Needs
from gateway.evidence.resumed import part_of, take_over
from gateway.evidence.rows import Exhibit
from gateway.evidence.sealing import Sealing
from gateway.evidence.shares import MIB, RecordingSettings, Shares, payer
from gateway.evidence.speaking import flags_of, heard_as, lies_with, offered_as, spoken
from gateway.evidence.upload import (
    COUNTED,
    Upload,
    check_digest,
    check_gaps,
    check_segment,
    check_size,
    contradicts,
    ending_of,
    exhibit_id,
    flags_after,
    forgotten_of,
    is_sealed_as,
    merged,
    recovered,
    storable,
    written,
)
from gateway.evidence.vault.assembly import Ending
from gateway.evidence.vault.committer import Committer, busy
from gateway.evidence.vault.files import DiskFiles, Files
from gateway.evidence.vault.reading import Reader
from gateway.evidence.vault.room import Room
from gateway.evidence.vault.staging import Staged, Vault
from gateway.evidence.waiting import Waiting

_log = structlog.get_logger()


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
        self.receipt_of = self._sealing.sealed
        self._committer = Committer(settings.limits.memory_mb * MIB)
        self.reader = Reader(root, needs.keyring, needs.shelf.exhibit)
        self._uploads: dict[RecordingKey, Upload] = {}
        self.shares = Shares(settings.limits, self._uploads)
        self._locks: WeakValueDictionary[RecordingKey, asyncio.Lock] = WeakValueDictionary()
        self._writing: asyncio.TaskGroup | None = None
        self._asked = Asked()
        self.counters: dict[str, int] = dict.fromkeys(COUNTED, 0)
        self.waiting = Waiting(self._vault, needs.shelf, self._lock, self._resume, self.counters)

    # --- life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Name what an earlier process left, start the committer, and begin to look into each upload in turn."""
        if self._writing is not None:
            return
        await asyncio.to_thread(self.waiting.look_over)
        self._writing = await asyncio.TaskGroup().__aenter__()
        self._writing.create_task(self._committer.run())
        await self._asked.open()
        self._asked.start(self.waiting.catch_up())

    async def close(self) -> None:
        """Commit what is queued, let seals under way end, and stop; open uploads resume at the next start."""
        self.waiting.stop()
        await self._asked.close()
        writing, self._writing = self._writing, None
        if writing is not None:
            await self._committer.close()
            await writing.__aexit__(None, None, None)
            await asyncio.to_thread(self._sealing.close)
            await asyncio.to_thread(self._hashing.shutdown)

    async def _resume(self, staged: Staged, heard: datetime) -> None:
        """Enter an upload of an earlier process; where its seal had begun, finish that. Under its recording's lock."""
        upload = recovered(staged, heard, self._needs.clock.now())
        self.counters["recovered"] += 1
        earlier = self._uploads.setdefault(upload.key, upload)
        if earlier is not upload:
            upload = await self._one_of(earlier, upload)
        if upload.sealing:
            await self._seal(upload, None)
        else:
            await self._sealing.receive(upload)
            await take_over(upload, self._needs, self.reader, self._committer)

    async def _open_upload(self, key: RecordingKey) -> Upload | None:
        """A recording's open upload, once all of it is there that was ever called durable. Under its lock."""
        await self.waiting.wake(key)
        return await take_over(self._uploads.get(key), self._needs, self.reader, self._committer)

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
            offer = offered_as(storable(offer), self._needs.rights)
            self.shares.check_start(offer.key, self._needs.clock.now())
            return await self._asked.run(self._begin(offer))

    async def keep(self, segment: Segment) -> UploadState:
        """Return only when the segment is durable (group commit, fdatasync)."""
        with self._counting():
            check_segment(segment)
            via, segment = segment.key.via, heard_as(segment, self._needs.rights)
            upload = self._uploads.get(segment.key)
            while upload is None or upload.sealing or upload.owing:  # again: a seal may begin meanwhile
                self.shares.check_start(segment.key, self._needs.clock.now())
                found = await self._asked.run(self._place_for(segment, via))
                if isinstance(found, UploadState):
                    return found
                upload = found
            if upload.size is not None and segment.offset + len(segment.content) > upload.size:
                raise SegmentError("beyond_size")
            check_gaps(upload.staged.durable, segment)
            now = self._needs.clock.now()
            self._room.check(now, first=self.shares.first(upload.offer))
            self.shares.check_segment(upload, len(segment.content), now)
            return await self._keep(upload, segment)

    async def state(self, key: RecordingKey) -> UploadState | Sealed | None:
        """What is durable; None for a recording never offered."""
        key = spoken(key, self._needs.rights)
        upload = self._uploads.get(key)
        if key in self.waiting or (upload is not None and upload.owing):
            async with self._lock(key):
                upload = await self._open_upload(key)
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
        """Go on with seals that wait for the disk; seal idle uploads after so long, or for want of room; how many."""
        self._asked.start(self.waiting.catch_up())
        now, patience_s = self._needs.clock.now(), self._settings.resume_days * 86400
        late = [
            upload.key
            for upload in self._uploads.values()
            if upload.intent is not None or (now.utc - upload.heard.utc).total_seconds() > patience_s
        ]
        late += [key for key in self.shares.too_much(now) if key not in late]
        for key in late:
            try:
                await self.abandon(key)
            except EvidenceError as error:  # this one waits for the next turn; the others don't wait for it
                _log.error("recording_not_expired", device=key.device, recording=key.recording, problem=str(error))
        return len(late)

    # --- each verb, under its recording's lock ----------------------------------------------------------------

    async def _begin(self, offer: RecordingOffer) -> UploadState | Sealed:
        async with self._lock(offer.key):
            upload = await self._open_upload(offer.key)
            if upload is not None and not upload.sealing and not contradicts(upload.offer, offer):
                return await self._amend(upload, offer)
            flags: tuple[str, ...] = ()
            if upload is not None:
                await self._end(upload)
                flags = ("recording_id_reused",)
            for row in reversed(rows := await self._sealed_rows(offer.key, offer.checksum)):
                if is_sealed_as(offer, row):
                    self.counters["offered_disposed" if row.gone else "offered_again"] += 1
                    _log.info("recording_offered_again", exhibit=row.id, device=offer.key.device, disposed=row.gone)
                    return await self._sealing.sealed(row, offer.key)
            return self._state(await self._start(offer, flags or flags_after(rows)))

    async def _amend(self, upload: Upload, offer: RecordingOffer) -> UploadState:
        """Note what a repeated offer adds."""
        now = merged(upload.offer, offer)
        upload.heard = self._needs.clock.now()
        if now != upload.offer:
            note = {"v": 1, "note": "offer", "offer": written(now)}
            await self._submit(upload, lambda: upload.staged.note(note), lambda: None)
            upload.offer, upload.size = now, upload.size if now.size is None else now.size
        await self._sealing.receive(upload)
        return self._state(upload)

    async def _start(self, offer: RecordingOffer, flags: tuple[str, ...]) -> Upload:
        part = await asyncio.to_thread(part_of, offer, self._needs)
        now, flags = self._needs.clock.now(), (*flags, *flags_of(offer.key), *part.flags)
        self._room.check(now, part.octets, first=self.shares.first(offer))
        self.shares.check_copy(offer.key, part.octets, now)
        self.shares.check_start(offer.key, now, begins=True)
        exhibit = exhibit_id(now.utc)
        try:
            staged = await asyncio.to_thread(Staged.create, self._vault, exhibit, written(offer), flags, part.exhibit)
        except (OSError, StoreBusyError) as error:
            await self._sealing.discard(exhibit)
            raise busy(error) from error
        upload = Upload(offer.key, exhibit, offer, staged, offer.size, now, owing=part.exhibit is not None)
        self._uploads[offer.key] = upload
        await self._sealing.receive(upload)
        await take_over(upload, self._needs, self.reader, self._committer)
        return upload

    async def _place_for(self, segment: Segment, via: DeviceId | None) -> Upload | UploadState:
        """Where a segment belongs whose recording is not open: behind a seal under way, a sealed one, or a new one."""
        async with self._lock(segment.key):
            upload = await self._open_upload(segment.key)
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
        """A segment of a sealed exhibit, once more: identical bytes pass (of one disposed of, the fin decides)."""
        size, end = row.size or 0, segment.offset + len(segment.content)
        if end > size:
            raise SegmentError("beyond_size")
        read = self.reader.read(ExhibitId(row.id), segment.offset, end)
        if not row.gone and await asyncio.to_thread(lambda: b"".join(read)) != segment.content:
            raise SegmentError("segment_conflict")
        window_bytes = self.shares.window_bytes(payer(segment.key), self._needs.clock.now())
        return UploadState(segment.key, size, ((0, size),) if size else (), (), window_bytes)

    async def _keep(self, upload: Upload, segment: Segment) -> UploadState:
        def apply() -> None:
            check_digest(segment)
            upload.staged.keep(segment.offset, segment.content)

        upload.heard = self._needs.clock.now()
        octets = len(segment.content)
        state: UploadState = await self._submit(upload, apply, lambda: self._state(upload), octets)
        self.counters["segments"] += 1
        self.counters["octets"] += octets
        return state

    async def _finish(self, fin: RecordingFin, via: DeviceId | None) -> UploadState | Sealed:
        async with self._lock(fin.key):
            upload = await self._open_upload(fin.key)
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
        for row in reversed(rows := await self._sealed_rows(fin.key, fin.sha256)):
            if is_sealed_as(offer, row):
                return await self._sealing.sealed(row, fin.key)
        return self._state(await self._start(offer, (*flags_after(rows), "not_offered")), "incomplete")

    async def _abandon(self, key: RecordingKey) -> Sealed | None:
        async with self._lock(key):
            upload = await self._open_upload(key)
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
            first = self.shares.first(upload.offer)
            self._room.check(self._needs.clock.now(), upload.staged.durable.end, first=first)
        sealed = await self._sealing.seal(upload, ending)
        self._forget(upload)
        self.counters["sealed"] += 1
        return sealed

    # --- small parts ------------------------------------------------------------------------------------------

    def uploads(self) -> list[dict[str, object]]:
        """Uploads in flight: device, recording, exhibit, size (None: not known yet) and durable bytes."""
        return [upload.progress() for upload in self._uploads.values()]

    @property
    def condition(self) -> str:
        """`ok`, or `degraded` while footage is refused for want of room."""
        return "ok" if self.problem is None else "degraded"

    @property
    def problem(self) -> str | None:
        """In words, why footage has to wait now; None while it has not."""
        now = self._needs.clock.now()
        try:
            self._room.check(now)
        except StoreBusyError as short:
            return f"no room for footage: {short}"
        return self.shares.short(now)

    def _state(self, upload: Upload, reason: str = "success") -> UploadState:
        return upload.state(self.shares.window_bytes(payer(upload.key), self._needs.clock.now()), reason)

    async def _behind_writes(self, upload: Upload, size: int) -> list[tuple[int, int]]:
        """Wait behind every segment queued before; what of [0, size) is missing then."""
        gaps: list[tuple[int, int]]
        gaps = await self._submit(upload, lambda: None, lambda: upload.staged.durable.gaps(0, size))
        return gaps

    def _submit(
        self, upload: Upload, apply: Callable[[], None], answer: Callable[[], Any], octets: int = 0
    ) -> Awaitable[Any]:
        return self._committer.submit(upload.staged, apply, answer, octets, payer(upload.key))

    async def _sealed_rows(self, key: RecordingKey, sha256: str | None = None) -> list[Exhibit]:
        rows = await asyncio.to_thread(self._needs.shelf.by_recording, key.device, key.recording)
        gone = await asyncio.to_thread(forgotten_of, self._needs.shelf, sha256)
        return [*gone, *(row for row in rows if row.sealed_at is not None and lies_with(key, row.flags))]

    def _forget(self, upload: Upload) -> None:
        if self._uploads.get(upload.key) is upload:
            del self._uploads[upload.key]
            self.shares.ended(upload.key)

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
