"""Position history as evidence, put together: roots of the journal into the log, what is due out of the journal."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from gateway.errors import StoreBusyError
from gateway.evidence.custody import CustodyLog
from gateway.history.rooting import Rooting
from gateway.pipeline.journal import Journal, hour_of
from gateway.store.catalogue import Catalogue

LOOK_EVERY_S = 20.0
REST_S = 0.005
EARLIEST, LATEST = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
ENTRIES_MAX = 10_000_000


class Historian:
    """Roots the journal's closed files as long as it runs."""

    def __init__(self, directory: Path, journal: Journal, custody: CustodyLog, catalogue: Catalogue) -> None:
        self._rooting = Rooting(
            directory,
            journal.turn,
            custody.record_now,
            lambda: entries_of(custody, catalogue, "journal_root"),
        )
        self._rooting.rest = lambda: time.sleep(REST_S)
        self.problem: str | None = None

    @property
    def counts(self) -> dict[str, int]:
        """For the metrics; failing is 1 while the last look did not succeed."""
        return {**self._rooting.counts, "failing": int(self.problem is not None)}

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Root what can be rooted now; said once when it can't be done, and once when it can again."""
        try:
            await asyncio.to_thread(self._rooting.once, hour_of(datetime.now(UTC)))
        except (OSError, StoreBusyError) as full:
            self._tell(str(full))
        except Exception as defect:  # noqa: BLE001 - a defect here must not take the feed along: loud, and tried again
            self._tell(repr(defect))
        else:
            self._tell(None)

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
