"""The feed as a whole: events in, consumers out, over restarts."""

from __future__ import annotations

import asyncio
import json

import pytest
from geojson_pydantic import FeatureCollection

from gateway.domain.events import CameraReport, Origin
from gateway.domain.ids import DeviceId
from gateway.domain.time import Stamp
from gateway.errors import RefusedError
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.nearest import Wanted
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import blocks
from gateway.ports import FeedSink
from tests.feed.schema import check_feature
from tests.feed.shift import MemoryFiles, Reader, Roster, SetClock, at, press, stamp, status, text, who


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


def test_it_is_a_feed_sink(scene) -> None:
    """As mypy will have it."""
    sink: FeedSink = scene.feed
    assert not sink.off_duty(scene.one)


def test_a_snapshot_first_then_each_change(scene) -> None:
    """The stream of the example."""
    consumer = scene.feed.subscribe()
    ((event, content),) = events(consumer.take())
    assert event == "snapshot"
    assert {one["id"] for one in content["features"]} == {scene.one, scene.two}
    scene.move()
    chunk = consumer.take()
    ((event, content),) = events(chunk)
    assert (event, content["id"]) == ("position", scene.one)
    assert content["properties"]["seq"] == scene.feed.seq
    check_feature(content)


def test_the_collection_is_valid_and_filtered(scene) -> None:
    """As REST gives it."""
    scene.move()
    made = json.loads(scene.feed.snapshot())
    FeatureCollection.model_validate(made)
    assert made["lapel:stream"]["epoch"] == scene.feed.epoch
    for feature in made["features"]:
        check_feature(feature)
    only = json.loads(scene.feed.snapshot(Filters(agency=("CAMBS",))))
    assert [one["id"] for one in only["features"]] == [scene.two]


def test_positions_between_ticks_are_one(scene) -> None:
    """The newest."""
    consumer = scene.feed.subscribe()
    consumer.take()
    for number in range(10):
        report = at(scene.clock.on(1), 52 + number / 10)
        scene.feed.position(report, who(scene.one, "P-1", "bcn-1"), quality=())
    scene.feed.tick(scene.clock.now())
    ((_, content), *more) = events(consumer.take())
    assert content["geometry"]["coordinates"][1] == 52.9
    assert more == []


def test_duty_by_status(scene) -> None:
    """At once, with its record; a repetition and a late one say nothing."""
    consumer = scene.feed.subscribe()
    consumer.take()
    scene.duty(2)
    (event, content), (shown, feature) = events(consumer.take())
    assert (event, content["state"], content["unit"]) == ("duty", "available", scene.one)
    assert (shown, feature["id"], feature["properties"]["duty"]["code"]) == ("position", scene.one, 2)
    assert feature["properties"]["seq"] == content["seq"] + 1
    scene.duty(2)
    late = status(scene.clock.now(), 5)
    scene.duty(6)
    consumer.take()
    scene.clock.on(-100)
    scene.feed.status(status(scene.clock.now(), 5), who(scene.one))
    scene.clock.on(100)
    assert consumer.take() is None
    assert scene.properties()["duty"]["state"] == "at_scene"
    scene.feed.status(late, who(None))
    stats = scene.feed.stats()
    names = ("statuses", "status_repeated", "status_late", "status_unattributed")
    assert [stats[name] for name in names] == [2, 1, 1, 1]


@pytest.mark.parametrize("code", [12, 13, 14, 15, 16, None])
def test_messages_never_overwrite_the_state(scene, code) -> None:
    """They are kept beside it."""
    scene.duty(2)
    scene.duty(code)
    scene.feed.text(text(scene.clock.now(), "hello"), who(scene.one))
    assert scene.properties()["duty"]["code"] == 2
    assert [one.code for one in scene.feed.messages()] == [code, None]
    assert scene.feed.deal(1, "P-9").dealt_with_by == "P-9"


def test_off_duty_leaves_the_feed(scene) -> None:
    """A removed record; positions neither shown nor kept; back with a status 1 to 8."""
    scene.move()
    consumer = scene.feed.subscribe()
    consumer.take()
    scene.duty(11)
    names = [event for event, _ in events(consumer.take())]
    assert names == ["duty", "removed"]
    assert scene.feed.off_duty(scene.one)
    assert scene.feed.unit(scene.one) is None
    scene.move(53.0)
    assert consumer.take() is None
    assert scene.one not in scene.feed.snapshot().decode()
    scene.duty(3)
    scene.feed.tick(scene.clock.now())
    assert [event for event, _ in events(consumer.take())] == ["duty", "position"]
    assert scene.properties()["fresh"] == "never"


