"""The feed among faults: reports nobody foresaw, rosters that change, consumers that stick, disks that refuse."""

from __future__ import annotations

import asyncio
import json

import pytest

from gateway.domain.events import CameraReport, Origin
from gateway.domain.ids import DeviceId
from gateway.domain.time import Stamp
from gateway.errors import RefusedError
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import blocks
from gateway.feed.wanted import Wanted
from tests.feed.schema import check_feature
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, press, stamp, status, who


class Scene:
    """A feed of two officers."""

    def __init__(self, **settings) -> None:
        self.roster, self.clock, self.files = Roster(), SetClock(), MemoryFiles()
        self.one = self.roster.enlist(1)
        self.two = self.roster.enlist(2, agency="CAMBS", role="PC", powers=("constable",))
        self.settings = FeedSettings(**settings)

    async def begin(self, tmp_path) -> None:
        """Opened; also again, as after a restart."""
        self.feed = Feed(self.settings, self.roster, self.clock, tmp_path, files=self.files)
        await self.feed.open()

    def move(self, lat=52.57, unit=None, **more) -> None:
        """Officer 1 moves, and a tick."""
        name = more.get("device", "bcn-1")
        self.feed.position(at(self.clock.on(1), lat, **more), who(unit or self.one, "P-1", name), quality=())
        self.feed.tick(self.clock.now())

    def duty(self, code) -> None:
        """Officer 1 sends a status."""
        self.feed.status(status(self.clock.on(1), code), who(self.one, "P-1", "trm-1", 2340001))

    def press(self, resolved=None, *, journalled=True, **more):
        """Officer 1 presses."""
        known = who(self.one, "P-1", "trm-1", 2340001)
        self.feed.emergency(press(self.clock.on(1), **more), resolved or known, journalled=journalled)
        return max(self.feed.emergencies(), key=lambda one: one.seq)

    def properties(self, unit=None) -> dict:
        """Of the feature, checked."""
        feature = json.loads(self.feed.unit(unit or self.one))
        check_feature(feature)
        return feature["properties"]


@pytest.fixture
async def scene(tmp_path):
    """Opened."""
    made = Scene()
    await made.begin(tmp_path)
    yield made
    await made.feed.close()


def events(chunk: bytes | None) -> list[tuple[str, dict]]:
    """Names and contents."""
    return [(block.event, json.loads(block.payload)) for block in blocks(chunk or b"")]


def test_a_report_nobody_foresaw_costs_itself(scene) -> None:
    """Never the input it came by."""
    scene.feed.position(None, who(scene.one), quality=())  # type: ignore[arg-type]
    assert scene.feed.stats()["position_faults"] == 1
    scene.move()


def test_camera_telemetry(scene) -> None:
    """Its battery stands in where no other is known."""
    body = {"battery_pct": 55}
    report = CameraReport(Origin("mqtt"), stamp(scene.clock.now()), "status", body)
    scene.feed.camera(report, who(scene.one))
    assert scene.properties()["battery_pct"] == 55
    scene.move(battery_pct=90)
    scene.feed.camera(report, who(scene.one))
    scene.feed.camera(report, who(None))
    odd = CameraReport(Origin("mqtt"), stamp(scene.clock.now()), "status", {"battery_pct": "x"})
    scene.feed.camera(odd, who(scene.two))
    assert scene.properties()["battery_pct"] == 90


def test_a_camera_records(scene) -> None:
    """Known of its unit while it lasts, in whatever order the words come; lent on, of the other unit alone."""
    origin = Origin("mqtt", DeviceId("cam-1"))

    def tell(kind: str, unit: str | None, **body: object) -> None:
        report = CameraReport(origin, stamp(scene.clock.on(1)), kind, body)
        scene.feed.camera(report, who(unit))

    assert "recording" not in scene.properties()
    earlier = scene.clock.now().utc
    tell("recording_started", scene.one)
    late = Stamp(scene.clock.on(1), earlier, "device")
    scene.feed.camera(CameraReport(origin, late, "recording_stopped", {}), who(scene.one))
    assert scene.properties()["recording"] is True
    tell("status", scene.one, recording=True, battery_pct=40)
    tell("status", scene.one, recording=False, battery_pct=39)
    assert ("recording" in scene.properties(), scene.properties()["battery_pct"]) == (False, 39)
    tell("status", scene.one, recording=True, battery_pct=38)
    tell("status", scene.two, recording=True, battery_pct=37)
    assert ("recording" in scene.properties(), scene.properties()["battery_pct"]) == (False, None)


