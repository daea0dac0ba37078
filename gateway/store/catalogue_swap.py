"""One catalogue in place of another: made beside it, compared with it, put there whole or not at all."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gateway.errors import StoreBusyError

SUFFIXES = ("-wal", "-shm", "-journal")
_KEYS = {"exhibit": "id", "custody": "log_index"}
_IN_USE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


def beside(path: Path) -> Path:
    """Where the new one is made; what a run that died left there is removed."""
    fresh = path.with_name(path.name + ".new")
    remove(fresh)
    return fresh


def remove(path: Path) -> None:
    """Remove a database with what SQLite keeps beside it."""
    for each in (path, *companions(path)):
        each.unlink(missing_ok=True)


def companions(path: Path) -> list[Path]:
    """What SQLite may keep beside a database."""
    return [path.with_name(path.name + suffix) for suffix in SUFFIXES]


def alone(path: Path) -> bool:
    """Make one file of a database that nobody else has open; False where it is none that can be read.

    StoreBusyError while somebody else has it open: SQLite lets go of its journal only to the last one.
    """
    if not path.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=2.0, isolation_level=None)) as link:
            mode = link.execute("PRAGMA journal_mode=DELETE").fetchone()
            sound: bool = link.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    except sqlite3.DatabaseError as wrong:
        if (getattr(wrong, "sqlite_errorcode", 0) or 0) & 0xFF in _IN_USE:
            raise StoreBusyError(f"{path} is in use: {wrong}") from wrong
        return False
    if mode != ("delete",):
        raise StoreBusyError(f"{path} is in use")
    return sound


def differing(old: Path, new: Path) -> list[str] | None:
    """Rows that are not the same in both, by name; None where they can't be compared (another size, another form)."""
    with contextlib.closing(sqlite3.connect(f"{new.absolute().as_uri()}?mode=ro", uri=True)) as link:
        try:
            link.execute("ATTACH DATABASE ? AS old", (f"{old.absolute().as_uri()}?mode=ro",))
            sizes = {link.execute(_SIZE.format(each)).fetchone() for each in _BOTH}
            return sorted(_differing(link)) if len(sizes) == 1 else None
        except sqlite3.DatabaseError:
            return None


_BOTH = ("main", "old")
_SIZE = "SELECT value FROM {}.meta WHERE key = 'applied_size'"
_ONLY = "SELECT {key} FROM (SELECT {columns} FROM {one}.{table} EXCEPT SELECT {columns} FROM {other}.{table})"


def _differing(link: sqlite3.Connection) -> Iterator[str]:
    for table, key in _KEYS.items():
        columns = ", ".join(f'"{row[1]}"' for row in link.execute(f"PRAGMA main.table_info({table})"))
        names: set[object] = set()
        for one, other in (_BOTH, _BOTH[::-1]):
            only = _ONLY.format(key=key, columns=columns, table=table, one=one, other=other)
            names |= {name for (name,) in link.execute(only)}
        yield from (f"{table} {name}" for name in names)
