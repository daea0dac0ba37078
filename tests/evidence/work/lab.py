"""A desk over a real log and catalogue on a temporary directory, with exhibits that were sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.crypto.canonical import parse_canonical
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.domain.time import Instant, rfc3339
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.disk import Disk
from gateway.evidence.rows import Entry, Exhibit
from gateway.evidence.settings import RetentionSection
from gateway.evidence.work.desk import Desk
from gateway.evidence.work.retention import RuleDesk
from gateway.evidence.work.rules import Worker
from gateway.store.catalogue import Catalogue
from gateway.working import tables
from tests.evidence.log.lab import ORIGIN, Lab

AT = datetime(2026, 11, 21, 21, 8, 2, tzinfo=UTC)
ANN, BOB = Worker("ann", "P-1"), Worker("bob", "P-2")


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.utc = AT

    def now(self) -> Instant:
        """Now."""
        return Instant(0.0, self.utc)

    def pass_days(self, days: int) -> None:
        """Let days go by."""
        self.utc += timedelta(days=days)


class WorkLab:
    """One store, its log open, and the desk."""

    def __init__(self, directory: Path, retention: RetentionSection, disk: Disk | None = None) -> None:
        self.lab, self.retention, self.clock = Lab(directory), retention, Clock()
        parts = (self.lab.keystore, self.lab.keyring, self.lab.catalogue, self.clock, "0.1.0+test")
        self.log = CustodyLog(self.lab.evidence, ORIGIN, *parts, disk or Disk())
        self.log.open_now()
        self.desk = self.another_desk()
        self.rules = RuleDesk(self.desk)

    @property
    def catalogue(self) -> Catalogue:
        """The catalogue."""
        return self.lab.catalogue

    def another_desk(self) -> Desk:
        """A desk as another process has one over the same store."""
        return Desk(self.log, self.catalogue, tables(self.retention), self.clock)

    def close(self) -> None:
        """Close everything."""
        self.log.close_now()
        self.lab.close()

    def seal(self, name: str, *, controller: str = "PCC", days_ago: int = 0, **more: Any) -> str:
        """A sealed exhibit."""
        began = self.clock.utc - timedelta(days=days_ago)
        due = (began + timedelta(days=31)).date().isoformat()
        facts = {"controller": controller, "category": "uncategorised", "rule": f"{controller}/uncategorised@1"}
        detail = {"device": "cam-1", "recording": name, "name": f"{name}.mp4", "flags": [], **more}
        detail |= {"started_at": rfc3339(began), "ended_at": rfc3339(began + timedelta(seconds=90))}
        exhibit = ExhibitId(f"X-{name}")
        receive = Act("receive", "system", exhibit, {"controller": controller}, {"device": "cam-1"})
        seal = Act("seal", "system", exhibit, {**facts, "due": due, "held": False, "size": 9, "complete": True}, detail)
        asyncio.run(self.log.record_many([receive, seal]))
        return str(exhibit)

    def row(self, exhibit: str) -> Exhibit:
        """An exhibit as the catalogue has it."""
        row = self.catalogue.exhibit(exhibit)
        assert row is not None
        return row

    def entries(self) -> list[Entry]:
        """Every entry of the log, read back from the disk."""
        found = []
        for index in range(self.log.size):
            leaf, kept = self.log.leaf(index), self.log.detail(index)
            found.append(Entry(index, leaf, parse_canonical(leaf), None if kept is None else kept[0]))
        return found

    def told(self, kind: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Facts and detail of every entry of a kind."""
        return [(each.facts, each.detail or {}) for each in self.entries() if each.facts["kind"] == kind]

    def rebuilt(self, path: Path) -> list[Exhibit]:
        """The exhibits of a catalogue made anew from the log."""
        fresh = Catalogue(path)
        fresh.open()
        fresh.apply(self.entries())
        rows = fresh.exhibits(limit=1000)
        fresh.close()
        return rows


@contextmanager
def work_lab(directory: Path, retention: RetentionSection | None = None) -> Iterator[WorkLab]:
    """A lab, opened and closed."""
    lab = WorkLab(directory, retention or RetentionSection())
    try:
        yield lab
    finally:
        lab.close()
