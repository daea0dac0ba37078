"""What radios say goes to the feed and to dispatch; a defect of dispatch costs neither feed nor journal."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.domain.events import DeliveryReport, EmergencyReport, Origin, ReachReport, StatusReport, TextReport
from gateway.domain.ids import Issi
from gateway.domain.time import Stamp
from gateway.pipeline.route import Router
from tests.conftest import HandClock
from tests.roster.people import ROSTER

STAMP = Stamp(HandClock().now())
RADIO = Origin("radio-1", None, Issi(2341014))
REPORTS: dict[str, Any] = {
    "delivery": DeliveryReport(RADIO, STAMP, 7, "received", 0),
    "status": StatusReport(RADIO, STAMP, 0x8005, 5),
    "reach": ReachReport(RADIO, STAMP, "off"),
    "text": TextReport(RADIO, STAMP, "at the bandstand"),
}


class FakeFeed:
    """Takes everything; remembers what."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *given, **_named: self.heard.append((name, given))

    def off_duty(self, unit: str, person: str | None = None) -> bool:
        """Nobody is."""
        return False


class FakeTasks(FakeFeed):
    """Dispatch; broken where the test says so."""

    broken = False

    def __getattr__(self, name: str) -> Any:
        if self.broken:
            raise ZeroDivisionError
        return super().__getattr__(name)


@pytest.mark.parametrize(
    ("kind", "feed", "tasks"),
    [
        ("delivery", [], ["delivery"]),
        ("status", ["status"], ["status"]),
        ("reach", ["reach_report"], ["reach"]),
        ("text", ["text"], []),
    ],
)
@pytest.mark.parametrize("broken", [False, True])
def test_to_whom(kind: str, feed: list[str], tasks: list[str], broken: bool) -> None:
    """Each report to its rooms, with who it is; the feed has it whatever becomes of dispatch."""
    heard, room = FakeFeed(), FakeTasks()
    room.broken = broken
    router = Router(ROSTER, heard, room)  # type: ignore[arg-type]
    assert router.event(REPORTS[kind]) is False
    assert [name for name, _ in heard.heard] == feed
    assert [name for name, _ in room.heard] == ([] if broken else tasks)
    for _, given in heard.heard:
        assert given[1].person == "P-0014"
    assert router.counts == {type(REPORTS[kind]).__name__: 1}


def test_without_dispatch() -> None:
    """A router alone hands to the feed alone."""
    heard = FakeFeed()
    router = Router(ROSTER, heard)  # type: ignore[arg-type]
    for report in REPORTS.values():
        router.event(report)
    assert [name for name, _ in heard.heard] == ["status", "reach_report", "text"]


@pytest.mark.parametrize("broken", [False, True])
def test_an_emergency_reaches_dispatch_at_once_and_the_feed_first(broken: bool) -> None:
    """A defect of dispatch takes nothing from it."""
    feed, tasks = FakeFeed(), FakeTasks()
    tasks.broken = broken
    Router(ROSTER, feed, tasks).emergency(EmergencyReport(RADIO, STAMP, "tetra_status"), journalled=True)
    assert [name for name, _ in feed.heard] == ["emergency"]
    assert [name for name, _ in tasks.heard] == ([] if broken else ["emergency"])
