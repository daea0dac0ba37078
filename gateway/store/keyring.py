"""keys.db: wrapped secrets by name, and nothing else (docs/formats.md, "keys.db")."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from gateway.errors import MisuseError, StoreBusyError
from gateway.store.sqlite import open_engine, refusing, storing

SCAN_STEP = 1 << 20


class KeyWrapper(Protocol):
    """Wraps secrets under key-encryption keys."""

    def wrap(self, name: str, secret: bytes) -> tuple[str, bytes]:
        """(id of the KEK, sealed bytes)."""
        ...

    def unwrap(self, name: str, kek_id: str, sealed: bytes) -> bytes:
        """The secret again."""
        ...


REWRAP_BATCH = 500
_metadata = sa.MetaData()
wrapped = sa.Table(
    "wrapped",
    _metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("kek", sa.Text, nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
)


class Keyring:
    """Secrets that die when their row is deleted; every call may block, from any thread."""

    def __init__(self, path: Path | str, keystore: KeyWrapper) -> None:
        self.path = Path(path)
        self._keystore = keystore
        self._engine: sa.Engine | None = None
        self._owed: list[bytes] = []

    def open(self) -> None:
        """Open or make the file; idempotent."""
        if self._engine is None:
            self._engine = open_engine(self.path, _metadata, {"secure_delete": "ON", "synchronous": "FULL"})

    def close(self) -> None:
        """Close; idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret, in place of one of that name; committed and synced before it returns."""
        kek, sealed = self._keystore.wrap(name, secret)
        with storing(self._opened) as link:
            _upsert(link, name, kek, sealed)

    def get(self, name: str) -> bytes | None:
        """The secret of this name, or None."""
        with refusing(self._opened), self._opened.connect() as link:
            row = link.execute(sa.select(wrapped).where(wrapped.c.name == name)).one_or_none()
        return None if row is None else self._keystore.unwrap(name, row.kek, row.sealed)

    def delete(self, name: str) -> bool:
        """Destroy a secret; whether there was one. Its bytes are overwritten, also in the journal."""
        with storing(self._opened) as link:
            gone = link.execute(sa.delete(wrapped).where(wrapped.c.name == name)).rowcount
        self._truncate_journal()
        return bool(gone)

    def forget(self, names: Collection[str]) -> bool:
        """Destroy secrets so that no byte of them is left in this file or its journal; whether there was any.

        StoreBusyError: something may be left (a reader kept the journal from being cut); ask again.
        """
        which = wrapped.c.name.in_(names)
        with storing(self._opened) as link:
            gone = [row.sealed for row in link.execute(sa.select(wrapped.c.sealed).where(which))]
            self._owed += gone
            link.execute(sa.delete(wrapped).where(which))
        if self._truncate_journal():
            raise StoreBusyError(f"{self.path}: its journal is being read, and could not be cut")
        if self._left() is not None:
            self._rewrite()
        if (left := self._left()) is not None:
            raise StoreBusyError(f"{left} still holds bytes of a wrapped key that was destroyed")
        self._owed.clear()
        return bool(gone)

    def _left(self) -> Path | None:
        """A file that still has bytes of what was to be forgotten."""
        files = [self.path.with_name(self.path.name + suffix) for suffix in ("", "-wal", "-shm")]
        return next((path for path in files if _holds(path, self._owed)), None)

    def _rewrite(self) -> None:
        """Write the whole file anew: a page that SQLite moved may have kept what its cells once held."""
        link = self._opened.raw_connection()
        try:
            link.cursor().execute("VACUUM")
        except sqlite3.OperationalError as problem:
            raise StoreBusyError(f"{self.path}: {problem}") from problem
        finally:
            link.close()
        self._truncate_journal()

    def put_many(self, secrets: Mapping[str, bytes]) -> None:
        """Keep secrets in one transaction; committed and synced before it returns."""
        with storing(self._opened) as link:
            for name, secret in secrets.items():
                _upsert(link, name, *self._keystore.wrap(name, secret))

    def all(self, prefix: str) -> dict[str, bytes]:
        """Every secret whose name begins so."""
        query = sa.select(wrapped).where(wrapped.c.name.startswith(prefix, autoescape=True))
        with refusing(self._opened), self._opened.connect() as link:
            rows = link.execute(query).all()
        return {row.name: self._keystore.unwrap(row.name, row.kek, row.sealed) for row in rows}

    def delete_many(self, names: Collection[str]) -> int:
        """Destroy secrets as `forget` does; how many there were."""
        known = set(self.names())
        self.forget(names)
        return len(known.intersection(names))

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin so, in order."""
        query = sa.select(wrapped.c.name).where(wrapped.c.name.startswith(prefix, autoescape=True))
        with self._opened.connect() as link:
            return list(link.execute(query.order_by(wrapped.c.name)).scalars())

    def under(self) -> dict[str, int]:
        """How many secrets are wrapped under each KEK."""
        counted = sa.select(wrapped.c.kek, sa.func.count()).group_by(wrapped.c.kek)
        with refusing(self._opened), self._opened.connect() as link:
            return {row[0]: row[1] for row in link.execute(counted)}

    def rewrap(self) -> int:
        """Wrap every secret anew under the newest KEK, some at a time; how many. Cut off, it goes on when called again.

        A secret that is destroyed meanwhile stays destroyed.
        """
        newest, count, after = self._keystore.wrap("rewrap", b"")[0], 0, ""
        while True:
            behind = sa.select(wrapped).where(wrapped.c.name > after, wrapped.c.kek != newest).order_by(wrapped.c.name)
            with storing(self._opened) as link:
                rows = link.execute(behind.limit(REWRAP_BATCH)).all()
                for row in rows:
                    kek, sealed = self._keystore.wrap(row.name, self._keystore.unwrap(row.name, row.kek, row.sealed))
                    link.execute(sa.update(wrapped).where(wrapped.c.name == row.name).values(kek=kek, sealed=sealed))
            if not rows:
                break
            count, after = count + len(rows), rows[-1].name
        self._truncate_journal()
        return count

    @property
    def _opened(self) -> sa.Engine:
        if self._engine is None:
            raise MisuseError("the keyring is not open")
        return self._engine

    def _truncate_journal(self) -> bool:
        """Write the journal back and cut it to nothing; whether a reader prevented that."""
        with refusing(self._opened), self._opened.connect() as link:
            return bool(link.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0])


def _holds(path: Path, pieces: Sequence[bytes]) -> bool:
    """Whether a file has any of these anywhere; read in steps that overlap by the longest."""
    longest = max(map(len, pieces), default=0)
    if not longest or not path.exists():
        return False
    with path.open("rb") as file:
        before = b""
        while part := file.read(SCAN_STEP):
            if any(piece in before + part for piece in pieces):
                return True
            before = part[-longest:]
    return False


def _upsert(link: sa.Connection, name: str, kek: str, sealed: bytes) -> None:
    values: dict[str, Any] = {"name": name, "kek": kek, "sealed": sealed}
    link.execute(wrapped.insert().prefix_with("OR REPLACE"), values)
