"""What every test may use."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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
    *("broker", "dock", "faults", "firmware_stubs", "foreign", "media/test_gateway.py", "scenarios", "test_claim.py"),
    *("api/test_stream.py", "cli/test_book.py", "cli/test_fleet.py", "dispatch/test_vigil.py"),
    *("evidence/test_witnesses.py", "properties/test_vault.py"),
)
"""Tests of whole processes, and of what happens in time: beside others on one machine they would measure those."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs by itself (`make test` runs the rest in parallel)."""
    here = Path(__file__).parent
    for item in items:
        if str(item.path.relative_to(here)).startswith(ALONE):
            item.add_marker("alone")


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
