"""keys.db as rows: read at one moment beside a running gateway, and written anew for a restored store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from gateway.errors import StoreBusyError

BUSY_S = 10.0


class Wrapped(msgspec.Struct, frozen=True):
    """A secret under the name it is kept by, sealed under a key-encryption key."""

    name: str
    kek: str
    sealed: bytes


def read_wrapped(path: Path) -> list[Wrapped]:
    """Every row, by name; StoreBusyError where it cannot be read now."""
    with _link(f"{path.absolute().as_uri()}?mode=ro", path) as link:
        rows = link.execute("SELECT name, kek, sealed FROM wrapped ORDER BY name").fetchall()
    return [Wrapped(*row) for row in rows]


def write_wrapped(path: Path, rows: Iterable[Wrapped]) -> None:
    """Make the file anew with these rows; it must not be there. Not yet durable."""
    path.touch(mode=0o600, exist_ok=False)
    with _link(path.absolute().as_uri(), path) as link, link:
        link.execute("PRAGMA secure_delete=ON")
        link.execute(
            "CREATE TABLE wrapped (name TEXT NOT NULL, kek TEXT NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY (name))"
        )
        link.executemany("INSERT INTO wrapped VALUES (?, ?, ?)", [(row.name, row.kek, row.sealed) for row in rows])


@contextmanager
def _link(address: str, path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as link:
            yield link
    except sqlite3.Error as problem:
        raise StoreBusyError(f"{path}: {problem}") from problem
