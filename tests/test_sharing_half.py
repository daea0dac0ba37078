"""Sharing put together: what emergencies show is said, counted and on record, however the log is."""

from __future__ import annotations

import asyncio

from gateway import sharing_half
from gateway.domain.evidence import Act
from gateway.errors import StoreBusyError
from gateway.feed.agreement import Agreement
from gateway.feed.feed import Feed
from gateway.feed.opening import Shown
from gateway.feed.settings import FeedSettings
from gateway.sharing_half import SharingHalf
from gateway.tracks_half import TracksHalf
from tests.feed.shift import Roster, SetClock

BEGIN = Shown("begin", "2026-11-21T21:00:00Z", "EM-1", "PCC", "CAMBS", 2000.0, ("CAMBS.PC-2",))
RULE = Agreement(consumer="PCC", owner="CAMBS", when="emergency", within_m=2000.0)


class Log:
    """A custody log that refuses as often as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.acts: list[Act] = []
        self.refusals = refusals

    async def record(self, act):
        if self.refusals:
            self.refusals -= 1
            raise StoreBusyError("the disk is full")
        self.acts.append(act)


def half(tmp_path, log=None, tracks=None) -> SharingHalf:
    """Over a feed that nobody runs."""
    return SharingHalf(Feed(FeedSettings(), Roster(), SetClock(), tmp_path), [RULE], tracks, log)


async def written(made: SharingHalf, log: Log, wanted: int) -> None:
    """Run until so many are on record."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(made.run())
        async with asyncio.timeout(5):
            while len(log.acts) < wanted:
                await asyncio.sleep(0.01)
        task.cancel()


async def test_begin_and_end_are_on_record(tmp_path):
    """As a viewing, with the emergency as its purpose: who saw whose units, which, how near, when."""
    log = Log()
    made = half(tmp_path, log)
    made.note(BEGIN)
    made.note(Shown("end", "2026-11-21T21:30:00Z", "EM-1", "PCC", "CAMBS", 2000.0, ("CAMBS.PC-2", "CAMBS.PC-3")))
    await written(made, log, 2)
    assert [act.kind for act in log.acts] == ["view", "view"]
    assert log.acts[0].detail == {
        "purpose": "sharing in emergency EM-1",
        "what": "begin",
        "at": "2026-11-21T21:00:00Z",
        "emergency": "EM-1",
        "consumer": "PCC",
        "owner": "CAMBS",
        "within_m": 2000.0,
        "units": ("CAMBS.PC-2",),
    }
    assert {key: made.stats()[key] for key in ("begun", "ended", "recorded", "waiting")} == {
        "begun": 1,
        "ended": 1,
        "recorded": 2,
        "waiting": 0,
    }


async def test_a_log_that_refuses_gets_them_later(tmp_path, monkeypatch):
    """In order, none twice."""
    monkeypatch.setattr(sharing_half, "AGAIN_S", 0.01)
    log = Log(refusals=3)
    made = half(tmp_path, log)
    made.note(BEGIN)
    made.note(BEGIN)
    await written(made, log, 2)
    assert made.stats()["waiting"] == 0
    assert made.stats()["recorded"] == 2


def test_what_waits_is_bounded_and_counted(tmp_path, monkeypatch):
    """The oldest goes first."""
    monkeypatch.setattr(sharing_half, "WAITING_MAX", 2)
    made = half(tmp_path, Log())
    for _ in range(5):
        made.note(BEGIN)
    assert (made.stats()["waiting"], made.stats()["dropped"]) == (2, 3)


def test_an_instance_without_a_log_says_it_all_the_same(tmp_path):
    """And keeps nothing."""
    made = half(tmp_path)
    made.note(BEGIN)
    assert (made.stats()["begun"], made.stats()["waiting"]) == (1, 0)


def test_history_is_told_who_is_masked(tmp_path):
    """Nothing of a masked unit is kept, or told."""
    tracks = TracksHalf(None, None, 0)  # type: ignore[arg-type]
    feed = Feed(FeedSettings(), Roster(), SetClock(), tmp_path)
    SharingHalf(feed, [], tracks)
    feed.board.masked.add("PCC.CSO-1")  # type: ignore[arg-type]
    assert tracks.hidden("PCC.CSO-1")
    assert not tracks.hidden("PCC.CSO-2")
