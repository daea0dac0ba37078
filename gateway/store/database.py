"""How every SQLite file here is opened: WAL, durable, checked for its version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, MetaData, create_engine, event, text
from sqlalchemy.exc import DBAPIError, OperationalError

from gateway.errors import EvidenceError, GatewayError, StoreBusyError

BUSY_MS = 10_000


def engine(path: Path, tables: MetaData, *, version: int) -> Engine:
    """Open or create a database; GatewayError when it is of a version this build does not know."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    made = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    event.listen(made, "connect", _pragmas)
    with made.begin() as connection:
        found = connection.execute(text("PRAGMA user_version")).scalar_one()
        if found not in (0, version):
            raise GatewayError(f"{path}: version {found}, and this build knows {version}")
        tables.create_all(connection)
        connection.execute(text(f"PRAGMA user_version={version}"))
    return made


def _pragmas(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={BUSY_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def as_ours(wrong: DBAPIError, what: str) -> GatewayError:
    """A database fault in our words: full or locked is busy, the rest is not."""
    if isinstance(wrong, OperationalError):
        return StoreBusyError(f"{what}: {wrong.orig}")
    return EvidenceError(f"{what}: {wrong.orig}")
