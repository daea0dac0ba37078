"""Intake: emergencies first and whatever fails; a defect of ours loses no frame."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain.events import CameraReport, EmergencyReport, Frame, Origin, PositionReport, StatusReport, TextReport
from gateway.domain.ids import DeviceId, Issi
from gateway.domain.position import Fix
from gateway.domain.time import Stamp
from gateway.pipeline.group_commit import GroupCommit
from gateway.pipeline.intake import FrameIntake
from gateway.pipeline.route import Router
from gateway.ports import Receipt
from gateway.roster.directory import Roster
from tests.roster.people import ROSTER


class Feed:
    """Remembers in order what reached it; can fail."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.broken = False
        self.off: set[str] = set()

    def _keep(self, kind: str, who: object) -> None:
        if self.broken and kind != "emergency":
            raise RuntimeError("a defect of ours")
        self.seen.append((kind, who))

    def position(self, _report, who, *, quality) -> None:
        """Remember."""
        self._keep("position", (who, quality))

    def status(self, _report, who) -> None:
        """Remember."""
        self._keep("status", who)

    def text(self, _report, who) -> None:
        """Remember."""
        self._keep("text", who)

    def camera(self, _report, who) -> None:
        """Remember."""
        self._keep("camera", who)

    def emergency(self, _report, who, *, journalled: bool) -> None:
        """Remember."""
        self._keep("emergency", (who, journalled))

    def off_duty(self, unit: str, person: str | None = None) -> bool:
        """Whether it was said to be off."""
        return unit in self.off


