"""What every test may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway import observe
from gateway.domain.time import Instant
from tests import peers

settings.register_profile(
    "lapel",
    derandomize=True,
    deadline=None,
    max_examples=int(os.environ.get("LAPEL_EXAMPLES", "200")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("lapel")


ALONE = (
    *("scenarios", "faults", "properties/test_vault.py", "foreign", "dock", "firmware_stubs", "test_claim.py"),
    *("api/test_stream.py", "cli/test_fleet.py", "broker", "cli/test_book.py", "api/test_on_record.py"),
    *("dispatch/test_vigil.py", "evidence/test_witnesses.py", "media/test_gateway.py"),
)
"""Tests of whole processes, and of what happens in time; the long ones first, so that two at a time end together."""

TIMED = (
    *("scenarios/test_emergency.py", "dispatch/test_vigil.py", "evidence/test_witnesses.py", "faults/test_fairness.py"),
    "scenarios/test_demo.py::test_half_a_minute",
    "scenarios/test_radio_task.py::test_out_of_reach_is_known_after_a_crash",
    "api/test_on_record.py::test_an_emergency_waits_for_no_disk",
    "api/test_stream.py::test_a_slow_consumer_holds_up_nobody",
    "api/test_stream.py::test_a_stop_ends_every_stream",
    "media/test_gateway.py::test_hostile_films_stop_nothing",
)
"""Of these, those that hold a duration to a bound, or must have come so far in it: beside another they measure that."""


def _place(path: Path) -> str:
    return str(path.relative_to(Path(__file__).parent))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files that `-m alone …` or `-m timed …` would leave out anyway are not even read: that takes long."""
    wanted = {"alone": ALONE, "timed": TIMED}.get(str(config.option.markexpr).partition(" ")[0])
    if wanted is None or not collection_path.name.startswith("test_"):
        return None
    files = tuple(name.partition("::")[0] for name in wanted)
    return None if _place(collection_path).startswith(files) else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is not for the many beside one another (`make test`), and begin with what takes long."""
    order: dict[Path, int] = {}
    for item in items:
        place = _place(item.path)
        order[item.path] = next((at for at, name in enumerate(ALONE) if place.startswith(name)), len(ALONE))
        if order[item.path] < len(ALONE):
            item.add_marker("alone")
        if f"{place}::{item.name}".startswith(TIMED):
            item.add_marker("timed")
    items.sort(key=lambda item: order[item.path])


@pytest.fixture(autouse=True)
def own_words() -> Iterator[None]:
    """What a test's gateway has logged is written before the next test reads standard error."""
    yield
    observe._to_stderr.drain()


class HandClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.start = datetime(2026, 11, 21, 21, 0, 0, tzinfo=UTC)

    def now(self) -> Instant:
        """This moment."""
        return Instant(self.seconds, datetime.fromtimestamp(self.start.timestamp() + self.seconds, UTC))


@pytest.fixture
def clock() -> HandClock:
    """A clock that moves when told."""
    return HandClock()


@pytest.fixture
def shared() -> Path:
    """The shared references."""
    return peers.shared().parent
