"""tracks/<date>.db: past fixes, a file a day of fix time, so that a day is forgotten by removing its file.

Rows lie in batches as they were written, by unit within a batch: writing only appends, and one unit's track is one
look-up a batch. The journal is what proves a track (docs/formats.md); this is what the control room looks at.
"""

from __future__ import annotations

import contextlib
import heapq
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import chain
from pathlib import Path

from msgspec.structs import astuple
from sqlalchemy import Column, Engine, Float, Integer, MetaData, String, Table, and_, delete, insert, or_, select

from gateway.feed.past import PastFix, in_order, moment
from gateway.store.sqlite import open_engine, refusing, storing

TABLES = MetaData()
BATCHES = Table(
    "batch",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("first_ms", Integer, nullable=False),
    Column("last_ms", Integer, nullable=False),
)
_TYPES = {"person": String, "latitude": Float, "longitude": Float, "source": String, "time_quality": String}
_TYPES |= {"mark": String, "quality": String, **dict.fromkeys(("fix_ms", "told_ms", "arrived_ms"), Integer)}
_TYPES |= dict.fromkeys(("accuracy_m", "altitude_m", "speed_mps", "heading_deg"), Float)
NAMES = PastFix.__struct_fields__
FIXES = Table(
    "fix",
    TABLES,
    Column("batch", Integer, primary_key=True),
    Column("unit", String, primary_key=True),
    Column("n", Integer, primary_key=True),
    *(Column(name, _TYPES.get(name, String)) for name in NAMES if name != "unit"),
    sqlite_with_rowid=False,
)
ROWS_AT_ONCE = 1_024
"""In one statement: while SQLite works on it the feed has the interpreter to itself; row by row they'd take turns."""
_ROW_OF = f"({', '.join('?' * (len(NAMES) + 2))})"
_INSERT = f"INSERT INTO fix (batch, n, {', '.join(NAMES)}) VALUES {_ROW_OF}"  # noqa: S608
_INSERT_MANY = _INSERT + f", {_ROW_OF}" * (ROWS_AT_ONCE - 1)
DAY_MS = 86_400_000
_ROW = [FIXES.c[name] for name in NAMES]
PRAGMAS = {"synchronous": "NORMAL", "secure_delete": "ON"}
DAYS_OPEN = 4
LATE_MS = 86_400_000


