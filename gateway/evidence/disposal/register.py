"""Every disposal that the log tells of, read on from where it was last read. Blocks; one caller at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Protocol

from gateway.crypto.canonical import parse_canonical
from gateway.evidence.disposal.record import KINDS, Disposal, take
from gateway.evidence.rows import CustodyEntry

PAGE = 1000


class Entries(Protocol):
    """The catalogue's list of entries."""

    def entries_since(self, index: int, kinds: Collection[str], limit: int = PAGE) -> Sequence[CustodyEntry]:
        """Entries of these kinds from this log index on, oldest first."""
        ...


class Log(Protocol):
    """The log, read."""

    def leaf(self, index: int) -> bytes:
        """The exact leaf of an entry."""
        ...

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """(detail, salt) of an entry; None where it was erased."""
        ...


class Register:
    """Disposals by id."""

    def __init__(self, entries: Entries, log: Log) -> None:
        self._entries, self._log = entries, log
        self._next = 0
        self.disposals: dict[str, Disposal] = {}

    def look(self) -> None:
        """Take up what was written since, by this process or another."""
        while page := self._entries.entries_since(self._next, KINDS, PAGE):
            for entry in page:
                found = self._log.detail(entry.log_index)
                facts = parse_canonical(self._log.leaf(entry.log_index))
                take(self.disposals, entry.log_index, facts, None if found is None else found[0])
                self._next = entry.log_index + 1
