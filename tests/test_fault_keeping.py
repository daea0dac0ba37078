"""Losses and clock jumps kept by a running gateway, and told in its fault record."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import fault_keeping
from gateway.exporting import faults
from gateway.observe import SystemClock
from tests.api.site import Site


def until(met: Callable[[], bool]) -> None:
    """Wait for it, not for ever."""
    ends_s = time.monotonic() + 15
    while not met():
        assert time.monotonic() < ends_s
        time.sleep(0.02)


def test_a_running_gateway_keeps_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wall clock that is set back 90 s is an entry; a loss is counted on its day, and there after the end."""
    jump = [0.0]
    monkeypatch.setattr(fault_keeping, "LOOK_S", 0.05)
    monkeypatch.setattr("gateway.app.SystemClock", lambda: SystemClock(lambda: time.time() + jump[0]))
    since = datetime.now(UTC) - timedelta(minutes=5)
    with Site(tmp_path) as site:
        records = site.gateway.evidence.records  # type: ignore[union-attr]
        until((site.data / "journal/losses.db").exists)
        site.gateway.intake.defects += 2
        jump[0] = -90.0
        until(lambda: "clock_step" in records.catalogue.kinds())
        with site.client(site.token()) as client:
            assert "lapel_faults_clock_steps 1.0" in client.get("/metrics").text
    with Site(tmp_path) as site:
        body = faults(site.gateway.evidence.records, since, datetime.now(UTC) + timedelta(minutes=5))  # type: ignore[union-attr]
        (step, *_) = [each for each in body["listed"] if each["kind"] == "clock_step"]
        assert step["step_ms"] == pytest.approx(-90_000, abs=100)
        assert sum(day.get("intake_defects", 0) for day in body["lost"].values()) == 2
        assert body["builds"][0]["entries"] == records.custody.size
        assert body["clock"]["steps"] >= 1


def test_a_clock_set_back_while_nobody_looked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log's newest entry lies ahead of now: said at the start, once it is so."""
    with Site(tmp_path) as site:
        site.seal(b"x" * 1000, "r1")
    monkeypatch.setattr("gateway.app.SystemClock", lambda: SystemClock(lambda: time.time() - 3600))
    with Site(tmp_path) as site:
        catalogue = site.gateway.evidence.records.catalogue  # type: ignore[union-attr]
        until(lambda: "clock_step" in catalogue.kinds())
        records = site.gateway.evidence.records  # type: ignore[union-attr]
        found = faults(records, datetime.now(UTC) - timedelta(hours=2), datetime.now(UTC) + timedelta(hours=2))
        (step,) = found["listed"]
        assert (step["at_start"], step["step_ms"] < -3_500_000) == (True, True)