def test_the_roster_changes(scene) -> None:
    """New units appear, lost ones leave, by the tick that reads it."""
    consumer = scene.feed.subscribe()
    consumer.take()
    three = scene.roster.enlist(3)
    del scene.roster.by_unit[scene.two]
    scene.feed.tick(scene.clock.on(11))
    seen = events(consumer.take())
    assert [event for event, _ in seen] == ["removed", "position"]
    assert seen[0][1]["reason"] == "roster"
    assert seen[1][1]["id"] == three


def test_heartbeats_and_the_stuck(scene) -> None:
    """Every ten seconds, with the time; who takes nothing for half a minute is closed."""
    consumer, other = scene.feed.subscribe(), scene.feed.subscribe()
    for _ in range(45):
        scene.feed.tick(scene.clock.on(1))
        other.take()
    assert consumer.ended == "stuck consumer"
    assert other.ended is None
    assert scene.feed.stats()["consumers"] == 1
    assert scene.feed.stats()["consumers_closed"] == {"stuck consumer": 1}
    scene.feed.tick(scene.clock.on(10))
    assert b": heartbeat 2026-11-21T21:" in other.take()


async def test_too_many_consumers(tmp_path) -> None:
    """Are refused; one who leaves makes room."""
    scene = Scene(consumers_max=2)
    await scene.begin(tmp_path)
    first, _ = scene.feed.subscribe(), scene.feed.subscribe()
    with pytest.raises(RefusedError):
        scene.feed.subscribe()
    scene.feed.unsubscribe(first)
    scene.feed.subscribe()
    await scene.feed.close()


class TestRestart:
    """With the log whole, damaged, gone."""

    async def test_whole(self, scene, tmp_path) -> None:
        """The epoch goes on at the mark; what was missed is replayed; open emergencies and duty states are there."""
        reader = Reader()
        reader.drain(scene.feed.subscribe())
        scene.duty(2)
        number = scene.press().id
        over = scene.press(who(scene.two, "P-2")).id
        scene.feed.clear(over, "P-9", "test")
        scene.feed.status(status(scene.clock.now(), 11), who(scene.two, "P-2"))
        epoch, seq = scene.feed.epoch, scene.feed.seq
        await scene.feed.close()
        await scene.begin(tmp_path)
        assert scene.feed.epoch == epoch
        assert scene.feed.seq > 1_000_000 > seq
        assert scene.properties()["duty"]["state"] == "available"
        assert scene.properties()["emergency"]["id"] == number
        assert scene.feed.unit(scene.two) is None
        reader.drain(scene.feed.subscribe(reader.cursor))
        assert [what for _, what in reader.urgent] == ["duty", "emergency", "emergency", "emergency", "duty", "removed"]
        assert reader.snapshots == 1
        assert scene.press().id == number
        assert scene.press(who(scene.two, "P-2")).id == "EM-20261121-0003"

    async def test_cut_without_a_word(self, scene, tmp_path) -> None:
        """What was on disk counts, a torn line does not, and the epoch goes on."""
        scene.duty(2)
        await scene.feed._log.write()
        scene.files.files["urgent.log"] += b'{"v":1,"seq":99,"un'
        epoch = scene.feed.epoch
        await scene.begin(tmp_path)
        assert scene.feed.epoch == epoch
        assert scene.properties()["duty"]["state"] == "available"
        assert scene.files.files["urgent.log"].endswith(b"\n")

    async def test_damaged(self, scene, tmp_path) -> None:
        """A new epoch, a snapshot for everybody; the emergency is still open, and numbers name nothing twice."""
        reader = Reader()
        reader.drain(scene.feed.subscribe())
        scene.duty(2)
        number = scene.press().id
        await scene.feed.close()
        scene.files.files["urgent.log"] += b"\x00\x00\x00\n"
        epoch = scene.feed.epoch
        await scene.begin(tmp_path)
        assert scene.feed.epoch != epoch
        assert scene.properties()["emergency"]["id"] == number
        reader.drain(scene.feed.subscribe(reader.cursor))
        assert reader.snapshots == 2
        assert scene.press(who(scene.two, "P-2")).id == "EM-20261121-1001"
        kept = scene.feed.epoch
        await scene.feed.close()
        await scene.begin(tmp_path)
        assert scene.feed.epoch == kept
        assert {one.id for one in scene.feed.emergencies()} == {number, "EM-20261121-1001"}

    @pytest.mark.parametrize("name", ["urgent.log", "mark.json"])
    async def test_a_file_gone(self, scene, tmp_path, name) -> None:
        """A new epoch."""
        scene.press()
        epoch = scene.feed.epoch
        await scene.feed.close()
        del scene.files.files[name]
        await scene.begin(tmp_path)
        assert scene.feed.epoch != epoch
        assert len(scene.feed.emergencies()) == (0 if name == "urgent.log" else 1)

    async def test_the_disk_refuses_at_the_start(self, scene, tmp_path) -> None:
        """The feed begins in an epoch of its own: numbers that could not be reserved are not used."""
        epoch = scene.feed.epoch
        await scene.feed.close()
        scene.files.refuse = True
        await scene.begin(tmp_path)
        assert scene.feed.epoch != epoch
        assert scene.feed.health() == "degraded"
        consumer = scene.feed.subscribe()
        consumer.take()
        scene.press()
        assert events(consumer.take())[0][0] == "emergency"
        scene.files.refuse = False
        while scene.feed._log._has_work() or not scene.feed._hub.sequence.on_disk:
            scene.feed.tick(scene.clock.on(1))
            await scene.feed._log.write()
        kept = scene.feed.epoch
        await scene.feed.close()
        await scene.begin(tmp_path)
        assert scene.feed.epoch == kept
        assert len(scene.feed.emergencies()) == 1

    async def test_unread_lines_of_another_version(self, scene, tmp_path) -> None:
        """Are counted and passed over."""
        scene.duty(2)
        await scene.feed.close()
        scene.files.files["urgent.log"] += b'{"v":1,"seq":900,"unit":"PCC.CSO-1","code":"two"}\n'
        await scene.begin(tmp_path)
        assert scene.feed.stats()["urgent_unreadable"] == 1
        assert scene.properties()["duty"]["state"] == "available"

    async def test_old_records_become_states(self, tmp_path) -> None:
        """Beyond what is kept only the latest of each survives a restart, and old cursors get a snapshot."""
        scene = Scene(urgent_kept=5)
        await scene.begin(tmp_path)
        reader = Reader()
        reader.drain(scene.feed.subscribe())
        number = scene.press().id
        for turn in range(20):
            scene.duty(2 + turn % 2)
        await scene.feed.close()
        await scene.begin(tmp_path)
        assert scene.files.files["urgent.log"].count(b"\n") <= 8
        assert scene.properties()["duty"]["code"] == 3
        assert scene.properties()["emergency"]["id"] == number
        reader.drain(scene.feed.subscribe(reader.cursor))
        assert reader.snapshots == 2
        await scene.feed.close()


