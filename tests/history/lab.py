"""A journal beside a custody log, a clock that a test moves, and frames of people who are told apart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import gateway.pipeline.journal as journal_module
from gateway.crypto.journal_keys import JournalKeys
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.disk import Disk
from gateway.history.files import JournalFile, journal_files
from gateway.history.frame import Row
from gateway.history.rooting import Rooting
from gateway.history_half import entries_of
from gateway.pipeline.journal import Journal, hour_of
from gateway.store.keyring import Keyring
from tests.evidence.log.lab import Lab

BEGIN = datetime(2026, 11, 21, 21, 30, tzinfo=UTC)


class Clocked(datetime):
    """The journal's wall clock, as a test sets it."""

    at = BEGIN

    @classmethod
    def now(cls, _zone: object = None) -> datetime:
        """What it was set to."""
        return cls.at


def row(number: int, device: str = "bcn-1", at: datetime | None = None) -> Row:
    """A beacon's frame with a position in it."""
    arrived = at or Clocked.at
    payload = f'{{"_type":"location","lat":52.{number:04d},"lon":-0.24,"tst":{int(arrived.timestamp())}}}'.encode()
    return ("beacons", f"owntracks/{device}/phone", device, None, arrived, "raw", payload)


class HistoryLab(Lab):
    """A store and its journal."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.journal_folder = directory / "journal"
        self.secrets = Keyring(self.journal_folder / "keys.db", self.keystore)
        self.secrets.open()
        self.journal_keys = JournalKeys(self.secrets)
        self.journal = Journal(self.journal_folder, self.journal_keys)

    def rooting(self, log: CustodyLog, disk: Disk | None = None) -> Rooting:
        """What roots this journal into this log."""
        return Rooting(
            self.journal_folder,
            self.journal.turn,
            log.record_now,
            lambda: entries_of(log, self.catalogue, "journal_root"),
            disk,
        )

    def root(self) -> int:
        """Root what can be rooted by the clock of the test."""
        with self.opened() as log:
            return self.rooting(log).once(hour_of(Clocked.at))

    def shift(self, devices: int = 3, minutes: int = 120, every: int = 10) -> None:
        """Everybody is heard in turns; the clock goes on."""
        for minute in range(0, minutes, every):
            self.journal.write([row(minute, f"bcn-{number}") for number in range(devices)])
            Clocked.at += timedelta(minutes=every)

    def rooted(self) -> dict[str, int]:
        """Frames by file as the log's entries have them; none twice."""
        found: dict[str, int] = {}
        for leaf in self.check():
            if leaf["kind"] == "journal_root":
                assert not found.keys() & {name for name, _ in leaf["files"]}, "a file in two roots"
                found |= dict(leaf["files"])
                assert leaf["frames"] == sum(count for _, count in leaf["files"])
        return found

    def on_disk(self) -> dict[str, int]:
        """Frames by file as the files have them."""
        found = {}
        for path in journal_files(self.journal_folder):
            with JournalFile(path) as file:
                found[path.stem] = sum(heads.count for heads in file.batches())
        return found

    def close(self) -> None:
        """Close everything."""
        self.journal.close()
        self.secrets.close()
        super().close()


@contextmanager
def lab_at(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HistoryLab]:
    """A lab whose clock stands at BEGIN."""
    Clocked.at = BEGIN
    monkeypatch.setattr(journal_module, "datetime", Clocked)
    lab = HistoryLab(directory)
    try:
        yield lab
    finally:
        lab.close()
