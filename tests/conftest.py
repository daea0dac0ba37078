"""What every test may use."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from gateway.domain.time import Instant

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
    """The shared vectors; CI fails where they are missing, elsewhere the test says that it was left out."""
    folder = Path(os.environ.get("LAPEL_SHARED", "../shared"))
    if not (folder / "vectors").is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"LAPEL_SHARED: {folder} has no vectors")
        pytest.skip(f"LEFT OUT: {folder} has no vectors (set LAPEL_SHARED)")
    return folder