class Bench:
    """An intake over fakes, with what was written."""

    def __init__(self, directory: object) -> None:
        self.feed = Feed()
        self.rows: list[Any] = []
        self.unread: list[Any] = []
        self.full = False
        self.journal: GroupCommit[Any] = GroupCommit("j", self._write, backlog_bytes=1 << 20, retry_s=0.01)
        self.quarantine: GroupCommit[Any] = GroupCommit("q", self.unread.extend, backlog_bytes=1 << 20)
        self.told: list[Any] = []
        self.cameras: GroupCommit[Any] = GroupCommit("c", self._tell, backlog_bytes=1 << 20, retry_s=0.01)
        self.intake = FrameIntake(Router(directory, self.feed), self.journal, self.quarantine, self.cameras)

    def _tell(self, words: list[Any]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.told.extend(words)

    def _write(self, rows: list[Any]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.rows.extend(rows)

    async def settle(self, future: asyncio.Future[Receipt]) -> Receipt:
        """Write until this future is done."""
        async with asyncio.TaskGroup() as group:
            commits = (self.journal, self.quarantine, self.cameras)
            tasks = [group.create_task(commit.run()) for commit in commits]
            receipt = await future
            for task in tasks:
                task.cancel()
        return receipt


@pytest.fixture
def bench() -> Bench:
    """Over the roster of these tests."""
    return Bench(ROSTER)


def frame(clock, payload: bytes = b"raw") -> Frame:
    """A frame of a terminal."""
    return Frame("terminal-1", Stamp(clock.now()), payload, "CTSDSR")


def position(clock, device: str = "bcn-1") -> PositionReport:
    """A position of a beacon."""
    fix = Fix(52.57, -0.24, accuracy_m=5)
    return PositionReport(Origin("beacons", DeviceId(device)), Stamp(clock.now()), fix, "mqtt")


def emergency(clock, issi: int = 2341014) -> EmergencyReport:
    """A press of the button."""
    return EmergencyReport(Origin("terminal-1", issi=Issi(issi)), Stamp(clock.now()), "tetra_status")


async def test_an_emergency_goes_out_before_everything_of_its_frame(bench: Bench, clock) -> None:
    """Order on the feed is emergency first, although the position came first."""
    await bench.settle(bench.intake.accept(frame(clock), [position(clock), emergency(clock)]))
    assert [kind for kind, _ in bench.feed.seen] == ["emergency", "position"]
    who, journalled = bench.feed.seen[0][1]
    assert (who.person, who.unit, journalled) == ("P-0014", "PCC.CSO-014", True)


async def test_an_emergency_of_an_unknown_terminal_reaches_the_feed(bench: Bench, clock) -> None:
    """Nobody's ISSI: holder unknown, the ISSI said."""
    await bench.settle(bench.intake.accept(frame(clock), [emergency(clock, 4999999)]))
    who, _ = bench.feed.seen[0][1]
    assert (who.person, who.unit, who.issi) == (None, None, 4999999)


async def test_an_emergency_survives_a_broken_roster_and_a_full_disk(clock) -> None:
    """Neither roster nor journal gates it; it says that it is not journalled."""

    class Broken(Roster):
        """A roster that raises."""

        def terminal(self, issi):
            """Raise."""
            raise RuntimeError("roster is gone")

    bench = Bench(Broken([], [], [], []))
    bench.full = True
    first = await bench.settle(bench.intake.accept(frame(clock), [position(clock)]))
    second = await bench.settle(bench.intake.accept(frame(clock), [emergency(clock)]))
    assert not first.journalled
    assert not second.journalled
    who, journalled = next(what for kind, what in bench.feed.seen if kind == "emergency")
    assert (who.issi, journalled) == (2341014, False)
    bench.full = False
    assert await bench.journal.drain(1)
    assert len(bench.rows) == 2


async def test_a_defect_while_routing_still_journals_the_frame(bench: Bench, clock) -> None:
    """Counted, logged, nothing lost."""
    bench.feed.broken = True
    receipt = await bench.settle(bench.intake.accept(frame(clock, b"abc"), [position(clock)]))
    assert receipt.journalled
    assert bench.rows[0][6] == b"abc"
    assert bench.intake.counts["defects"] == 1


async def test_off_duty_leaves_only_a_digest_but_an_emergency_is_kept_whole(bench: Bench, clock) -> None:
    """Positions of somebody off duty are not kept."""
    bench.feed.off.add("PCC.CSO-014")
    await bench.settle(bench.intake.accept(frame(clock, b"home"), [position(clock)]))
    await bench.settle(bench.intake.accept(frame(clock, b"help"), [position(clock), emergency(clock)]))
    assert bench.rows[0][5] == "digest"
    assert b"home" not in bench.rows[0][6]
    assert bench.rows[1][5:] == ("raw", b"help")


async def test_whatever_somebody_off_duty_sends_leaves_a_digest(bench: Bench, clock) -> None:
    """Statuses, texts, a camera's word, a frame that says nothing: who, when, length and hash, and no more."""
    bench.feed.off.add("PCC.CSO-014")
    origin, stamp = Origin("beacons", DeviceId("bcn-1")), Stamp(clock.now())
    sent = Frame("beacons", stamp, b"secret", "owntracks/bcn-1/phone", DeviceId("bcn-1"))
    for events in ([StatusReport(origin, stamp, 5, None)], [TextReport(origin, stamp, "hello")], [camera(clock)], []):
        await bench.settle(bench.intake.accept(sent, events))
    assert [row[:4] for row in bench.rows] == [("", "", "bcn-1", None)] * 4
    assert {row[5] for row in bench.rows} == {"digest"}
    assert not any(b"secret" in row[6] for row in bench.rows)
    bench.feed.off.clear()
    await bench.settle(bench.intake.accept(sent, []))
    assert bench.rows[-1][5:] == ("raw", b"secret")


async def test_what_nobody_can_read_of_somebody_off_duty_is_not_quarantined_whole(bench: Bench, clock) -> None:
    """Neither its bytes, nor a reason that may quote them, nor its topic."""
    sent = Frame("beacons", Stamp(clock.now()), b"lat 52.57", "owntracks/bcn-1/phone", DeviceId("bcn-1"))
    await bench.settle(bench.intake.quarantine(sent, "lat: 52.57 is no number"))
    bench.feed.off.add("PCC.CSO-014")
    await bench.settle(bench.intake.quarantine(sent, "lat: 52.57 is no number"))
    (whole, reason), (left, why) = bench.unread
    assert (whole.payload, reason) == (b"lat 52.57", "lat: 52.57 is no number")
    assert (len(left.payload), left.channel, left.device) == (40, "", "bcn-1")
    assert "52.57" not in why


def camera(clock, device: str = "bcn-1") -> CameraReport:
    """A camera begins to record."""
    stamp = Stamp(clock.now(), datetime(2026, 11, 21, 21, 0, tzinfo=UTC), "device")
    return CameraReport(Origin("cameras", DeviceId(device)), stamp, "recording_started", {"n": 17})


async def test_a_cameras_word_is_on_disk_before_it_is_acknowledged(bench: Bench, clock) -> None:
    """In its own store as well as in the journal; whose holder is off duty says so."""
    receipt = await bench.settle(bench.intake.accept(frame(clock), [camera(clock), position(clock)]))
    assert receipt.journalled
    bench.feed.off.add("PCC.CSO-014")
    await bench.settle(bench.intake.accept(frame(clock), [camera(clock), position(clock)]))
    assert [(word.kind, word.body, word.private) for word in bench.told] == [
        ("recording_started", {"n": 17}, False),
        ("recording_started", {"n": 17}, True),
    ]
    assert [row[5] for row in bench.rows] == ["raw", "digest"]


async def test_a_cameras_word_waits_for_a_full_disk(bench: Bench, clock) -> None:
    """Held in memory, said to be so, written once there is room."""
    bench.full = True
    assert not (await bench.settle(bench.intake.accept(frame(clock), [camera(clock)]))).journalled
    assert bench.told == []
    bench.full = False
    assert await bench.cameras.drain(1)
    assert [word.device for word in bench.told] == ["bcn-1"]


async def test_an_unwritten_camera_store_holds_no_emergency(bench: Bench, clock) -> None:
    """A panic needs the journal alone."""
    assert bench.intake.accept(frame(clock), [emergency(clock)]) is not None
    assert bench.feed.seen[0][0] == "emergency"
    assert len(bench.cameras._channel) == 0


async def test_what_cannot_be_read_is_kept_with_the_reason(bench: Bench, clock) -> None:
    """Quarantine: the frame whole, the reason."""
    receipt = await bench.settle(bench.intake.quarantine(frame(clock, b"\xff\x00"), "not the protocol"))
    assert receipt.journalled
    ((kept, reason),) = bench.unread
    assert (kept.payload, reason) == (b"\xff\x00", "not the protocol")
    assert bench.intake.counts["quarantined"] == 1


async def test_a_late_clock_and_a_poor_fix_are_marked_not_dropped(bench: Bench, clock) -> None:
    """Doubts are marks on the report."""
    stamp = Stamp(clock.now(), datetime(2026, 11, 21, 22, 0, tzinfo=UTC), "device")
    report = PositionReport(Origin("b", DeviceId("bcn-1")), stamp, Fix(52.5, -0.2, accuracy_m=900), "mqtt")
    await bench.settle(bench.intake.accept(frame(clock), [report]))
    assert bench.feed.seen[0][1][1] == ("low_accuracy", "clock_skew")


async def test_a_text_of_a_known_terminal_is_its_holders(bench: Bench, clock) -> None:
    """ISSI to terminal to booking to person to unit."""
    text = TextReport(Origin("terminal-1", issi=Issi(2341014)), Stamp(clock.now()), "on my way")
    await bench.settle(bench.intake.accept(frame(clock), [text]))
    kind, who = bench.feed.seen[0]
    assert (kind, who.device, who.person) == ("text", "trm-1", "P-0014")
