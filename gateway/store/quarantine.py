"""quarantine.db: frames nobody could read, with the reason; the bytes sealed under the KEK."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from sqlalchemy import Column, Engine, Integer, LargeBinary, MetaData, String, Table, func, insert, select, update

from gateway.domain.events import Frame
from gateway.domain.time import rfc3339
from gateway.store.sqlite import open_engine, storing

TABLES = MetaData()
ROWS = Table(
    "quarantine",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("via", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("device", String),
    Column("reason", String, nullable=False),
    Column("size", Integer, nullable=False),
    Column("kek", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)
NAME = "quarantine"
REWRAP_BATCH = 200
Wrap = Callable[[str, bytes], tuple[str, bytes]]
Unwrap = Callable[[str, str, bytes], bytes]


class Quarantined(msgspec.Struct, frozen=True):
    """One unreadable frame."""

    id: int
    at: str
    via: str
    channel: str
    device: str | None
    reason: str
    payload: bytes


class QuarantineStore:
    """Keeps unreadable frames; used from one thread at a time."""

    def __init__(self, path: Path, wrap: Wrap, unwrap: Unwrap) -> None:
        self._path, self._wrap, self._unwrap = path, wrap, unwrap
        self._engine: Engine | None = None

    @property
    def _open(self) -> Engine:
        if self._engine is None:
            self._engine = open_engine(self._path, TABLES, {"synchronous": "FULL"})
        return self._engine

    def write(self, frames: list[tuple[Frame, str]]) -> None:
        """Keep frames with their reasons, durable on return; StoreBusyError when the disk refuses."""
        rows = []
        for frame, reason in frames:
            kek, sealed = self._wrap(NAME, frame.payload)
            rows.append(
                {
                    "at": rfc3339(frame.stamp.arrived.utc.astimezone(UTC)),
                    "via": frame.via,
                    "channel": frame.channel,
                    "device": frame.device,
                    "reason": reason,
                    "size": len(frame.payload),
                    "kek": kek,
                    "sealed": sealed,
                }
            )
        with storing(self._open) as connection:
            connection.execute(insert(ROWS), rows)

    def rows(self, limit: int = 100, since: datetime | None = None) -> list[Quarantined]:
        """The newest rows, newest first."""
        query = select(ROWS).order_by(ROWS.c.id.desc()).limit(limit)
        if since is not None:
            query = query.where(ROWS.c.at >= rfc3339(since))
        with self._open.connect() as connection:
            found = connection.execute(query).all()
        return [
            Quarantined(
                row.id, row.at, row.via, row.channel, row.device, row.reason, self._unwrap(NAME, row.kek, row.sealed)
            )
            for row in found
        ]

    def count(self) -> int:
        """How many there are."""
        with self._open.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(ROWS)).scalar_one())

    def reasons(self, since: datetime, until: datetime) -> dict[str, int]:
        """How many of each reason in a span."""
        span = ROWS.c.at.between(rfc3339(since), rfc3339(until))
        with self._open.connect() as connection:
            found = connection.execute(select(ROWS.c.reason, func.count()).where(span).group_by(ROWS.c.reason)).all()
        return {row[0]: row[1] for row in found}

    def under(self) -> dict[str, int]:
        """How many frames are sealed under each KEK."""
        with self._open.connect() as connection:
            found = connection.execute(select(ROWS.c.kek, func.count()).group_by(ROWS.c.kek)).all()
        return {row[0]: row[1] for row in found}

    def rewrap(self) -> int:
        """Seal every frame anew under the newest KEK, some at a time; how many. Cut off, it goes on."""
        newest, count, after = self._wrap(NAME, b"")[0], 0, -1
        while True:
            behind = select(ROWS.c.id, ROWS.c.kek, ROWS.c.sealed).where(ROWS.c.id > after, ROWS.c.kek != newest)
            with storing(self._open) as connection:
                rows = connection.execute(behind.order_by(ROWS.c.id).limit(REWRAP_BATCH)).all()
                for row in rows:
                    kek, sealed = self._wrap(NAME, self._unwrap(NAME, row.kek, row.sealed))
                    connection.execute(update(ROWS).where(ROWS.c.id == row.id).values(kek=kek, sealed=sealed))
            if not rows:
                return count
            count, after = count + len(rows), rows[-1].id

    def close(self) -> None:
        """Let the file go."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None
