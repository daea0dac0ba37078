"""keys.db: wrapped secrets by name, and nothing else (docs/formats.md, "keys.db")."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa

from gateway.errors import MisuseError
from gateway.store.sqlite import open_engine, refusing, storing


class KeyWrapper(Protocol):
    """Wraps secrets under key-encryption keys."""

    def wrap(self, name: str, secret: bytes) -> tuple[str, bytes]:
        """(id of the KEK, sealed bytes)."""
        ...

    def unwrap(self, name: str, kek_id: str, sealed: bytes) -> bytes:
        """The secret again."""
        ...


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
        """Destroy secrets in one transaction; how many there were. Their bytes are overwritten, also in the journal."""
        with storing(self._opened) as link:
            gone = sum(link.execute(sa.delete(wrapped).where(wrapped.c.name == name)).rowcount for name in names)
        self._truncate_journal()
        return gone

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin so, in order."""
        query = sa.select(wrapped.c.name).where(wrapped.c.name.startswith(prefix, autoescape=True))
        with self._opened.connect() as link:
            return list(link.execute(query.order_by(wrapped.c.name)).scalars())

    def rewrap(self) -> int:
        """Wrap every secret anew under the newest KEK in one transaction; how many."""
        with storing(self._opened) as link:
            rows = link.execute(sa.select(wrapped)).all()
            for row in rows:
                secret = self._keystore.unwrap(row.name, row.kek, row.sealed)
                _upsert(link, row.name, *self._keystore.wrap(row.name, secret))
        self._truncate_journal()
        return len(rows)

    @property
    def _opened(self) -> sa.Engine:
        if self._engine is None:
            raise MisuseError("the keyring is not open")
        return self._engine

    def _truncate_journal(self) -> None:
        with refusing(self._opened), self._opened.connect() as link:
            link.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


def _upsert(link: sa.Connection, name: str, kek: str, sealed: bytes) -> None:
    values: dict[str, Any] = {"name": name, "kek": kek, "sealed": sealed}
    link.execute(wrapped.insert().prefix_with("OR REPLACE"), values)
