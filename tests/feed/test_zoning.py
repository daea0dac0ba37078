"""Units in zones: as positions go out, over edges, and where nobody is left."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.feed.board import Board
from gateway.feed.feed import Feed
from gateway.feed.filters import Filters
from gateway.feed.hub import Hub
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import blocks
from gateway.feed.wanted import Wanted
from gateway.feed.zone_cover import CoverRule
from gateway.feed.zoning import Zoning
from tests.feed.shift import Roster, SetClock, at, who
from tests.feed.squares import METRE, square, zone
from tests.feed.test_feed import Scene

EDGE = 52.57
SOUTH, NORTH = square(-0.3, 52.5, -0.2, EDGE), square(-0.3, EDGE, -0.2, 52.6)
ZONES = (zone("south", SOUTH), zone("north", NORTH), zone("all", square(-0.3, 52.5, -0.2, 52.6)))
RULE = CoverRule("north", "pcn", after_s=60)


class Zoned(Scene):
    """Officer 1 near the edge of two zones that lie in a third."""

    async def begin(self, tmp_path) -> None:
        """Opened, with zones."""
        self.one = self.roster.enlist(1, kind="vehicle")  # whom the gate lets jump
        self.feed = Feed(self.settings, self.roster, self.clock, tmp_path, files=self.files)
        self.feed.zoning.take_up(ZONES, [RULE])
        await self.feed.open()

    def metres(self, north_m: float, **more) -> list[str]:
        """To so many metres north of the edge; the zones then."""
        self.move(EDGE + north_m * METRE, **more)
        return self.properties()["zones"]


@pytest.fixture
async def scene(tmp_path):
    """Opened."""
    made = Zoned()
    await made.begin(tmp_path)
    yield made
    await made.feed.close()


def told(consumer) -> list[tuple[str, dict]]:
    """All that waits."""
    return [(block.event, json.loads(block.payload)) for block in blocks(consumer.take() or b"")]


def crossings(records) -> list[tuple[str, str]]:
    """Only who entered or left what."""
    return [(content["what"], content["zone"]) for event, content in records if event == "zone"]


def test_zones_on_the_feature(scene) -> None:
    """Nowhere before the first position, then where it is."""
    scene.feed.tick(scene.clock.on(1))
    assert scene.properties()["zones"] == []
    assert scene.metres(-30) == ["south", "all"]


def test_a_first_position_enters_nothing_then_each_crossing_is_told_before_its_position(scene) -> None:
    """Records of the stream, numbers rising, the feature after them."""
    consumer = scene.feed.subscribe()
    scene.metres(-7)
    assert crossings(told(consumer)) == []
    scene.metres(9)
    records = [one for one in told(consumer) if one[0] != "coverage"]
    assert [event for event, _ in records] == ["zone", "zone", "position"]
    assert crossings(records) == [("exit", "south"), ("enter", "north")]
    first = records[0][1]
    assert (first["unit"], first["name"], first["at"]) == (scene.one, "South", records[2][1]["properties"]["fix_time"])
    numbers = [records[0][1]["seq"], records[1][1]["seq"], records[2][1]["properties"]["seq"]]
    assert numbers == sorted(set(numbers))


def test_no_flapping_at_the_edge(scene) -> None:
    """Accuracy 8 m: what lies nearer to the edge than that changes nothing, to and fro."""
    consumer = scene.feed.subscribe()
    scene.metres(-20)
    for north_m in (5, -5, 7, -7, 3, 7.5):
        assert scene.metres(north_m) == ["south", "all"]
    assert scene.metres(9) == ["north", "all"]
    for north_m in (-5, 5, -7):
        assert scene.metres(north_m) == ["north", "all"]
    assert len(crossings(told(consumer))) == 2


def test_an_inaccurate_position_is_believed_by_zone_edge_m(scene) -> None:
    """A kilometre of accuracy must not hold a unit where it was."""
    scene.metres(-30)
    assert scene.metres(29, accuracy_m=1000.0) == ["south", "all"]
    assert scene.metres(31, accuracy_m=1000.0) == ["north", "all"]


def test_off_duty_is_forgotten(scene) -> None:
    """Coming back elsewhere is no crossing; off duty it is in no zone."""
    scene.metres(-30)
    scene.duty(11)
    scene.feed.tick(scene.clock.on(1))
    assert scene.feed.zoning.members()["south"] == []
    consumer = scene.feed.subscribe()
    scene.duty(2)
    assert scene.metres(30) == ["north", "all"]
    assert crossings(told(consumer)) == []
    assert scene.feed.zoning.members() == {"south": [], "north": [scene.one], "all": [scene.one]}


def test_a_filter_hides_crossings_too(scene) -> None:
    """Who does not see the unit does not see where it goes."""
    consumer, everybody = scene.feed.subscribe(None, Filters(agency=("CAMBS",))), scene.feed.subscribe()
    scene.metres(-30)
    scene.metres(30)
    assert crossings(told(consumer)) == []
    assert len(crossings(told(everybody))) == 2


def test_a_desk_that_follows_one_zone(scene) -> None:
    """A unit comes into sight as it enters, and is taken away as it leaves."""
    consumer = scene.feed.subscribe(None, Filters(zone=("north",)))
    scene.metres(-30)
    assert [event for event, _ in told(consumer)] == ["snapshot"]
    scene.metres(30)
    assert [event for event, _ in told(consumer)] == ["zone", "zone", "position", "coverage"]
    scene.metres(-30)
    assert [(event, content["reason"]) for event, content in told(consumer)] == [("removed", "filter")]


def test_nearest_by_zone(scene) -> None:
    """Only those in it, and how many were not."""
    scene.metres(-30)
    ask = {"lat": EDGE, "lon": -0.24}
    assert [one.unit for one in scene.feed.nearest(Wanted(**ask, zone=("south",))).results] == [scene.one]
    ranking = scene.feed.nearest(Wanted(**ask, zone=("north",)))
    assert (ranking.results, ranking.rejected) == ((), {"no_position": 1, "zone": 1})
    assert scene.feed.nearest(Wanted(**ask, zone=("north", "all"))).results[0].why[-2] == "in the zone"


def test_a_member_away_from_the_unit_is_in_the_zone_of_their_own_position(scene) -> None:
    """For `nearest` and for who may what where; the unit's own zones, and what is told of crossings, are the unit's."""
    van = scene.roster.crew("VAN", 7, 8, powers={7: ("constable",), 8: ("fire.safety",)})
    scene.feed.refresh()
    consumer, here = scene.feed.subscribe(), {"lat": EDGE, "lon": -0.24}
    told(consumer)
    for number, north_m in ((7, -100), (8, 300)):
        report = at(scene.clock.now(), EDGE + north_m * METRE, device=f"b{number}", speed_mps=0.0)
        scene.feed.position(report, who(van, f"P-{number}", f"b{number}"))
    scene.feed.tick(scene.clock.on(1))
    found = scene.feed.nearest(Wanted(**here, zone=("north",))).results
    assert [(one.unit, one.person) for one in found] == [(van, "P-8")]
    assert scene.feed.nearest(Wanted(**here, zone=("north",), power=("constable",))).results == ()
    assert scene.feed.nearest(Wanted(**here, zone=("south",), power=("fire.safety",))).results == ()
    assert json.loads(scene.feed.unit(van))["properties"]["zones"] == ["south", "all"]
    assert crossings(told(consumer)) == []
    scene.clock.on(60)
    report = at(scene.clock.now(), EDGE - 100 * METRE, device="b8", speed_mps=0.0)
    scene.feed.position(report, who(van, "P-8", "b8"))
    scene.feed.tick(scene.clock.on(1))
    assert scene.feed.nearest(Wanted(**here, zone=("north",), max_age_s=900)).results == ()


def test_nobody_with_the_power_in_the_zone(scene) -> None:
    """Said once when it comes true, once when it no longer is, and counted; resumed like any urgent record."""
    consumer = scene.feed.subscribe()
    told(consumer)
    scene.metres(30)
    ((_, covered),) = [one for one in told(consumer) if one[0] == "coverage"]
    assert (covered["zone"], covered["power"], covered["covered"]) == ("north", "pcn", True)
    cursor = f"{scene.feed.epoch}-{scene.feed.seq}"
    changes = []
    for _ in range(63):
        scene.metres(-30)
        changes += [content for event, content in told(consumer) if event == "coverage"]
    assert [content["covered"] for content in changes] == [False]
    assert scene.feed.stats()["zones_uncovered"] == 1
    assert ("coverage", changes[0]) in told(scene.feed.subscribe(cursor))
    scene.metres(30)
    assert [content["covered"] for event, content in told(consumer) if event == "coverage"] == [True]
    assert (scene.feed.stats()["zones_uncovered"], scene.feed.stats()["zone_cover_changes"]) == (0, 3)


async def test_a_coverage_record_does_not_spoil_the_urgent_log(scene, tmp_path) -> None:
    """The log written anew has it, and is whole after a restart."""
    scene.metres(30)
    scene.duty(2)
    scene.feed._log.rewrite()
    epoch = scene.feed.epoch
    await scene.feed.close()
    assert b'"covered":true' in scene.files.files["urgent.log"]
    await scene.begin(tmp_path)
    assert scene.feed.epoch == epoch


def test_zones_that_fail_silence_nobody(scene, monkeypatch) -> None:
    """Positions go out, the fault is counted."""

    def fail(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(scene.feed.zoning, "_moved", fail)
    monkeypatch.setattr(scene.feed.zoning._covers, "look", fail)
    consumer = scene.feed.subscribe()
    told(consumer)
    scene.move(52.57)
    assert [event for event, _ in told(consumer)] == ["position"]
    assert scene.feed.stats()["zone_faults"] == 2


async def test_without_zones_the_feature_says_nothing_of_them(tmp_path) -> None:
    """As it was."""
    plain = Scene()
    await plain.begin(tmp_path)
    plain.move()
    assert "zones" not in plain.properties()
    assert "zones_uncovered" not in plain.feed.stats()
    await plain.feed.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-60, 60), min_size=2, max_size=12), st.floats(1, 40))
def test_zones_change_only_beyond_the_margin(metres, accuracy_m) -> None:
    """Whatever the way: within the margin all stays, beyond it the zones are where the point is."""
    board = Board(FeedSettings())
    zoning, roster, clock = Zoning(board, Hub(board.settings, board)), Roster(), SetClock()
    zoning.take_up(ZONES, [])
    unit = roster.enlist(1)
    board.refresh(roster, clock.now())
    standing, side = board.units[unit], None
    for north_m in metres:
        fix = at(clock.on(60), EDGE + north_m * METRE, accuracy_m=accuracy_m)
        assert board.place(fix, who(unit)) == "live"
        records = zoning.moved([standing])
        margin_m, now_on = min(accuracy_m, 30.0), "north" if north_m >= 0 else "south"
        if abs(abs(north_m) - margin_m) < 0.1 or abs(north_m) < 0.01:
            return  # rounding decides
        before, side = side, now_on if side is None or abs(north_m) > margin_m else side
        assert standing.zones == (side, "all")
        assert len(records) == (2 if before not in (None, side) else 0)
