"""How entries get into evidence.db: folded into the exhibits that they name, by the driver's own calls."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.domain.time import from_rfc3339
from gateway.evidence.fold import LISTS, apply_to, custody_entry, named_exhibits
from gateway.evidence.rows import CustodyEntry, Entry, Exhibit
from gateway.store.schema_evidence import custody, exhibit

TIMES = ("received_at", "sealed_at", "started_at", "ended_at", "disposed_at", "media_created_at", "shredded_at")
_CUSTODY_COLUMNS = tuple(column.name for column in custody.columns)
_EXHIBIT_COLUMNS = tuple(column.name for column in exhibit.columns)


def _insertion(verb: str, table: str, columns: Sequence[str]) -> str:
    return f"{verb} INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


_ADD_CUSTODY = _insertion("INSERT", "custody", _CUSTODY_COLUMNS)
_MOVE_EXHIBIT = "UPDATE exhibit SET n = ?, prev = ? WHERE id = ?"
_GET_EXHIBITS = " ".join(("SELECT", ", ".join(_EXHIBIT_COLUMNS), "FROM exhibit WHERE id IN"))
_TRUTHS = ("complete", "held")
_PUT_EXHIBIT = _insertion("INSERT OR REPLACE", "exhibit", _EXHIBIT_COLUMNS)


def fold_in(link: sa.Connection, entries: Sequence[Entry]) -> None:
    """Fold entries into the exhibits that they name: read once, write once.

    Written by the driver's own calls: a batch is thousands of values, and each way through the query builder costs
    as much as the rest of its entry's life.
    """
    link.exec_driver_sql(_ADD_CUSTODY, [_custody_values(custody_entry(entry)) for entry in entries])
    named = {name for entry in entries for name in named_exhibits(entry)}
    known = {one.id: one for one in _named(link, sorted(named))}
    before_all = dict(known)
    for entry in entries:
        apply_to(known, entry)
        if entry.facts["kind"] == "dispose" and entry.facts.get("details") == "erased":
            before = sa.and_(custody.c.exhibit == entry.facts["exhibit"], custody.c.log_index < entry.index)
            link.execute(custody.update().where(before).values(actor=None))
    moved, changed = _sorted_out(before_all, known)
    if moved:
        link.exec_driver_sql(_MOVE_EXHIBIT, [(one.n, one.prev, one.id) for one in moved])
    if changed:
        link.exec_driver_sql(_PUT_EXHIBIT, [_values(one) for one in changed])


def _named(link: sa.Connection, names: list[str]) -> Iterator[Exhibit]:
    """These exhibits, where there are such."""
    marks = ", ".join("?" * len(names))
    for row in link.exec_driver_sql(f"{_GET_EXHIBITS} ({marks})", tuple(names)):
        yield Exhibit(**{name: _read(name, value) for name, value in zip(_EXHIBIT_COLUMNS, row, strict=True)})


def _read(name: str, value: Any) -> Any:  # noqa: ANN401 - as the row wants it
    if value is None:
        return () if name in LISTS else None
    if name in LISTS:
        return tuple(json.loads(value) or ())
    if name in TIMES:
        return from_rfc3339(value)
    return bool(value) if name in _TRUTHS else value


def _sorted_out(before: dict[str, Exhibit], after: dict[str, Exhibit]) -> tuple[list[Exhibit], list[Exhibit]]:
    """Exhibits of which nothing but the end of their chain moved, as a viewing does, and those that changed."""
    moved, changed = [], []
    for name, one in after.items():
        known = before.get(name)
        if known is not None and msgspec.structs.replace(known, n=one.n, prev=one.prev) == one:
            moved.append(one)
        else:
            changed.append(one)
    return moved, changed


def _custody_values(entry: CustodyEntry) -> tuple[Any, ...]:
    return tuple(text_time(entry.at) if name == "at" else getattr(entry, name) for name in _CUSTODY_COLUMNS)


def _values(one: Exhibit) -> tuple[Any, ...]:
    return tuple(_value(name, getattr(one, name)) for name in _EXHIBIT_COLUMNS)


def _value(name: str, value: Any) -> Any:  # noqa: ANN401 - as the column wants it
    if name in LISTS:
        return json.dumps(value)
    return text_time(value) if name in TIMES else value


def text_time(moment: datetime | None) -> str | None:
    """Always with milliseconds, so that text order is time order."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
