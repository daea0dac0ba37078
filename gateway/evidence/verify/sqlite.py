"""SQLite read from outside: a copy in memory, made at once, so that no writer waits for us."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from gateway.errors import VerificationError
from gateway.evidence.verify.files import exists, opened
from gateway.evidence.verify.report import UnreadError, shown

_BUSY_S = 5.0
# BUSY, LOCKED, PERM, CANTOPEN, READONLY: nothing is known about the file's contents.
_OPERATIONAL = frozenset({5, 6, 3, 14, 8})


def _address(path: Path, name: str) -> str:
    with opened(path, name) as file:
        head = file.read(20)
    uri = path.absolute().as_uri() + "?mode=ro"
    # A database in WAL mode whose writer closed it well has no -wal file; opened as
    # immutable, it is read without leaving -wal and -shm files behind.
    wal = head[18:20] == b"\x02\x02"
    return uri + "&immutable=1" if wal and not exists(path.with_name(path.name + "-wal")) else uri


def _fault(error: sqlite3.Error, name: str) -> VerificationError:
    code = getattr(error, "sqlite_errorcode", 0) or 0
    if code & 0xFF in _OPERATIONAL:
        return UnreadError(name, "a database that can be read now", shown(str(error)))
    return VerificationError(name, "a sound SQLite database", shown(str(error)))


def _stop_if_locked(status: int, name: str) -> None:
    # The binding would try for ever; a writer that holds the file this long is stuck, not at work.
    if status in {5, 6}:
        raise UnreadError(name, "a database that can be read now", "it is locked")


@contextmanager
def snapshot(path: Path, name: str) -> Iterator[sqlite3.Connection]:
    """Copy the database into memory and check it; whatever goes wrong inside is said of `name`."""
    address = _address(path, name)
    try:
        with closing(sqlite3.connect(":memory:")) as copy:
            with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as source:
                source.backup(copy, progress=lambda status, *_: _stop_if_locked(status, name))
            copy.text_factory = _text
            # A schema from outside runs nothing of its own.
            copy.execute("PRAGMA trusted_schema=OFF")
            copy.execute("PRAGMA cell_size_check=ON")
            problem = copy.execute("PRAGMA integrity_check(1)").fetchone()
            if problem != ("ok",):
                raise VerificationError(name, "a sound SQLite database", shown(str(problem and problem[0])))
            yield copy
    except sqlite3.Error as error:
        raise _fault(error, name) from None
    except UnicodeError:
        # The binding decodes column names and SQLite's own messages as UTF-8, which a damaged schema breaks.
        raise VerificationError(name, "a sound SQLite database", "a schema that is not UTF-8") from None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def rows(copy: sqlite3.Connection, table: str, columns: tuple[str, ...], name: str) -> Iterator[dict[str, Any]]:
    """Every row of a table as a dictionary; the table must be one, and have these columns."""
    kind = copy.execute("SELECT type FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if kind != ("table",):
        raise VerificationError(name, f"a table {table}", shown(str(kind[0])) if kind else "none")
    cursor = copy.execute(f'SELECT * FROM "{table}"')  # noqa: S608, the name is one of ours
    have = tuple(column[0] for column in cursor.description)
    missing = [column for column in columns if column not in have]
    if missing:
        raise VerificationError(name, f"columns {', '.join(missing)} in {table}", "none")
    for row in cursor:
        yield dict(zip(have, row, strict=True))
