"""Position history as evidence, put together: roots of the journal into the log, what is due out of the journal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from gateway.crypto.journal_keys import JournalKeys
from gateway.errors import StoreBusyError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.export.exporter import export_id
from gateway.history.erasing import Eraser
from gateway.history.rooting import Rooting
from gateway.pipeline.journal import Journal, hour_of
from gateway.store.catalogue import Catalogue

LOOK_EVERY_S = 20.0
STEADY_S = 600.0
REST_S = 0.005
EARLIEST, LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
ENTRIES_MAX = 10_000_000


class Historian:
    """Roots the journal's closed files, and destroys days that are due, as long as it runs."""

    def __init__(
        self, directory: Path, written: tuple[Journal, JournalKeys], log: tuple[CustodyLog, Catalogue], days: int
    ) -> None:
        journal, keys = written
        custody, catalogue = log
        self._days, self._began_s, self._began = days, time.monotonic(), datetime.now(UTC)
        self._rooting = Rooting(
            directory, journal.turn, custody.record_now, lambda: entries_of(custody, catalogue, "journal_root")
        )
        self._rooting.rest = self._rest
        self._eraser = Eraser(directory, keys, custody.record_now, lambda: entries_of(custody, catalogue, "dispose"))
        self._expired, self._stopping = "", False
        self.destroyed = 0
        self.problem: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """For the metrics; failing is 1 while the last look did not succeed."""
        failing = int(self.problem is not None)
        return {**self._rooting.counts, "frames_destroyed": self.destroyed, "failing": failing}

    async def run(self) -> None:
        """Look again and again, until cancelled; a root that is being made then is made by the next start."""
        try:
            while True:
                await self.look(datetime.now(UTC))
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self._stopping = True

    def _rest(self) -> None:
        """Give way to the feed; and make an end where the gateway does."""
        if self._stopping:
            raise InterruptedError("the gateway is stopping")
        time.sleep(REST_S)

    async def look(self, now: datetime) -> None:
        """Root what can be rooted now, destroy what is due; a failure is said once, and once when it is over."""
        try:
            await asyncio.to_thread(self._look, now)
        except (OSError, StoreBusyError) as full:
            self._tell(str(full))
        except Exception as defect:  # noqa: BLE001 - a defect here must not take the feed along: loud, and tried again
            self._tell(repr(defect))
        else:
            self._tell(None)

    def _look(self, now: datetime) -> None:
        self._rooting.once(hour_of(now))
        today = hour_of(now)[:10]
        self._eraser.settle(today)
        if today != self._expired and self._steady(now):
            before = hour_of(now - timedelta(days=self._days))[:10]
            self.destroyed += self._eraser.expire(fresh_id("D", now), before, today)
            self._expired = today

    def _steady(self, now: datetime) -> bool:
        """Whether the clock has gone on as time has, for a while: what a clock set wrong destroys is gone for good."""
        passed_s = time.monotonic() - self._began_s
        return passed_s >= STEADY_S and abs((now - self._began).total_seconds() - passed_s) < STEADY_S / 2

    def _tell(self, problem: str | None) -> None:
        if problem is not None and self.problem is None:
            structlog.get_logger().error("journal_not_rooted", problem=problem)
        elif problem is None and self.problem is not None:
            structlog.get_logger().warning("journal_rooted_again", was=self.problem)
        self.problem = problem


def entries_of(custody: CustodyLog, catalogue: Catalogue, kind: str) -> Iterator[dict[str, Any]]:
    """What the entries of a kind say in clear, newest first, `index` added."""
    listed = catalogue.of_kinds((kind,), EARLIEST, LATEST, ENTRIES_MAX)
    for each in reversed(listed):
        yield {**json.loads(custody.leaf(each.log_index)), "index": each.log_index}


def fresh_id(letter: str, at: datetime) -> str:
    """A new id: the letter, seven letters of time, five at random (docs/formats.md, "staging")."""
    return letter + export_id(at)[1:]
