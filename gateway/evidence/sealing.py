"""From an ended upload to a sealed exhibit and its receipt; each step may be done again after a crash."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

import msgspec
import structlog

from gateway.domain.evidence import Act, Attribution, Recorded, RecordingKey, Sealed
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import IntegrityError, StoreBusyError
from gateway.evidence.needs import Needs
from gateway.evidence.rows import Exhibit
from gateway.evidence.shown import judge_shown
from gateway.evidence.signature import Checked, check_manifest, device_flags
from gateway.evidence.speaking import DISPOSED_BEFORE, brought, lies_with
from gateway.evidence.upload import Upload, written
from gateway.evidence.vault.assembly import Ending, Intent, assemble, clear, discard, place
from gateway.evidence.vault.committer import busy
from gateway.evidence.vault.staging import Vault

ACTOR = "system"
UNTIL_TOLD = "9999-12-31T23:59:59Z"
"""A receipt's `keep_until` while copies are wanted that are not verified yet: a later receipt names the time."""

_log = structlog.get_logger()
_T = TypeVar("_T")


class Leaf(msgspec.Struct):
    """What a receipt says of its leaf."""

    kind: str
    at: str
    exhibit: str
    sha256: str
    size: int


class Sealing:
    """Acts and receipts of recordings. Its slow work (a blob written anew) has threads of its own."""

    def __init__(self, vault: Vault, needs: Needs, keep_hours: int) -> None:
        """State how long a camera keeps its copy after the seal."""
        self._vault, self._needs = vault, needs
        self._keep = timedelta(hours=keep_hours)
        self._threads = ThreadPoolExecutor(2, "vault-sealer")

    async def receive(self, upload: Upload) -> None:
        """Record, once, that an exhibit has begun."""
        if upload.received or await asyncio.to_thread(self._needs.shelf.exhibit, upload.exhibit) is not None:
            upload.received = True
            return
        terms = self._needs.retention.terms(upload.key.device, self._needs.clock.now().utc)
        named = {"device": upload.key.device, "recording": upload.key.recording}
        detail = {**named, "offer": written(upload.offer), **brought(upload.offer)}
        await self._needs.custody.record(
            Act("receive", ACTOR, upload.exhibit, {"controller": terms.controller}, detail)
        )
        upload.received = True

    async def seal(self, upload: Upload, ending: Ending | None) -> Sealed:
        """Seal exactly once; with an intent written down already, go on with that (ending is then not asked)."""
        if upload.intent is None:
            assert ending is not None
            upload.intent = await self._run(assemble, self._vault, upload.staged, ending)
        intent, exhibit = upload.intent, upload.exhibit
        await self._run(place, self._vault, exhibit, intent)
        await self.receive(upload)
        row = await asyncio.to_thread(self._needs.shelf.exhibit, exhibit)
        if row is not None and row.sealed_at is not None:
            sealed = await self.sealed(row)
        else:
            sealed = await self._record(upload, intent)
        await self.clear(exhibit)
        return sealed

    async def nothing_came(self, upload: Upload) -> None:
        """End an upload of which no byte came: said in the log, and its files and keys removed."""
        facts = {"size": 0, "complete": False}
        detail = {"device": upload.key.device, "recording": upload.key.recording, "reason": "nothing_received"}
        await self.receive(upload)
        await self._needs.custody.record(Act("amend", ACTOR, upload.exhibit, facts, detail))
        await self.discard(upload.exhibit)

    async def clear(self, exhibit: ExhibitId) -> None:
        """Remove what a sealed exhibit leaves in staging; where the disk refuses, the next start does it."""
        await self._tidy(clear, exhibit)

    async def discard(self, exhibit: ExhibitId) -> None:
        """Remove an upload of which nothing was kept; where the disk refuses, the next start finds it empty."""
        await self._tidy(discard, exhibit)

    async def _tidy(self, work: Callable[[Vault, ExhibitId], None], exhibit: ExhibitId) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, work, self._vault, exhibit)
        except (OSError, StoreBusyError) as error:
            _log.warning("staging_not_removed", exhibit=exhibit, problem=str(error))

    async def sealed(self, row: Exhibit, key: RecordingKey | None = None) -> Sealed:
        """The receipt of a sealed exhibit, made anew from the log; key: as it is asked for, where no row says it."""
        recorded = await self._needs.entries.recorded(row.log_index)
        if row.device is not None and row.recording is not None:
            key = RecordingKey(DeviceId(row.device), row.recording)
        assert key is not None
        copies, wanted = row.copies or 1, 1 if self._needs.copied is None else self._needs.copied.wanted
        at: datetime | None = None
        if self._needs.copied is not None and copies >= wanted > 1:
            at = await asyncio.to_thread(self._needs.copied.verified_at, row)
        return self._sealed(key, recorded, row.flags, (copies, at))

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()

    async def _record(self, upload: Upload, intent: Intent) -> Sealed:
        who = self._needs.people.attribute(upload.key.device, upload.offer.started_at, upload.offer.ended_at)
        checked = self._checked(upload, intent)
        disposed = await asyncio.to_thread(self._needs.shelf.disposed_with, intent.sha256)
        again = (DISPOSED_BEFORE,) if disposed else ()
        shown = judge_shown(upload.offer.receipt, self._needs.recall, intent.sha256, intent.size)
        flags = tuple(dict.fromkeys((*intent.flags, *who.flags, *checked.flags, *again, *shown.flags)))
        detail = {**_detail(upload, intent, who, flags), **checked.detail(), **shown.detail}
        facts = self._facts(upload, intent) | shown.facts | await asyncio.to_thread(self._superseded, upload, intent)
        act = Act("seal", ACTOR, upload.exhibit, facts, detail)
        return self._sealed(upload.key, await self._needs.custody.record(act), flags)

    def _checked(self, upload: Upload, intent: Intent) -> Checked:
        """What became of the device's signature, and what is odd about the device itself."""
        rights, now = self._needs.rights, self._needs.clock.now().utc
        checked = check_manifest(intent, upload.key, rights, now)
        odd = device_flags(upload.key.device, rights, by_dock=upload.offer.via is not None)
        return msgspec.structs.replace(checked, flags=(*checked.flags, *odd))

    def _facts(self, upload: Upload, intent: Intent) -> dict[str, Any]:
        terms = self._needs.retention.terms(upload.key.device, self._needs.clock.now().utc)
        return {
            "controller": terms.controller,
            "category": "uncategorised",
            "sha256": intent.sha256,
            "size": intent.size,
            "complete": intent.complete,
            "rule": terms.rule,
            "due": terms.due.isoformat(),
            "held": False,
            "blob": intent.blob,
            "blob_sha256": intent.blob_sha256,
            "key": self._needs.keks.kek_ids[-1],
        }

    def _superseded(self, upload: Upload, intent: Intent) -> dict[str, Any]:
        """A recording that has come whole stands in the place of what was sealed when its camera did not return."""
        rows = self._needs.shelf.by_recording(upload.key.device, upload.key.recording) if intent.complete else ()
        sealed = [row for row in rows if row.sealed_at is not None and lies_with(upload.key, row.flags)]
        parts = [row.id for row in sealed if row.complete is False]
        late = "late_segments" in intent.flags and parts
        return {"supersedes": parts[-1]} if late else {}

    def _keep_until(self, sealed_at: str, verified_at: datetime | None) -> str:
        """A while after the seal; where more copies are wanted, when the last of them was verified."""
        if self._needs.copied is None or self._needs.copied.wanted == 1:
            return rfc3339(from_rfc3339(sealed_at) + self._keep)
        return UNTIL_TOLD if verified_at is None else rfc3339(verified_at)

    def _sealed(
        self,
        key: RecordingKey,
        recorded: Recorded,
        flags: tuple[str, ...],
        copied: tuple[int, datetime | None] = (1, None),
    ) -> Sealed:
        leaf = msgspec.json.decode(recorded.leaf, type=Leaf)
        if leaf.kind != "seal":
            raise IntegrityError(f"log entry {recorded.index} is no seal")
        exhibit = ExhibitId(leaf.exhibit)
        receipt = {
            "v": 1,
            "exhibit": exhibit,
            "recording": key.recording,
            "size": leaf.size,
            "sha256": leaf.sha256,
            "log_index": recorded.index,
            "entry": base64.b64encode(recorded.leaf).decode(),
            "proof": recorded.proof,
            "copies": copied[0],
            "keep_until": self._keep_until(leaf.at, copied[1]),
        }
        rotations = list(self._needs.rotations())
        if rotations:
            receipt["rotations"] = rotations
        return Sealed(key, exhibit, leaf.size, leaf.sha256, recorded.index, receipt, flags)

    async def _run(self, work: Callable[..., _T], *arguments: Any) -> _T:  # noqa: ANN401 - whatever work takes
        """Run in the sealer's threads; a disk that refuses is StoreBusyError."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*arguments))
        except OSError as error:
            raise busy(error) from error


def _detail(upload: Upload, intent: Intent, who: Attribution, flags: tuple[str, ...]) -> dict[str, Any]:
    offer = upload.offer
    detail: dict[str, Any] = {
        "device": upload.key.device,
        "recording": upload.key.recording,
        "name": offer.name,
        "content_type": offer.content_type,
        "holder": who.holder,
        "candidates": list(who.candidates),
        "started_at": None if offer.started_at is None else rfc3339(offer.started_at),
        "ended_at": None if offer.ended_at is None else rfc3339(offer.ended_at),
        "user_data": offer.user_data,
        "flags": list(flags),
    }
    if intent.manifest is not None:
        detail["device_manifest"] = intent.manifest
    if intent.missing:
        detail["missing"] = [list(pair) for pair in intent.missing]
        detail["missing_ranges"] = intent.missing_ranges
    if not intent.complete and offer.checksum is not None:
        detail["stated_sha256"] = offer.checksum.lower()
    return {**detail, **brought(offer)}