class TrackStore:
    """Past fixes below a directory; from any thread, one writer at a time."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._engines: OrderedDict[date, Engine] = OrderedDict()
        self._lock = threading.Lock()

    # --- in

    def add(self, fixes: Sequence[PastFix]) -> None:
        """Keep them; outlives the process on return. StoreBusyError where the disk refuses: then keep them again."""
        days: dict[int, list[PastFix]] = defaultdict(list)
        for each in fixes:
            days[each.fix_ms // DAY_MS].append(each)
        with self._lock:
            for day, some in sorted(days.items()):
                self._add(self._opened(moment(day * DAY_MS).date()), some)

    @staticmethod
    def _add(engine: Engine, fixes: list[PastFix]) -> None:
        times = [each.fix_ms for each in fixes]
        with storing(engine) as link:
            made = link.execute(insert(BATCHES).values(first_ms=min(times), last_ms=max(times)))
            batch = int(made.inserted_primary_key[0])  # type: ignore[index]
            units = [each.unit for each in fixes]
            order = sorted(range(len(fixes)), key=units.__getitem__)
            rows = [(batch, n, *astuple(fixes[n])) for n in order]
            whole = len(rows) - len(rows) % ROWS_AT_ONCE
            for first in range(0, whole, ROWS_AT_ONCE):
                link.exec_driver_sql(_INSERT_MANY, tuple(chain.from_iterable(rows[first : first + ROWS_AT_ONCE])))
            if rows[whole:]:
                link.exec_driver_sql(_INSERT, rows[whole:])

    def _opened(self, day: date) -> Engine:
        engine = self._engines.pop(day, None) or open_engine(self._path(day), TABLES, PRAGMAS)
        self._engines[day] = engine
        while len(self._engines) > DAYS_OPEN:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def _path(self, day: date) -> Path:
        return self.directory / f"{day.isoformat()}.db"

    # --- out

    def days(self) -> list[date]:
        """Every day of which there is a file."""
        found = []
        for path in self.directory.glob("????-??-??.db"):
            try:
                found.append(date.fromisoformat(path.stem))
            except ValueError:
                continue  # nobody's day, so nobody's history
        return sorted(found)

    def track(self, unit: str, since_ms: int, until_ms: int, most: int) -> list[PastFix]:
        """One unit's fixes in the span (to is exclusive), each once, by the time they count for; at most so many."""
        found: list[PastFix] = []
        for day in self._within(since_ms, until_ms):
            inside = (FIXES.c.fix_ms >= since_ms, FIXES.c.fix_ms < until_ms)
            touched = (BATCHES.c.last_ms >= since_ms, BATCHES.c.first_ms < until_ms)
            query = select(*_ROW).select_from(BATCHES).join(FIXES, FIXES.c.batch == BATCHES.c.id)
            query = query.where(FIXES.c.unit == unit, *inside, *touched).limit(most - len(found))
            with _reading(self._path(day)) as engine, refusing(engine), engine.connect() as link:
                found += [PastFix(*row) for row in link.execute(query)]
        return in_order(found)

    def replay(self, since_ms: int, until_ms: int) -> Iterator[PastFix]:
        """Everybody's fixes that arrived in the span, by arrival; of those that came late, a day's."""
        days = self._within(since_ms - LATE_MS, until_ms)
        return heapq.merge(*(self._arrived(day, since_ms, until_ms) for day in days), key=lambda each: each.arrived_ms)

    def _arrived(self, day: date, since_ms: int, until_ms: int) -> Iterator[PastFix]:
        with _reading(self._path(day)) as engine:
            at = -1
            while True:
                wanted = (FIXES.c.batch > at, FIXES.c.arrived_ms >= since_ms, FIXES.c.arrived_ms < until_ms)
                with refusing(engine), engine.connect() as link:
                    batch = link.execute(select(FIXES.c.batch).where(*wanted).order_by(FIXES.c.batch).limit(1)).scalar()
                    if batch is None:
                        return
                    rows = link.execute(select(*_ROW).where(FIXES.c.batch == batch, *wanted).order_by(FIXES.c.n)).all()
                at = batch
                yield from sorted((PastFix(*row) for row in rows), key=lambda each: each.arrived_ms)

    def latest(self, since_ms: int, most: int) -> list[PastFix]:
        """The last good fix of each device, as far as the newest so many rows tell."""
        newest: dict[tuple[str, str], PastFix] = {}
        for day in reversed([day for day in self.days() if day >= moment(since_ms).date()]):
            query = select(*_ROW).where(FIXES.c.fix_ms >= since_ms, FIXES.c.mark.in_(("live", "kept")))
            query = query.order_by(FIXES.c.batch.desc()).limit(max(most, 0))
            with _reading(self._path(day)) as engine, refusing(engine), engine.connect() as link:
                rows = [PastFix(*row) for row in link.execute(query)]
            most -= len(rows)
            for each in rows:
                known = newest.get((each.unit, each.device))
                if known is None or each.fix_ms > known.fix_ms:
                    newest[each.unit, each.device] = each
        return sorted(newest.values(), key=lambda each: each.fix_ms)

    def _within(self, since_ms: int, until_ms: int) -> list[date]:
        return [day for day in self.days() if moment(since_ms).date() <= day <= moment(until_ms).date()]

    # --- gone

    def expire(self, before: date) -> int:
        """Remove the files of every day before this one."""
        gone = [day for day in self.days() if day < before]
        with self._lock:
            for day in gone:
                self._remove(day)
        return len(gone)

    def _remove(self, day: date) -> None:
        if (engine := self._engines.pop(day, None)) is not None:
            engine.dispose()
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._path(day)}{ending}").unlink(missing_ok=True)

    def forget(self, device: str, since_ms: int, until_ms: int) -> int:
        """Remove one device's fixes that were made or came in a span, for good; say how many."""
        gone = 0
        made = and_(FIXES.c.fix_ms >= since_ms, FIXES.c.fix_ms < until_ms)
        span = or_(made, and_(FIXES.c.arrived_ms >= since_ms, FIXES.c.arrived_ms < until_ms))
        for day in [day for day in self.days() if day <= moment(until_ms).date()]:
            with _reading(self._path(day)) as engine, storing(engine) as link:
                gone += link.execute(delete(FIXES).where(FIXES.c.device == device, span)).rowcount
        return gone

    def close(self) -> None:
        """Let the files go."""
        with self._lock:
            while self._engines:
                self._engines.popitem()[1].dispose()


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Engine]:
    """An engine of one's own for as long as one reads."""
    engine = open_engine(path, TABLES, PRAGMAS)
    try:
        yield engine
    finally:
        engine.dispose()
