"""losses.db: how many frames were lost on which day for which reason. Counts alone, so that they may be kept long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from gateway.store.sqlite import open_engine, storing

TABLES = MetaData()
ROWS = Table(
    "lost",
    TABLES,
    Column("day", String, primary_key=True),
    Column("reason", String, primary_key=True),
    Column("lost", Integer, nullable=False),
)
COUNTED = ""
"""The reason of the row that says that a day was counted at all."""
REASONS_MAX = 200
OTHER = "other"
KEPT_DAYS = 7 * 366


class LossStore:
    """Counts by day and reason; used from one thread at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._engine: Engine | None = None

    @property
    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self._path, TABLES, {"synchronous": "FULL"})
        return self._engine

    def add(self, day: date, counts: Mapping[str, int]) -> None:
        """Add to a day's counts, durable on return; StoreBusyError when the disk refuses, and nothing is added."""
        with storing(self._open) as link:
            known = set(link.execute(select(ROWS.c.reason).where(ROWS.c.day == day.isoformat())).scalars())
            for reason, count in {COUNTED: 0, **counts}.items():
                named = reason if reason in known or len(known) < REASONS_MAX else OTHER
                known.add(named)
                row = insert(ROWS).values(day=day.isoformat(), reason=named, lost=count)
                more = {"lost": ROWS.c.lost + row.excluded.lost}
                link.execute(row.on_conflict_do_update(index_elements=["day", "reason"], set_=more))
            link.execute(delete(ROWS).where(ROWS.c.day < (day - timedelta(days=KEPT_DAYS)).isoformat()))

    def between(self, first: date, last: date) -> dict[str, dict[str, int]]:
        """Counts by reason of each day that was counted, both ends included."""
        query = select(ROWS).where(ROWS.c.day.between(first.isoformat(), last.isoformat()))
        found: dict[str, dict[str, int]] = {}
        with self._open.connect() as link:
            for row in link.execute(query.order_by(ROWS.c.day, ROWS.c.reason)):
                day = found.setdefault(row.day, {})
                if row.reason != COUNTED:
                    day[row.reason] = row.lost
        return found

    def total(self) -> int:
        """All that was ever counted and is still kept."""
        with self._open.connect() as link:
            return int(link.execute(select(func.coalesce(func.sum(ROWS.c.lost), 0))).scalar_one())

    def close(self) -> None:
        """Let the file go."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
