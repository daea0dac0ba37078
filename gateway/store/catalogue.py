"""evidence.db: what the log says, folded so that it can be asked. Nothing is written but by `apply`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.domain.time import from_rfc3339
from gateway.errors import MisuseError
from gateway.evidence.fold import LISTS
from gateway.evidence.rows import ActFilter, CustodyEntry, Entry, Exhibit, ExhibitFilter
from gateway.store.catalogue_fold import TIMES, fold_in, text_time
from gateway.store.schema_evidence import custody, exhibit, meta, metadata
from gateway.store.sqlite import open_engine, storing

LIMIT_MAX = 1000
_EQUAL = (
    *("device", "recording", "controller", "category", "holder", "held", "complete", "playable"),
    *("exhibit_ref", "incident"),
)
_UNEXAMINED = (
    exhibit.c.sealed_at.is_not(None),
    exhibit.c.disposed_at.is_(None),
    exhibit.c.shredded_at.is_(None),
    exhibit.c.blob.is_not(None),
    exhibit.c.playable.is_(None),
)


class Catalogue:
    """The catalogue of one evidence store; every call may block, from any thread."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._engine: sa.Engine | None = None

    def open(self) -> None:
        """Open or make the file; idempotent."""
        if self._engine is None:
            # NORMAL: what a power cut takes back is applied again from the log.
            self._engine = open_engine(self.path, metadata, {"synchronous": "NORMAL", "secure_delete": "ON"})

    def close(self) -> None:
        """Close; idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    @property
    def applied_size(self) -> int:
        """How many log entries are applied."""
        with self._opened.connect() as link:
            return _applied_size(link)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply the next entries of the log, all or none; MisuseError when they are not the next."""
        if not entries:
            return
        with storing(self._opened) as link:
            for size, entry in enumerate(entries, _applied_size(link)):
                if entry.index != size:
                    raise MisuseError(f"entry {entry.index} is not the next to apply, {size} is")
            fold_in(link, entries)
            value = {"key": "applied_size", "value": str(entries[-1].index + 1)}
            link.execute(meta.insert().prefix_with("OR REPLACE"), value)

    def clear(self) -> None:
        """Forget everything, so that it can be applied again from entry 0 (rebuild)."""
        with storing(self._opened) as link:
            for table in (exhibit, custody, meta):
                link.execute(table.delete())

    def cut_journal(self) -> bool:
        """Write the journal back and cut it, so that it holds no rows as they were before; False: a reader keeps it."""
        with self._opened.connect() as link:
            return not link.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]

    def chain(self, exhibit_id: str) -> tuple[int, str | None]:
        """(n, prev) for the exhibit's newest entry; (0, None) where it has none."""
        return self.chains({exhibit_id}).get(exhibit_id, (0, None))

    def chains(self, exhibit_ids: Collection[str]) -> dict[str, tuple[int, str | None]]:
        """The chain of each of these exhibits that has one."""
        query = sa.select(exhibit.c.id, exhibit.c.n, exhibit.c.prev).where(exhibit.c.id.in_(exhibit_ids))
        with self._opened.connect() as link:
            return {row.id: (row.n, row.prev) for row in link.execute(query)}

    def exhibit(self, exhibit_id: str) -> Exhibit | None:
        """The exhibit of this id."""
        found = self._exhibits(sa.select(exhibit).where(exhibit.c.id == exhibit_id))
        return found[0] if found else None

    def by_recording(self, device: str, recording: str) -> list[Exhibit]:
        """Every exhibit of this recording, oldest first."""
        query = sa.select(exhibit).where(exhibit.c.device == device, exhibit.c.recording == recording)
        return self._exhibits(query.order_by(exhibit.c.log_index))

    def by_sha256(self, sha256: str) -> list[Exhibit]:
        """Every sealed exhibit with this content that was not disposed of, oldest first."""
        kept = sa.and_(exhibit.c.sealed_at.is_not(None), exhibit.c.disposed_at.is_(None), exhibit.c.complete)
        kept = sa.and_(kept, exhibit.c.shredded_at.is_(None))
        query = sa.select(exhibit).where(exhibit.c.sha256 == sha256, kept)
        return self._exhibits(query.order_by(exhibit.c.log_index))

    def exhibits(
        self,
        filters: ExhibitFilter | None = None,
        limit: int = 100,
        after: int | None = None,
    ) -> list[Exhibit]:
        """A page of exhibits, newest first; `after` is the log_index of the last one of the page before."""
        query = _filtered(sa.select(exhibit), filters)
        if after is not None:
            query = query.where(exhibit.c.log_index < after)
        return self._exhibits(query.order_by(exhibit.c.log_index.desc()).limit(min(limit, LIMIT_MAX)))

    def seals(self, since: int, limit: int = LIMIT_MAX) -> list[Exhibit]:
        """Exhibits whose seal is this entry of the log or a later one, oldest first."""
        query = sa.select(exhibit).where(exhibit.c.log_index >= since, exhibit.c.sealed_at.is_not(None))
        return self._exhibits(query.order_by(exhibit.c.log_index).limit(limit))

    def count(self, filters: ExhibitFilter | None = None) -> int:
        """How many exhibits match."""
        with self._opened.connect() as link:
            return int(link.execute(_filtered(sa.select(sa.func.count()).select_from(exhibit), filters)).scalar_one())

    def exhibits_held(self, hold: str) -> int:
        """How many exhibits this hold stands on."""
        each = sa.func.json_each(exhibit.c.holds).table_valued("value")
        found = sa.exists(sa.select(1).select_from(each).where(each.c.value == hold))
        with self._opened.connect() as link:
            return int(link.execute(sa.select(sa.func.count()).select_from(exhibit).where(found)).scalar_one())

    def unexamined(self, limit: int, before: int | None = None) -> list[Exhibit]:
        """Sealed exhibits whose master nobody has examined, newest first; before as `after` of a page."""
        query = sa.select(exhibit).where(*_UNEXAMINED)
        if before is not None:
            query = query.where(exhibit.c.log_index < before)
        return self._exhibits(query.order_by(exhibit.c.log_index.desc()).limit(min(limit, LIMIT_MAX)))

    def count_unexamined(self) -> int:
        """How many exhibits `unexamined` would give in all."""
        with self._opened.connect() as link:
            return int(link.execute(sa.select(sa.func.count()).select_from(exhibit).where(*_UNEXAMINED)).scalar_one())

    def due(self, before: str, limit: int = LIMIT_MAX) -> list[Exhibit]:
        """Exhibits due before a day (YYYY-MM-DD), not held and with no disposal asked for, the longest due first."""
        query = sa.select(exhibit).where(*_due(before))
        return self._exhibits(query.order_by(exhibit.c.due, exhibit.c.log_index).limit(limit))

    def count_due(self, before: str) -> int:
        """How many exhibits `due` would give in all."""
        with self._opened.connect() as link:
            return int(link.execute(sa.select(sa.func.count()).select_from(exhibit).where(*_due(before))).scalar_one())

    def shredded(self) -> list[Exhibit]:
        """Every exhibit whose key was destroyed."""
        return self._exhibits(sa.select(exhibit).where(exhibit.c.shredded_at.is_not(None)))

    def made_from(self, parent: str) -> list[Exhibit]:
        """Exhibits that were made from this one, oldest first."""
        return self._exhibits(sa.select(exhibit).where(exhibit.c.parent == parent).order_by(exhibit.c.log_index))

    def disposed_with(self, sha256: str) -> list[Exhibit]:
        """Sealed exhibits with this content whose key was destroyed, oldest first."""
        query = sa.select(exhibit).where(exhibit.c.sha256 == sha256, exhibit.c.shredded_at.is_not(None))
        return self._exhibits(query.order_by(exhibit.c.log_index))

    def entries_since(self, index: int, kinds: Collection[str], limit: int = LIMIT_MAX) -> list[CustodyEntry]:
        """Entries of these kinds from this log index on, oldest first."""
        query = sa.select(custody).where(custody.c.log_index >= index, custody.c.kind.in_(kinds))
        with self._opened.connect() as link:
            return [_entry(row) for row in link.execute(query.order_by(custody.c.log_index).limit(limit))]

    def kinds(self) -> dict[str, int]:
        """How many entries of each kind."""
        with self._opened.connect() as link:
            rows = link.execute(sa.select(custody.c.kind, sa.func.count()).group_by(custody.c.kind)).all()
        return {kind: count for kind, count in rows}  # noqa: C416 - rows are not pairs to a type checker

    def kinds_between(self, since: datetime, until: datetime) -> dict[str, int]:
        """How many entries of each kind in a span."""
        query = sa.select(custody.c.kind, sa.func.count()).where(_within(since, until)).group_by(custody.c.kind)
        with self._opened.connect() as link:
            return {row[0]: row[1] for row in link.execute(query)}

    def of_kinds(self, kinds: Collection[str], since: datetime, until: datetime, limit: int) -> list[CustodyEntry]:
        """Entries of these kinds in a span, oldest first."""
        query = sa.select(custody).where(custody.c.kind.in_(kinds), _within(since, until))
        with self._opened.connect() as link:
            return [_entry(row) for row in link.execute(query.order_by(custody.c.log_index).limit(limit))]

    def named(self, kinds: Collection[str], since: int, until: int) -> list[str]:
        """The exhibits that entries of these kinds are about, from one log index up to another, oldest first."""
        spanned = sa.and_(custody.c.log_index >= since, custody.c.log_index < until, custody.c.kind.in_(kinds))
        query = sa.select(custody.c.exhibit).where(spanned, custody.c.exhibit.is_not(None))
        with self._opened.connect() as link:
            return list(
                link.execute(query.group_by(custody.c.exhibit).order_by(sa.func.min(custody.c.log_index))).scalars()
            )

    def count_short(self, wanted: int) -> int:
        """How many sealed exhibits, not disposed of, have fewer verified copies than wanted (the first counts)."""
        kept = sa.and_(
            exhibit.c.sealed_at.is_not(None), exhibit.c.disposed_at.is_(None), exhibit.c.shredded_at.is_(None)
        )
        query = sa.select(sa.func.count()).where(kept, sa.func.coalesce(exhibit.c.copies, 1) < wanted)
        with self._opened.connect() as link:
            return int(link.execute(query).scalar_one())

    def acts(self, asked: ActFilter, limit: int, after: int | None = None) -> list[CustodyEntry]:
        """Acts that match, oldest first; `after` is the log_index of the last one of the page before."""
        query = _acts(sa.select(custody), asked)
        if after is not None:
            query = query.where(custody.c.log_index > after)
        with self._opened.connect() as link:
            rows = link.execute(query.order_by(custody.c.log_index).limit(min(limit, LIMIT_MAX)))
            return [_entry(row) for row in rows]

    def indexes_between(self, since: datetime, until: datetime) -> tuple[int, int] | None:
        """Log indexes [first, last] of the entries of a span; None where it has none."""
        query = sa.select(sa.func.min(custody.c.log_index), sa.func.max(custody.c.log_index))
        with self._opened.connect() as link:
            first, last = link.execute(query.where(_within(since, until))).one()
        return None if first is None else (first, last)

    def custody(self, exhibit_id: str) -> list[CustodyEntry]:
        """The exhibit's whole chain, oldest first."""
        query = sa.select(custody).where(custody.c.exhibit == exhibit_id).order_by(custody.c.n)
        with self._opened.connect() as link:
            return [_entry(row) for row in link.execute(query)]

    def entry(self, index: int) -> CustodyEntry | None:
        """The entry of this log index."""
        with self._opened.connect() as link:
            row = link.execute(sa.select(custody).where(custody.c.log_index == index)).one_or_none()
        return None if row is None else _entry(row)

    @property
    def _opened(self) -> sa.Engine:
        if self._engine is None:
            raise MisuseError("the catalogue is not open")
        return self._engine

    def _exhibits(self, query: sa.Select[Any]) -> list[Exhibit]:
        with self._opened.connect() as link:
            return [_exhibit(row) for row in link.execute(query)]


