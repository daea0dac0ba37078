"""How much of the disk footage may still use."""

from __future__ import annotations

from pathlib import Path

from gateway.domain.time import Instant
from gateway.errors import StoreBusyError
from gateway.evidence.vault.files import Files

_FRESH_S = 1.0
FIRST_OF_RESERVE = 0.75
"""What may be evidence stops later: it may use a quarter of the reserve, the log and the journal the rest."""


class Room:
    """Free space beyond the reserve, asked of the system about once a second."""

    def __init__(self, files: Files, root: Path, reserve_bytes: int) -> None:
        """Name a directory on the disk in question and what footage must leave free."""
        self._files, self._root, self._reserve = files, root, reserve_bytes
        self._asked_s = float("-inf")
        self._free = 0

    def check(self, now: Instant, octets: int = 0, *, first: bool = False) -> None:
        """StoreBusyError when writing so much more would reach into the reserve, or far into it for what goes first."""
        if now.mono_s - self._asked_s >= _FRESH_S:
            self._free, self._asked_s = self._ask(), now.mono_s
        if self._free - octets < (self._reserve * FIRST_OF_RESERVE if first else self._reserve):
            raise StoreBusyError("disk_reserve")

    def _ask(self) -> int:
        try:
            return self._files.free_bytes(self._root)
        except OSError as error:
            raise StoreBusyError(f"disk: {error}") from error
