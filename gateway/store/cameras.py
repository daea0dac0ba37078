"""cameras.db: last word of each camera, the recordings expected of it, and what has come (docs/formats.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.domain.cameras import Arrival, CameraStatus, Expected, Told
from gateway.errors import MisuseError
from gateway.evidence.awaited import Book, Limits, bring_forward, hear
from gateway.evidence.matching import matched
from gateway.store.sqlite import open_engine, storing

BUSY_MS = 500
"""Telemetry waits no longer for another writer: held in memory it is acknowledged, and a panic may be behind it."""
CAMERAS_MAX = 20_000
"""Names of cameras come from outside: more of them than any force has is somebody's mischief."""

metadata = sa.MetaData()
meta = sa.Table(
    "meta", metadata, sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Integer, nullable=False)
)
camera = sa.Table(
    "camera", metadata, sa.Column("device", sa.Text, primary_key=True), sa.Column("body", sa.Text, nullable=False)
)
expected = sa.Table(
    "expected",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("recording", sa.Text),
    sa.Column("exhibit", sa.Text),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.Column("settled", sa.Boolean, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("expected_recording", "device", "recording"),
    sa.Index("expected_whole", "whole", "device"),
    sa.Index("expected_exhibit", "exhibit"),
    sa.Index("expected_day", "day"),
)
arrival = sa.Table(
    "arrival",
    metadata,
    sa.Column("exhibit", sa.Text, primary_key=True),
    sa.Column("device", sa.Text, nullable=False),
    sa.Column("recording", sa.Text, nullable=False),
    sa.Column("sidecar_of", sa.Text),
    sa.Column("log_index", sa.Integer, nullable=False),
    sa.Column("day", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("arrival_recording", "device", "recording"),
    sa.Index("arrival_sidecar", "device", "sidecar_of"),
    sa.Index("arrival_day", "day"),
)


class CameraStore:
    """One file; every call may block, from any thread. What `write` has taken is durable on return."""

    def __init__(self, path: Path | str, limits: Limits) -> None:
        """Name the file; it is opened by `open`."""
        self.path, self.limits = Path(path), limits
        self._engine: sa.Engine | None = None
        self.refused = self.renumbered = 0

    def open(self) -> None:
        """Open or make the file; idempotent."""
        if self._engine is None:
            self._engine = open_engine(self.path, metadata, {"synchronous": "FULL", "busy_timeout": str(BUSY_MS)})

    def close(self) -> None:
        """Close; idempotent."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()

    # --- in

    def write(self, words: Sequence[Told]) -> None:
        """Take words of telemetry in order, all or none."""
        refused = renumbered = 0
        with storing(self._opened) as link:
            for device in dict.fromkeys(word.device for word in words):
                own = [word for word in words if word.device == device]
                # A plain status changes no row: most words of a camera cost two lines of SQL.
                plain = all(word.kind == "status" and word.body.get("docked") is not True for word in own)
                book = _book(link, device, None if plain else (word.body.get("recording") for word in own))
                if book is None:
                    refused += len(own)
                    continue
                for word in own:
                    hear(book, word, self.limits)
                renumbered += book.renumbered
                _keep(link, book)
                if book.changed:
                    _match(link, book)
        self.refused += refused
        self.renumbered += renumbered

    def arrived(self, seals: Sequence[Arrival], mark: int) -> None:
        """Take sealed exhibits; `mark` is how many entries of the log have been looked at."""
        with storing(self._opened) as link:
            for seal in seals:
                row = {"day": _day(seal.started_at or seal.sealed_at), "body": _json(seal)}
                names = ("exhibit", "device", "recording", "sidecar_of", "log_index")
                row |= {name: getattr(seal, name) for name in names}
                link.execute(arrival.insert().prefix_with("OR REPLACE"), row)
            for device in dict.fromkeys(seal.device for seal in seals):
                own = [seal for seal in seals if seal.device == device]
                book = _book(link, device, (seal.recording for seal in own))
                if book is not None:
                    docked = max((seal.sealed_at for seal in own if seal.via and not seal.apart), default=None)
                    _match(link, book)
                    if docked is not None:
                        bring_forward(book, docked)
                    _keep(link, book)
            link.execute(meta.insert().prefix_with("OR REPLACE"), {"key": "log_size", "value": mark})

    def settle(self, number: int, by: str, at: datetime, reason: str, index: int | None) -> Expected | None:
        """Mark a row as settled by a person; None for no such row."""
        with storing(self._opened) as link:
            row = _one(link, number)
            if row is None:
                return None
            row = msgspec.structs.replace(row, settled_by=by, settled_at=at, reason=reason, settled_index=index)
            _put(link, [row])
            return row

    # --- out

    @property
    def mark(self) -> int:
        """How many entries of the log have been looked at for seals."""
        with self._opened.connect() as link:
            return int(link.execute(sa.select(meta.c.value).where(meta.c.key == "log_size")).scalar_one_or_none() or 0)

    def row(self, number: int) -> Expected | None:
        """One row of the list."""
        with self._opened.connect() as link:
            return _one(link, number)

    def rows(self, device: str | None = None, *, open_only: bool = True, limit: int = 1000) -> list[Expected]:
        """Rows of the list, the longest waiting first; of all of them, the newest where there are more."""
        query = sa.select(expected.c.body).order_by(expected.c.id if open_only else expected.c.id.desc()).limit(limit)
        if open_only:
            query = query.where(~expected.c.whole, ~expected.c.settled)
        if device is not None:
            query = query.where(expected.c.device == device)
        with self._opened.connect() as link:
            return [_expected(row.body) for row in link.execute(query)]

    def statuses(self) -> dict[str, CameraStatus]:
        """The last word of every camera."""
        with self._opened.connect() as link:
            return {row.device: _status(row.body) for row in link.execute(sa.select(camera))}

    def of_day(self, day: str) -> tuple[list[Expected], list[Arrival]]:
        """Of one day (UTC) by when they were recorded: rows, and sealed recordings that nobody had announced."""
        its = sa.or_(expected.c.recording == arrival.c.recording, expected.c.exhibit == arrival.c.exhibit)
        announced = sa.exists().where(expected.c.device == arrival.c.device, its)
        of_itself = sa.select(arrival.c.body).where(arrival.c.day == day, arrival.c.sidecar_of.is_(None), ~announced)
        with self._opened.connect() as link:
            rows = [_expected(row.body) for row in link.execute(sa.select(expected).where(expected.c.day == day))]
            others = [_arrival(row.body) for row in link.execute(of_itself)]
        return rows, [each for each in others if not each.apart]

    def arrival(self, exhibit: str) -> Arrival | None:
        """A sealed exhibit that has been looked at."""
        with self._opened.connect() as link:
            body = link.execute(sa.select(arrival.c.body).where(arrival.c.exhibit == exhibit)).scalar_one_or_none()
        return None if body is None else _arrival(body)

    def sidecars(self, device: str, recording: str) -> list[Arrival]:
        """What was sealed beside a recording to describe it, the newest first."""
        query = sa.select(arrival.c.body).where(arrival.c.device == device, arrival.c.sidecar_of == recording)
        with self._opened.connect() as link:
            found = [_arrival(row.body) for row in link.execute(query.order_by(arrival.c.log_index.desc()))]
        return [each for each in found if not each.apart]

    @property
    def _opened(self) -> sa.Engine:
        if self._engine is None:
            raise MisuseError("the cameras' store is not open")
        return self._engine


def _book(link: sa.Connection, device: str, names: Iterable[object] | None) -> Book | None:
    """One camera with its open rows and those of the recordings named (None: no rows); None for one too many."""
    body = link.execute(sa.select(camera.c.body).where(camera.c.device == device)).scalar_one_or_none()
    if body is None and link.execute(sa.select(sa.func.count()).select_from(camera)).scalar_one() >= CAMERAS_MAX:
        return None
    status = None if body is None else _status(body)
    if names is None:
        return Book(status, {}, iter(()).__next__)
    wanted = sa.or_(~expected.c.whole, expected.c.recording.in_([name for name in names if isinstance(name, str)]))
    found = link.execute(sa.select(expected.c.body).where(expected.c.device == device, wanted))
    rows = {row.id: row for row in (_expected(each.body) for each in found)}
    last = link.execute(sa.select(sa.func.max(expected.c.id))).scalar_one() or 0
    numbers = iter(range(last + 1, 1 << 62))
    return Book(status, rows, lambda: next(numbers))


def _match(link: sa.Connection, book: Book) -> None:
    """Give the camera's rows the exhibits that are theirs, and keep them."""
    rows = list(book.rows.values())
    waiting = [row for row in rows if not row.complete]
    if not waiting:
        return
    since = min(row.not_before or row.begun for row in waiting).date().isoformat()
    names = {row.recording for row in waiting if row.recording is not None}
    device = waiting[0].device
    near = sa.or_(arrival.c.recording.in_(names), arrival.c.day >= since)
    found = link.execute(sa.select(arrival.c.body).where(arrival.c.device == device, near))
    for row in matched(rows, [_arrival(each.body) for each in found]):
        book.put(row)
    _put(link, [book.rows[number] for number in book.changed])


def _keep(link: sa.Connection, book: Book) -> None:
    if book.status is not None:
        link.execute(
            camera.insert().prefix_with("OR REPLACE"), {"device": book.status.device, "body": _json(book.status)}
        )
    _put(link, [book.rows[number] for number in book.changed])


def _put(link: sa.Connection, rows: Sequence[Expected]) -> None:
    if rows:
        values = [
            {
                "id": row.id,
                "device": row.device,
                "recording": row.recording,
                "exhibit": row.exhibit,
                "whole": row.complete is True,
                "settled": row.settled_at is not None,
                "day": _day(row.begun),
                "body": _json(row),
            }
            for row in rows
        ]
        link.execute(expected.insert().prefix_with("OR REPLACE"), values)


def _one(link: sa.Connection, number: int) -> Expected | None:
    body = link.execute(sa.select(expected.c.body).where(expected.c.id == number)).scalar_one_or_none()
    return None if body is None else _expected(body)


def _day(moment: datetime) -> str:
    """The UTC day (a moment is UTC wherever it comes from)."""
    return moment.date().isoformat()


def _json(body: Any) -> str:  # noqa: ANN401 - any record of this file
    return msgspec.json.encode(body).decode()


def _expected(body: str) -> Expected:
    return msgspec.json.decode(body, type=Expected)


def _status(body: str) -> CameraStatus:
    return msgspec.json.decode(body, type=CameraStatus)


def _arrival(body: str) -> Arrival:
    return msgspec.json.decode(body, type=Arrival)
