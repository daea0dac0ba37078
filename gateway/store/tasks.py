"""Tasks in roster.db, and the terminals whose reporting interval is not their own for now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from gateway.dispatch.ports import Wanted
from gateway.dispatch.task import ORDER, OVER, Task
from gateway.domain.ids import Issi
from gateway.domain.time import rfc3339
from gateway.store.sqlite import storing

TASK_TABLES = MetaData()
TASKS = Table(
    "task",
    TASK_TABLES,
    Column("row", Integer, primary_key=True),
    Column("id", String, nullable=False, unique=True),
    Column("unit", String, nullable=False),
    Column("state", String, nullable=False),
    Column("notice", String),
    Column("created_at", String, nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("key", String),
    Column("asked", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("task_key", "actor", "key", unique=True),
    Index("task_unit", "unit", "row"),
    Index("task_state", "state"),
)
RAISED = Table(
    "raised_interval",
    TASK_TABLES,
    Column("issi", Integer, primary_key=True),
    Column("emergency", String, nullable=False),
    Column("since", String, nullable=False),
)
OPEN_STATES = [state for state, rank in ORDER.items() if rank != OVER]


class TaskStore:
    """Implements gateway.dispatch.ports.Ledger over the engine of roster.db."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._made = False

    def _tables(self) -> Engine:
        if not self._made:
            with storing(self._engine) as link:
                TASK_TABLES.create_all(link)
            self._made = True
        return self._engine

    def add(self, task: Task, key: str | None, asked: str) -> Task:
        """Keep a new task under the next number."""
        with storing(self._tables()) as link:
            last = link.execute(select(TASKS.c.row).order_by(TASKS.c.row.desc()).limit(1)).scalar_one_or_none() or 0
            numbered = msgspec.structs.replace(task, id=f"TK-{last + 1:06d}")
            link.execute(insert(TASKS).values(row=last + 1, key=key, asked=asked, **_columns(numbered)))
        return numbered

    def keyed(self, actor: str, key: str) -> tuple[Task, str] | None:
        """The task this account made by this key, and what it asked."""
        with self._tables().connect() as link:
            query = select(TASKS.c.body, TASKS.c.asked).where(TASKS.c.actor == actor, TASKS.c.key == key)
            row = link.execute(query).one_or_none()
        return None if row is None else (_task(row.body), row.asked)

    def keep(self, tasks: Sequence[Task]) -> None:
        """Keep tasks as they stand, all or none."""
        with storing(self._tables()) as link:
            for task in tasks:
                link.execute(update(TASKS).where(TASKS.c.id == task.id).values(**_columns(task)))

    def task(self, name: str) -> Task | None:
        """One task."""
        with self._tables().connect() as link:
            body = link.execute(select(TASKS.c.body).where(TASKS.c.id == name)).scalar_one_or_none()
        return None if body is None else _task(body)

    def tasks(self, wanted: Wanted) -> list[Task]:
        """Tasks, oldest first; the newest where there are more than wanted."""
        query = select(TASKS.c.body).order_by(TASKS.c.row.desc())
        if wanted.unit is not None:
            query = query.where(TASKS.c.unit == wanted.unit)
        if wanted.state is not None:
            query = query.where(TASKS.c.state == wanted.state)
        if wanted.since is not None:
            query = query.where(TASKS.c.created_at >= _moment(wanted.since))
        if wanted.until is not None:
            query = query.where(TASKS.c.created_at < _moment(wanted.until))
        with self._tables().connect() as link:
            return _read(link, query.limit(wanted.limit))[::-1]

    def forget(self, before: datetime, most: int) -> int:
        """Delete finished tasks of before, the oldest first, at most so many; the newest of all keeps its number."""
        over = select(TASKS.c.row).where(
            TASKS.c.created_at < _moment(before),
            TASKS.c.state.not_in(OPEN_STATES),
            or_(TASKS.c.notice.is_(None), TASKS.c.notice != "due"),
            TASKS.c.row < select(func.max(TASKS.c.row)).scalar_subquery(),
        )
        with storing(self._tables()) as link:
            return link.execute(delete(TASKS).where(TASKS.c.row.in_(over.order_by(TASKS.c.row).limit(most)))).rowcount

    def unfinished(self) -> list[Task]:
        """Every task that is not over, and those over of which the officer has yet to be told."""
        query = select(TASKS.c.body).where(or_(TASKS.c.state.in_(OPEN_STATES), TASKS.c.notice == "due"))
        with self._tables().connect() as link:
            return _read(link, query.order_by(TASKS.c.row))

    def raised(self) -> dict[Issi, str]:
        """Terminals whose reporting interval we have changed, and for which emergency."""
        with self._tables().connect() as link:
            return {Issi(row.issi): row.emergency for row in link.execute(select(RAISED))}

    def keep_raised(self, issi: Issi, emergency: str | None) -> None:
        """We are changing a terminal's interval for this emergency; None: it is back at its own."""
        with storing(self._tables()) as link:
            link.execute(delete(RAISED).where(RAISED.c.issi == issi))
            if emergency is not None:
                since = rfc3339(datetime.now(UTC))
                link.execute(insert(RAISED).values(issi=issi, emergency=emergency, since=since))


def _columns(task: Task) -> dict[str, object]:
    return {
        "id": task.id,
        "unit": task.unit,
        "state": task.state,
        "notice": task.notice,
        "created_at": _moment(task.created_at),
        "actor": task.actor,
        "body": msgspec.json.encode(task).decode(),
    }


def _moment(moment: datetime) -> str:
    """One width, so that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _task(body: str) -> Task:
    return msgspec.json.decode(body, type=Task)


def _read(link: Connection, query: Select[Any]) -> list[Task]:
    return [_task(row.body) for row in link.execute(query)]
