"""How SQLite files are opened: one recipe of pragmas, explicit transactions, disk-full as StoreBusyError."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc

from gateway.errors import StoreBusyError

BUSY_MS = 10_000
_WRITING = "lapel_writing"
_TRANSIENT = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR})


def open_engine(path: Path, metadata: sa.MetaData, pragmas: Mapping[str, str]) -> sa.Engine:
    """Open a file (0600, its folder 0700) in WAL mode and make the tables that it lacks."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    engine = sa.create_engine(f"sqlite:///{path}")

    def connected(link: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
        link.isolation_level = None  # transactions begin where `begun` says, not where the driver guesses
        wanted = {"journal_mode": "WAL", "busy_timeout": str(BUSY_MS), "foreign_keys": "ON", **pragmas}
        for name, value in wanted.items():
            link.execute(f"PRAGMA {name}={value}")

    def begun(link: sa.Connection) -> None:
        link.exec_driver_sql("BEGIN IMMEDIATE" if link.get_execution_options().get(_WRITING) else "BEGIN")

    event.listen(engine, "connect", connected)
    event.listen(engine, "begin", begun)
    complete(engine, metadata)
    return engine


def complete(engine: sa.Engine, metadata: sa.MetaData) -> None:
    """Make the tables and columns that the file lacks."""
    with storing(engine) as link:
        metadata.create_all(link)
        _add_columns(link, metadata)


def _add_columns(link: sa.Connection, metadata: sa.MetaData) -> None:
    """Give a file of an earlier version the columns that it lacks; each must allow null."""
    inspector = sa.inspect(link)
    for table in metadata.sorted_tables:
        have = {column["name"] for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if column.name not in have and column.nullable:
                kind = column.type.compile(link.dialect)
                link.exec_driver_sql(f'ALTER TABLE "{table.name}" ADD COLUMN "{column.name}" {kind}')


@contextlib.contextmanager
def storing(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One write transaction: committed at the end, rolled back by any error; StoreBusyError when the disk refuses."""
    with refusing(engine), engine.connect().execution_options(**{_WRITING: True}) as link, link.begin():
        yield link


@contextlib.contextmanager
def refusing(engine: sa.Engine) -> Iterator[None]:
    """What SQLite says of a disk that refuses is StoreBusyError."""
    try:
        yield
    except exc.OperationalError as problem:
        code = getattr(problem.orig, "sqlite_errorcode", 0)
        if code & 0xFF in _TRANSIENT:
            raise StoreBusyError(f"{engine.url.database}: {problem.orig}") from problem
        raise
