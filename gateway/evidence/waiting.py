"""Uploads that an earlier process left: named at the start, looked into when somebody asks or when it is their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec
import structlog

from gateway.domain.evidence import RecordingKey
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError, StoreBusyError
from gateway.evidence.needs import Shelf
from gateway.evidence.upload import read_offer
from gateway.evidence.vault.recovery import look_over, recover
from gateway.evidence.vault.staging import Staged, Vault

_log = structlog.get_logger()

Resume = Callable[[Staged, datetime], Awaitable[None]]
"""Goes on with an upload: its files, and when it was last written to."""


class Waiting:
    """What is in staging and has not been looked into. `look_over` blocks; the rest is the event loop's."""

    def __init__(
        self,
        vault: Vault,
        shelf: Shelf,
        lock: Callable[[RecordingKey], asyncio.Lock],
        resume: Resume,
        counters: dict[str, int],
    ) -> None:
        """Name the vault, each recording's lock, and who goes on with it; nothing is read yet."""
        self._vault, self._shelf = vault, shelf
        self._lock, self._resume, self._counters = lock, resume, counters
        self._left: dict[RecordingKey, list[tuple[ExhibitId, datetime]]] = {}
        self._busy = self._stopping = False
        self._done = asyncio.Event()

    def look_over(self) -> None:
        """Name every upload that is left; clear what is sealed or never began."""
        self._stopping = False
        left = look_over(self._vault, self._shelf)
        self._counters["unreadable"] += len(left.unreadable)
        for exhibit, heard, words in left.uploads:
            try:
                key = read_offer(words).key
            except msgspec.ValidationError as wrong:
                self._unreadable(exhibit, f"its offer: {wrong}")
            else:
                self._left.setdefault(key, []).append((exhibit, heard))

    def __len__(self) -> int:
        """How many recordings are waiting."""
        return len(self._left)

    def __contains__(self, key: RecordingKey) -> bool:
        """Whether something of this recording is waiting."""
        return key in self._left

    async def catch_up(self) -> None:
        """Look into what is waiting, one after the other; who is asked for does not wait for the others."""
        if self._busy:
            return
        self._busy = True
        keys = list(self._left)
        try:
            for key in keys:
                if self._stopping:
                    return
                await self._in_turn(key)
            if keys:
                _log.info("uploads_looked_into", recordings=len(keys), waiting=len(self._left))
        finally:
            self._busy = False
            self._done.set()

    async def caught_up(self) -> None:
        """Return once each has had its turn."""
        await self._done.wait()

    def stop(self) -> None:
        """Leave those whose turn has not come to the next process."""
        self._stopping = True

    async def wake(self, key: RecordingKey) -> None:
        """Look into what is left of one recording, every byte of it; under its lock. StoreBusyError: not now."""
        if key not in self._left:
            return
        for staged, heard in await asyncio.to_thread(self._open, key):
            try:
                await self._resume(staged, heard)
            except (EvidenceError, msgspec.ValidationError) as error:
                _log.error("seal_waits", exhibit=staged.exhibit, problem=str(error))
        self._left.pop(key, None)

    async def _in_turn(self, key: RecordingKey) -> None:
        try:
            async with self._lock(key):
                await self.wake(key)
        except EvidenceError as error:  # it stays, for the camera or the next round to ask again
            _log.error("staging_waits", device=key.device, recording=key.recording, problem=str(error))

    def _open(self, key: RecordingKey) -> list[tuple[Staged, datetime]]:
        try:
            return [one for exhibit, heard in self._left[key] for one in self._opened(exhibit, heard)]
        except OSError as refused:
            raise StoreBusyError(f"disk: {refused}") from refused

    def _opened(self, exhibit: ExhibitId, heard: datetime) -> list[tuple[Staged, datetime]]:
        try:
            staged = recover(self._vault, exhibit)
        except (OSError, StoreBusyError):
            raise
        except Exception as error:  # noqa: BLE001 - one upload that can't be read must not shut the vault to all others
            self._unreadable(exhibit, f"{type(error).__name__}: {error}")
            return []
        if staged is None:
            self._unreadable(exhibit, "its offer does not open")
            return []
        return [(staged, heard)]

    def _unreadable(self, exhibit: ExhibitId, problem: str) -> None:
        self._counters["unreadable"] += 1
        _log.error("staging_unreadable", exhibit=exhibit, problem=problem)
