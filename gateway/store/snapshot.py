"""A SQLite file as it was at one moment, copied while others write it; what was deleted from it does not come along."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.errors import StoreBusyError

BUSY_S = 10.0


def snapshot(source: Path, target: Path) -> None:
    """Write the file anew as target, which must not be there: one file, free of deleted rows; not yet durable."""
    target.touch(mode=0o600, exist_ok=False)
    address = f"{source.absolute().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=BUSY_S)) as link:
            link.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.Error as problem:
        raise StoreBusyError(f"{source}: {problem}") from problem
