"""What dispatch needs of the rest of the gateway, as protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from gateway.dispatch.task import State, Task
from gateway.domain.events import Reach
from gateway.domain.ids import Issi
from gateway.domain.people import Device
from gateway.ports import Clock, Directory, Downlink


class Wanted(msgspec.Struct, frozen=True):
    """Which tasks: of a unit, in a state, made in a span of time; the newest `limit` of them."""

    unit: str | None = None
    state: State | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int | None = 1_000


class Ledger(Protocol):
    """Where tasks are kept. Synchronous; what has returned is committed. StoreBusyError when the disk refuses."""

    def add(self, task: Task, key: str | None, asked: str) -> Task:
        """Keep a new task and give it its id; key and asked are the idempotency key and what was asked by it."""
        ...

    def keyed(self, actor: str, key: str) -> tuple[Task, str] | None:
        """The task this account made by this key, and what it asked."""
        ...

    def keep(self, tasks: Sequence[Task]) -> None:
        """Keep tasks as they stand, all or none."""
        ...

    def task(self, name: str) -> Task | None:
        """One task."""
        ...

    def tasks(self, wanted: Wanted) -> list[Task]:
        """Tasks, oldest first."""
        ...

    def forget(self, before: datetime, most: int) -> int:
        """Delete tasks made before then that are over, and whose officer has nothing more to be told: how many."""
        ...

    def unfinished(self) -> list[Task]:
        """Every task that is not over, and those over of which the officer has yet to be told."""
        ...

    def raised(self) -> dict[Issi, str]:
        """Terminals whose reporting interval we have changed, and for which emergency."""
        ...

    def keep_raised(self, issi: Issi, emergency: str | None) -> None:
        """We are changing a terminal's interval for this emergency; None: it is back at its own."""
        ...


class Emergency(Protocol):
    """What dispatch reads of an emergency's record."""

    @property
    def id(self) -> str:
        """Its number."""
        ...

    @property
    def state(self) -> str:
        """`active`, `acknowledged` or `cleared`."""
        ...

    @property
    def person(self) -> str | None:
        """Whose it is."""
        ...

    @property
    def issi(self) -> int | None:
        """The terminal it came from."""
        ...


class Beats(Protocol):
    """What the feed knows of units; answers from memory."""

    def reach(self, unit: str) -> Reach:
        """Whether the unit's terminal can be reached."""
        ...

    def stale(self, unit: str) -> bool:
        """Whether its position is old or none."""
        ...

    def duty(self, unit: str) -> tuple[int, str]:
        """The number of the feed's record that last changed its duty (0: none), and the state it is in since."""
        ...

    def emergencies(self) -> Iterable[Emergency]:
        """All that are open, and the latest that are over."""
        ...


@dataclass(frozen=True)
class Surroundings:
    """The rest of the gateway as dispatch sees it; jitter gives numbers in [0, 1)."""

    directory: Directory
    devices: Callable[[], Sequence[Device]]
    beats: Beats
    downlinks: Callable[[], Mapping[str, Downlink]]
    clock: Clock
    jitter: Callable[[], float]
