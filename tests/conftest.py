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
