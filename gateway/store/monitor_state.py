"""What a monitor remembers, in one file: of each log the last checkpoint and its edge, and the state of every item."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.errors import MisuseError
from gateway.evidence.monitor.items import Item
from gateway.evidence.monitor.look import Memory
from gateway.store.sqlite import open_engine, storing

_metadata = sa.MetaData()
_log = sa.Table(
    "log",
    _metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("memory", sa.Text, nullable=False),
)
_item = sa.Table(
    "item",
    _metadata,
    sa.Column("origin", sa.Text, primary_key=True),
    sa.Column("exhibit", sa.Text, primary_key=True),
    sa.Column("item", sa.Text, nullable=False),
)


class MonitorState:
    """One file; every call may block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._engine: sa.Engine | None = None

    def open(self) -> None:
        """Open or make the file; idempotent."""
        if self._engine is None:
            self._engine = open_engine(self.path, _metadata, {"synchronous": "FULL"})

    def close(self) -> None:
        """Close; idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    def memory(self, origin: str) -> Memory:
        """What is remembered of a log; an empty one at first."""
        with self._opened.connect() as link:
            found = link.execute(sa.select(_log.c.memory).where(_log.c.origin == origin)).scalar_one_or_none()
        return Memory() if found is None else msgspec.json.decode(found, type=Memory)

    def item(self, origin: str, exhibit: str) -> Item | None:
        """One item of a log."""
        query = sa.select(_item.c.item).where(_item.c.origin == origin, _item.c.exhibit == exhibit)
        with self._opened.connect() as link:
            found = link.execute(query).scalar_one_or_none()
        return None if found is None else msgspec.json.decode(found, type=Item)

    def items(self, origin: str) -> dict[str, Item]:
        """Every item of a log."""
        query = sa.select(_item.c.exhibit, _item.c.item).where(_item.c.origin == origin)
        with self._opened.connect() as link:
            return {row.exhibit: msgspec.json.decode(row.item, type=Item) for row in link.execute(query)}

    def keep(self, origin: str, memory: Memory, items: Mapping[str, Item]) -> None:
        """Remember all of it or nothing; durable on return."""
        rows: list[dict[str, Any]] = [
            {"origin": origin, "exhibit": name, "item": msgspec.json.encode(item).decode()}
            for name, item in items.items()
        ]
        with storing(self._opened) as link:
            told = {"origin": origin, "memory": msgspec.json.encode(memory).decode()}
            link.execute(_log.insert().prefix_with("OR REPLACE"), told)
            if rows:
                link.execute(_item.insert().prefix_with("OR REPLACE"), rows)

    @property
    def _opened(self) -> sa.Engine:
        if self._engine is None:
            raise MisuseError("the monitor's state is not open")
        return self._engine