def test_the_control_room_sets_a_status(scene) -> None:
    """The latest act wins, its source shown."""
    scene.duty(2)
    scene.clock.on(1)
    assert scene.feed.set_duty(scene.one, 5, incident="CC-7")
    assert scene.properties()["duty"]["source"] == "api"
    assert scene.properties()["duty"]["incident"] == "CC-7"
    scene.duty(6)
    assert scene.properties()["duty"]["source"] == "sds_status"
    assert not scene.feed.set_duty("PCC.GHOST", 5)
    for code in (0, 12, -1):
        with pytest.raises(RefusedError):
            scene.feed.set_duty(scene.one, code)


class TestEmergencies:
    """From the press to the end."""

    def test_out_at_once_and_on_its_unit(self, scene) -> None:
        """Before any tick; the unit's feature follows."""
        scene.move()
        consumer = scene.feed.subscribe()
        consumer.take()
        raised = scene.press()
        ((event, content),) = events(consumer.take())
        assert (event, content["id"], content["state"]) == ("emergency", raised.id, "active")
        assert content["position"]["latitude"] == 52.57
        scene.feed.tick(scene.clock.now())
        ((event, content),) = events(consumer.take())
        assert content["properties"]["emergency"]["id"] == raised.id
        check_feature(content)

    def test_acknowledged_and_cleared(self, scene) -> None:
        """Each a record; the unit's feature shows it until then."""
        number = scene.press().id
        assert scene.feed.acknowledge(number, "P-9").acknowledged_by == "P-9"
        assert scene.properties()["emergency"]["state"] == "acknowledged"
        scene.feed.delivered(number)
        scene.feed.delivered(number)
        assert scene.properties()["emergency"]["delivered"] is True
        assert scene.feed.clear(number, "P-9", "assisted").state == "cleared"
        assert scene.properties()["emergency"] is None
        assert scene.feed.clear(number, "P-9", "assisted") is None
        assert scene.feed.acknowledge("EM-none", "P-9") is None
        assert scene.press().id != number

    def test_off_duty_stays_until_it_is_over(self, scene) -> None:
        """And its positions are shown meanwhile."""
        scene.duty(11)
        number = scene.press().id
        scene.move(52.6)
        assert scene.properties()["fresh"] == "live"
        consumer = scene.feed.subscribe()
        consumer.take()
        scene.feed.clear(number, "P-9", "test")
        assert [event for event, _ in events(consumer.take())] == ["emergency", "removed"]
        assert scene.feed.unit(scene.one) is None

    def test_holder_unknown(self, scene) -> None:
        """Said, with who held it last; where it is, is told as it moves, though no unit shows it."""
        resolved = who(None, None, "bcn-77")
        raised = scene.press(resolved, issi=None, device="bcn-77")
        assert (raised.holder, raised.unit, raised.position) == ("unknown", None, None)
        consumer = scene.feed.subscribe()
        consumer.take()
        for _ in range(3):
            scene.feed.position(at(scene.clock.on(2), 52.9, device="bcn-77"), resolved, quality=())
        assert [event for event, _ in events(consumer.take())].count("emergency") >= 1
        assert scene.feed.emergencies()[-1].position.latitude == 52.9
        assert scene.feed.stats()["unattributed"] == 3

    def test_a_status_zero_is_one(self, scene) -> None:
        """Though the driver called it a status; with the report itself it is one press."""
        now = scene.clock.on(1)
        scene.feed.emergency(press(now), who(scene.one, "P-1"), journalled=True)
        scene.feed.status(status(now, 0), who(scene.one, "P-1"))
        (raised,) = scene.feed.emergencies()
        assert raised.presses == 1
        assert scene.properties()["duty"]["state"] == "unknown"

    def test_by_the_control_rooms_word(self, scene) -> None:
        """For a unit, whose only member it is; for nobody it is refused."""
        raised = scene.feed.raise_manual(unit=scene.one)
        assert (raised.person, raised.triggers) == ("P-1", ("manual",))
        assert scene.press().id == raised.id
        with pytest.raises(RefusedError):
            scene.feed.raise_manual(unit="PCC.GHOST")

    def test_a_new_consumer_need_not_look_for_them(self, scene) -> None:
        """They follow the snapshot under numbers of their own, and are in it."""
        number = scene.press().id
        chunk = scene.feed.subscribe().take()
        (_, snapshot), (event, repeated) = events(chunk)
        assert snapshot["emergencies"][0]["id"] == number
        assert (event, repeated["id"]) == ("emergency", number)
        first, second = (block.id for block in blocks(chunk))
        assert second == f"{scene.feed.epoch}-{repeated['seq']}" != first

    def test_filters_don_t_hide_one(self, scene) -> None:
        """Whatever a consumer wants to see."""
        consumer = scene.feed.subscribe(None, Filters(agency=("CAMBS",)))
        consumer.take()
        scene.duty(2)
        scene.press()
        assert [event for event, _ in events(consumer.take())] == ["emergency"]

    async def test_the_disk_refuses(self, scene) -> None:
        """Out first, said to be unjournalled, counted, degraded; written later and said again."""
        await scene.feed._log.write()
        consumer = scene.feed.subscribe()
        consumer.take()
        scene.files.refuse = True
        scene.press()
        assert events(consumer.take())[0][1]["journalled"] is True
        assert not await scene.feed._log.write()
        assert events(consumer.take())[0][1]["journalled"] is False
        assert scene.feed.health() == "degraded"
        assert not await scene.feed._log.write()
        assert consumer.take() is None
        scene.files.refuse = False
        assert await scene.feed._log.write()
        assert events(consumer.take())[0][1]["journalled"] is True
        assert await scene.feed._log.write()
        assert scene.feed.health() == "ok"
        assert scene.feed.stats()["urgent_refusals"] == 2
        assert scene.files.files["urgent.log"].count(b"triggers") == 3

    def test_the_intake_could_not_journal(self, scene) -> None:
        """Its word counts too."""
        assert scene.press(journalled=False).journalled is False

    def test_the_roster_is_on_fire(self, scene) -> None:
        """It goes out, with what is known."""
        scene.roster.broken = True
        consumer = scene.feed.subscribe()
        consumer.take()
        scene.press(who(None, "P-1"))
        assert events(consumer.take())[0][1]["person"] == "P-1"
        assert scene.feed.stats()["emergency_faults_unit"] == 1
        scene.feed.refresh()
        assert scene.feed.stats()["roster_faults"] == 1
        assert scene.properties()["callsign"] == "CSO1"

    @pytest.mark.parametrize("part", ["press", "_next_id", "_place", "emergency", "_show", "note", "add", "last_fix"])
    def test_whatever_breaks_it_goes_out(self, scene, monkeypatch, part) -> None:
        """Each part in turn raises something nobody foresaw."""

        def broken(*_, **__):
            raise ZeroDivisionError(part)

        alarm = scene.feed._alarm
        owners = {
            "press": alarm.emergencies,
            "_next_id": alarm.emergencies,
            "_place": alarm,
            "emergency": __import__("gateway.feed.encode", fromlist=["encode"]),
            "_show": alarm,
            "note": alarm._annals,
            "add": alarm._log,
            "last_fix": scene.feed.board,
        }
        monkeypatch.setattr(owners[part], part, broken)
        consumer = scene.feed.subscribe()
        consumer.take()
        scene.feed.emergency(press(scene.clock.now()), who(scene.one, "P-1"), journalled=False)
        ((event, content),) = events(consumer.take())
        assert event == "emergency"
        assert content["issi"] == 2340001
        assert (content["state"], content["triggers"]) == ("active", ["tetra_status"])
        assert content["journalled"] is False
        assert any(name.startswith("emergency_faults") for name in scene.feed.stats())

    def test_a_unit_that_can_t_be_encoded_stops_nobody(self, scene) -> None:
        """It is counted; the others go out."""
        consumer = scene.feed.subscribe()
        consumer.take()
        scene.feed.board.units[scene.two].battery_pct = object()
        scene.feed.board.touch(scene.feed.board.units[scene.two])
        scene.press()
        scene.move()
        names = [event for event, _ in events(consumer.take())]
        assert names == ["emergency", "emergency", "position"]  # the second says where
        assert scene.feed.stats()["unencodable"] == 1


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
