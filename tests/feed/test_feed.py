"""The feed as a whole: events in, consumers out, over restarts."""

from __future__ import annotations

import json

import pytest
from geojson_pydantic import FeatureCollection

from gateway.errors import RefusedError
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import blocks
from gateway.ports import FeedSink
from tests.feed.schema import check_feature
from tests.feed.shift import MemoryFiles, Roster, SetClock, at, press, status, text, who


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
        report = at(scene.clock.on(1), 52 + number / 100_000)
        scene.feed.position(report, who(scene.one, "P-1", "bcn-1"), quality=())
    scene.feed.tick(scene.clock.now())
    ((_, content), *more) = events(consumer.take())
    assert content["geometry"]["coordinates"][1] == 52.00009
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


async def test_a_directory_that_counts_its_changes_is_read_when_there_is_one(scene, tmp_path) -> None:
    """Or when the day is another, or somebody who has left it was kept for an emergency."""
    reads, units = [], scene.roster.units
    scene.roster.units = lambda: reads.append(1) or units()
    scene.roster.revision = 1
    scene.feed.refresh()
    before = len(reads)
    scene.feed.refresh()
    assert len(reads) == before
    raised = scene.feed.raise_manual(unit=scene.one)
    del scene.roster.by_unit[scene.one]
    scene.roster.revision = 2
    scene.feed.refresh()
    assert scene.feed.unit(scene.one) is not None
    scene.feed.acknowledge(raised.id, "P-9")
    scene.feed.clear(raised.id, "P-9", "assisted")
    scene.feed.refresh()
    assert scene.feed.unit(scene.one) is None
    before = len(reads)
    scene.clock.on(86_400)
    scene.feed.refresh()
    assert len(reads) > before