def _applied_size(link: sa.Connection) -> int:
    value = link.execute(sa.select(meta.c.value).where(meta.c.key == "applied_size")).scalar_one_or_none()
    return int(value or 0)


def _due(before: str) -> tuple[sa.ColumnElement[bool], ...]:
    kept = (exhibit.c.sealed_at.is_not(None), exhibit.c.shredded_at.is_(None), exhibit.c.disposed_at.is_(None))
    return (*kept, exhibit.c.held.is_(False), exhibit.c.disposal.is_(None), exhibit.c.due < before)


def _within(since: datetime, until: datetime) -> sa.ColumnElement[bool]:
    return custody.c.at.between(text_time(since), text_time(until))


def _filtered(query: sa.Select[Any], filters: ExhibitFilter | None) -> sa.Select[Any]:
    if filters is None:
        return query
    for name in _EQUAL:
        wanted = getattr(filters, name)
        if wanted is not None:
            query = query.where(exhibit.c[name] == wanted)
    if filters.sealed is not None:
        query = query.where(exhibit.c.sealed_at.is_not(None) == filters.sealed)
    if filters.flags is not None:
        query = query.where(_any_of(exhibit.c.flags, filters.flags))
    if filters.since is not None:
        query = query.where(sa.func.coalesce(exhibit.c.ended_at, exhibit.c.started_at) >= text_time(filters.since))
    if filters.until is not None:
        query = query.where(exhibit.c.started_at <= text_time(filters.until))
    return query.where(*_work(filters))