async def test_the_real_loop(tmp_path) -> None:
    """On a real disk: ticks by itself, writes by itself, ends when cancelled; open and close may be said twice."""
    scene = Scene(tick_ms=5)
    feed = Feed(scene.settings, scene.roster, scene.clock, tmp_path)
    await feed.open()
    await feed.open()
    consumer, reader = feed.subscribe(), Reader()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        running = group.create_task(feed.run())
        feed.position(at(scene.clock.on(1)), who(scene.one, "P-1"), quality=())
        feed.emergency(press(scene.clock.now()), who(scene.one, "P-1"), journalled=True)
        async for chunk in consumer:
            reader.read(chunk)
            if reader.units[scene.one]["geometry"] and reader.emergencies:
                break
        while feed.stats()["urgent_pending"]:
            await asyncio.sleep(0.005)
        running.cancel()
    assert b"triggers" in (tmp_path / "feed/urgent.log").read_bytes()
    await feed.close()
    await feed.close()
    assert consumer.ended == "going away"


def test_nearest_through_the_feed(scene) -> None:
    """The same clock, the same board."""
    scene.move()
    scene.duty(2)
    ranking = scene.feed.nearest(Wanted(lat=52.58, lon=-0.24))
    assert [found.unit for found in ranking.results] == [scene.one]
    assert ranking.rejected == {"no_position": 1}


def test_a_filter_failed_while_away_is_told_on_return(scene) -> None:
    """Though the change had not gone out to anybody yet when the consumer came back."""
    only = Filters(duty=("available",))
    scene.duty(2)
    reader, consumer = Reader(), scene.feed.subscribe(None, only)
    reader.drain(consumer)
    assert list(reader.units) == [scene.one]
    scene.feed.unsubscribe(consumer)
    scene.duty(5)
    consumer = scene.feed.subscribe(reader.cursor, only)
    scene.feed.tick(scene.clock.on(1))
    reader.drain(consumer)
    assert reader.units == {}
    assert reader.snapshots == 1


async def test_nothing_from_before_off_duty_is_left_to_resend(scene) -> None:
    """The framed feature is forgotten with the position."""
    scene.move(52.7)
    scene.duty(11)
    assert scene.feed.board.units[scene.one].frame is None
