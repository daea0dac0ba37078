"""scrub.db: when each blob was last read back, and what that said (docs/formats.md, "scrub.db"). No projection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog

from gateway.domain.time import from_rfc3339, rfc3339
from gateway.errors import MisuseError, StoreBusyError
from gateway.evidence.scrub import Checked
from gateway.store.catalogue_swap import remove
from gateway.store.sqlite import open_engine, storing

_PRAGMAS = {"synchronous": "NORMAL"}
_log = structlog.get_logger()
_metadata = sa.MetaData()
blob = sa.Table(
    "blob",
    _metadata,
    sa.Column("exhibit", sa.Text, primary_key=True),
    sa.Column("due_s", sa.Float, nullable=False),
    sa.Column("at", sa.Text),
    sa.Column("problem", sa.Text),
    sa.Column("hold", sa.Text),
    sa.Index("blob_due", "due_s"),
)
meta = sa.Table("meta", _metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text))


class Scrubs:
    """The scrub's memory; every call may block. Lost, it is begun anew: then every blob is due."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._engine: sa.Engine | None = None

    def open(self) -> None:
        """Open or make the file, anew where it is no database any more; idempotent. StoreBusyError: it can't be."""
        if self._engine is not None:
            return
        try:
            self._engine = open_engine(self.path, _metadata, _PRAGMAS)
        except sa.exc.OperationalError as wrong:
            raise StoreBusyError(f"{self.path}: {wrong.orig}") from wrong
        except sa.exc.DatabaseError as wrong:
            _log.error("scrub_begun_anew", problem=str(wrong.orig))
            remove(self.path)
            self._engine = open_engine(self.path, _metadata, _PRAGMAS)

    def close(self) -> None:
        """Close; idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def take_up(self, exhibits: Sequence[str], seen: int) -> None:
        """Take note of sealed exhibits, due at once, and up to which log entry seals were looked at."""
        rows = [{"exhibit": name, "due_s": 0.0} for name in exhibits]
        with storing(self._opened) as link:
            if rows:
                link.execute(blob.insert().prefix_with("OR IGNORE"), rows)
            _put(link, "seen", str(seen))

    @property
    def seen(self) -> int:
        """Up to which log entry seals were looked at."""
        return int(self._meta("seen") or 0)

    def next_due(self, now_s: float) -> str | None:
        """The exhibit that has waited longest, of those that are due."""
        query = sa.select(blob.c.exhibit).where(blob.c.due_s <= now_s).order_by(blob.c.due_s, blob.c.exhibit)
        with self._opened.connect() as link:
            return link.execute(query.limit(1)).scalar_one_or_none()

    def tell(self, found: Checked, due_s: float, octets: int) -> None:
        """Keep what one look said, and when the next is due."""
        row: dict[str, Any] = {"exhibit": found.exhibit, "due_s": due_s, "problem": found.problem, "hold": found.hold}
        row["at"] = None if found.at is None else rfc3339(found.at)
        with storing(self._opened) as link:
            link.execute(blob.insert().prefix_with("OR REPLACE"), row)
            for name, more in (("checked", 1), ("octets", octets)):
                _put(link, name, str(int(_get(link, name) or 0) + more))

    def forget(self, exhibit: str) -> None:
        """It was disposed of."""
        with storing(self._opened) as link:
            link.execute(blob.delete().where(blob.c.exhibit == exhibit))

    def verdict(self, exhibit: str) -> Checked | None:
        """What is known of one exhibit's blob."""
        with self._opened.connect() as link:
            row = link.execute(sa.select(blob).where(blob.c.exhibit == exhibit)).one_or_none()
        if row is None:
            return None
        return Checked(row.exhibit, None if row.at is None else from_rfc3339(row.at), row.problem, row.hold)

    def failing(self, limit: int = 1000) -> list[str]:
        """Exhibits whose blob was not what was sealed, when last looked at."""
        query = sa.select(blob.c.exhibit).where(blob.c.problem.is_not(None)).order_by(blob.c.exhibit).limit(limit)
        with self._opened.connect() as link:
            return list(link.execute(query).scalars())

    def counts(self, late_s: float) -> dict[str, int]:
        """Blobs known, never looked at, failing, and due since before `late_s`."""
        whole = sa.select(
            sa.func.count(),
            sa.func.count().filter(blob.c.at.is_(None)),
            sa.func.count().filter(blob.c.problem.is_not(None)),
            sa.func.count().filter(sa.and_(blob.c.due_s < late_s, blob.c.due_s > 0)),
        )
        with self._opened.connect() as link:
            known, never, failing, late = link.execute(whole).one()
            done = {name: int(_get(link, name) or 0) for name in ("checked", "octets")}
        return {"blobs": known, "never": never, "failing": failing, "overdue": late, **done}

    def told(self) -> dict[str, str]:
        """What the last summary said, and when."""
        with self._opened.connect() as link:
            rows = link.execute(sa.select(meta).where(meta.c.key.startswith("told_"))).all()
        return {row.key.removeprefix("told_"): row.value for row in rows}

    def tell_summary(self, said: dict[str, str]) -> None:
        """Keep what a summary said."""
        with storing(self._opened) as link:
            for name, value in said.items():
                _put(link, f"told_{name}", value)

    def _meta(self, key: str) -> str | None:
        with self._opened.connect() as link:
            return _get(link, key)

    @property
    def _opened(self) -> sa.Engine:
        if self._engine is None:
            raise MisuseError("scrub.db is not open")
        return self._engine


def _get(link: sa.Connection, key: str) -> str | None:
    return link.execute(sa.select(meta.c.value).where(meta.c.key == key)).scalar_one_or_none()


def _put(link: sa.Connection, key: str, value: str) -> None:
    link.execute(meta.insert().prefix_with("OR REPLACE"), {"key": key, "value": value})
