"""Somebody's frames looked for in the journal: by owner's name and span, one day's keys at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from gateway.crypto.journal_keys import JournalKeys, OwnerKey
from gateway.history.files import JournalFile, Kept, journal_files
from gateway.history.frame import owner

SLACK = timedelta(days=1)
"""A frame lies in the file of the hour in which it was written: later, where the disk was full; or clocks were set."""


class Sought(msgspec.Struct, frozen=True):
    """One owner's frames that arrived from since on and before until."""

    owner: str
    since: datetime
    until: datetime

    def has(self, kept: Kept) -> bool:
        """Whether the frame is among them."""
        return owner(kept.row) == self.owner and self.since <= kept.row[4] < self.until


def days_of(sought: Sequence[Sought]) -> list[str]:
    """Days of whose files any may hold some of it."""
    days: set[str] = set()
    for each in sought:
        day = each.since - SLACK
        while day.date() <= (each.until + SLACK).date():
            days.add(day.strftime("%Y-%m-%d"))
            day += timedelta(days=1)
    return sorted(days)


def owned(keys: JournalKeys, day: str, sought: Sequence[Sought]) -> dict[bytes, OwnerKey]:
    """The keys of a day that open what is sought, and nobody else's frames."""
    owners = {each.owner for each in sought}
    return {slot: key for slot, key in keys.of_day(day).items() if key.owner in owners}


def found(directory: Path, keys: JournalKeys, sought: Sequence[Sought]) -> Iterator[tuple[Path, list[Kept]]]:
    """Journal files with what they hold of it, oldest first; one file's frames at a time are in memory."""
    paths: dict[str, list[Path]] = {}
    for path in journal_files(directory):
        paths.setdefault(path.stem[:10], []).append(path)
    for day in days_of(sought):
        opener = owned(keys, day, sought) if day in paths else {}
        for path in paths.get(day, []) if opener else []:
            with JournalFile(path) as file:
                kept = [each for each in file.frames(opener) if any(one.has(each) for one in sought)]
            if kept:
                yield path, kept