def _work(filters: ExhibitFilter) -> Iterator[sa.ColumnElement[bool]]:
    """What evidence officers ask of their work."""
    if filters.hold is not None:
        yield _any_of(exhibit.c.holds, (filters.hold,))
    if filters.due_before is not None:
        yield exhibit.c.due < filters.due_before
    if filters.review_before is not None:
        yield exhibit.c.review_due < filters.review_before
    if filters.present is not None:
        present = sa.and_(exhibit.c.disposed_at.is_(None), exhibit.c.shredded_at.is_(None))
        yield present if filters.present else sa.not_(present)


def _any_of(column: sa.ColumnElement[Any], wanted: tuple[str, ...]) -> sa.ColumnElement[bool]:
    each = sa.func.json_each(column).table_valued("value")
    return sa.exists(sa.select(1).select_from(each).where(each.c.value.in_(wanted)))


def _acts(query: sa.Select[Any], asked: ActFilter) -> sa.Select[Any]:
    """Narrow a query over custody to what is asked for."""
    if asked.kinds is not None:
        query = query.where(custody.c.kind.in_(asked.kinds))
    for name in ("actor", "exhibit"):
        if (wanted := getattr(asked, name)) is not None:
            query = query.where(custody.c[name] == wanted)
    if asked.since is not None:
        query = query.where(custody.c.at >= text_time(asked.since))
    if asked.until is not None:
        query = query.where(custody.c.at < text_time(asked.until))
    return query.where(custody.c.exhibit.is_(None)) if asked.general else query


def _exhibit(row: sa.Row[Any]) -> Exhibit:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    values |= {name: None if values[name] is None else from_rfc3339(values[name]) for name in TIMES}
    return Exhibit(**values | {name: tuple(values[name] or ()) for name in LISTS})


def _entry(row: sa.Row[Any]) -> CustodyEntry:
    return CustodyEntry(**{**row._mapping, "at": from_rfc3339(row.at)})  # noqa: SLF001 - as above
