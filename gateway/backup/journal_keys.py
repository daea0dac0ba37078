"""The keys of the position history where backups of wrapped keys exist: what is destroyed is destroyed in them too."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import structlog

from gateway.backup.key_backups import unreached
from gateway.crypto.journal_keys import JournalKeys, Secrets

_log = structlog.get_logger()


class BackedUpKeys(JournalKeys):
    """Keys of the days, and every backup of them that is on the store's list."""

    def __init__(self, secrets: Secrets, store: Path) -> None:
        """Name keys.db and the data directory."""
        super().__init__(secrets)
        self._store = store
        self.missed: set[str] = set()
        """Backups that did not answer: whoever keeps their medium destroys it, as for an exhibit's key."""

    def destroy(self, day: str, slots: Collection[bytes]) -> int:
        """Destroy keys, those in the backups first: so that a crash in between is made up for by the next try."""
        names = sorted(f"journal/{day}/{slot.hex()}" for slot in slots)
        self._forget(names)
        number = super().destroy(day, slots)
        self._forget(names)  # of a backup that was made meanwhile
        return number

    def _forget(self, names: Sequence[str]) -> None:
        missed = unreached(self._store, names)
        for name in missed:
            _log.warning("key_backup_not_reached", place=name)
        self.missed |= set(missed)
