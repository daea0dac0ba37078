"""Features and records, held against the published schema."""

from __future__ import annotations

import json

import pytest
from geojson_pydantic import FeatureCollection

from gateway.domain.people import Person, Unit
from gateway.feed import encode
from gateway.feed.board import Board
from gateway.feed.settings import FeedSettings
from tests.feed.schema import SHARED, check_feature
from tests.feed.shift import Roster, SetClock, at, who


class Scene:
    """One unit."""

    def __init__(self) -> None:
        self.board, self.roster, self.clock = Board(FeedSettings()), Roster(), SetClock()
        self.unit = self.roster.enlist(14, powers=("csas.litter", "pcn"))
        self.board.refresh(self.roster, self.clock.now())
        self.standing = self.board.units[self.unit]

    def feature(self) -> dict:
        """Checked."""
        self.standing.feature = None
        made = json.loads(encode.feature(self.standing, self.clock.mono_s))
        check_feature(made)
        return made


@pytest.fixture
def scene():
    """One unit."""
    return Scene()


def test_the_example_is_valid_by_the_same_check() -> None:
    """So that the check is the published one."""
    example = json.loads((SHARED / "examples/feed/unit.geojson").read_text())
    for feature in example["features"]:
        check_feature(feature)


def test_a_unit_never_seen(scene) -> None:
    """Geometry null, fresh never, source none, duty unknown."""
    feature = scene.feature()
    assert feature["geometry"] is None
    properties = feature["properties"]
    assert (properties["fresh"], properties["source"], properties["stale_at"]) == ("never", "none", None)
    assert properties["duty"]["state"] == "unknown"
    assert properties["duty"]["deployable"] is False
    assert properties["members"][0]["devices"] == []


def test_a_unit_on_the_street(scene) -> None:
    """Every part where the example has it."""
    scene.board.set_duty(scene.unit, 2, scene.clock.utc.timestamp(), "sds_status", "CC-1")
    scene.board.place(at(scene.clock.on(60), device="trm-14", source="lip", accuracy_m=20), who(scene.unit, "P-14"))
    more = {"device": "bcn-14", "battery_pct": 71}
    scene.board.place(at(scene.clock.on(1), 52.571, **more), who(scene.unit, "P-14"), ("low_accuracy", "odd"))
    feature = scene.feature()
    properties = feature["properties"]
    assert feature["id"] == "PCC.CSO-14"
    assert feature["geometry"] == {"type": "Point", "coordinates": [-0.24, 52.571]}
    assert properties["members"] == [
        {
            "person": "P-14",
            "collar": "14",
            "issi": 2340014,
            "powers": ["csas.litter", "pcn"],
            "devices": ["bcn-14", "trm-14"],
            "apart_m": 0.0,
        }
    ]
    assert properties["duty"] == {
        "code": 2,
        "state": "available",
        "deployable": True,
        "since": "2026-11-21T21:00:00Z",
        "incident": "CC-1",
        "source": "sds_status",
    }
    assert (properties["fix_time"], properties["stale_at"]) == ("2026-11-21T21:01:01Z", "2026-11-21T21:01:31Z")
    assert properties["quality"] == ["low_accuracy"]
    assert properties["battery_pct"] == 71
    assert [(one["device"], one["disagrees_m"]) for one in properties["sources"]] == [
        ("trm-14", 111.2),
        ("bcn-14", None),
    ]


@pytest.mark.parametrize("more", [{"accuracy_m": -1}, {"heading_deg": 360.0}, {"speed_mps": -3}, {"battery_pct": 300}])
def test_numbers_no_schema_allows_are_left_out(scene, more) -> None:
    """Rather than sent."""
    scene.board.place(at(scene.clock.on(1), **more), who(scene.unit))
    scene.feature()


def test_a_crew_and_an_empty_van(scene) -> None:
    """Members in order; nobody at all is still valid."""
    scene.roster.people["P-15"] = Person("P-15", "", "PCC", "PC", None, 99_999_999)
    scene.roster.by_unit[scene.unit] = Unit(scene.unit, "VAN", "PCC", "vehicle", ("P-14", "P-15"))
    scene.board.refresh(scene.roster, scene.clock.now())
    members = scene.feature()["properties"]["members"]
    assert [member["person"] for member in members] == ["P-14", "P-15"]
    assert members[1]["issi"] is None
    scene.roster.by_unit[scene.unit] = Unit(scene.unit, "VAN", "PCC", "vehicle")
    scene.board.refresh(scene.roster, scene.clock.now())
    assert scene.feature()["properties"]["members"] == []


def test_a_feature_is_made_once_between_changes(scene) -> None:
    """And anew after one."""
    first = encode.feature(scene.standing, scene.clock.mono_s)
    assert encode.feature(scene.standing, scene.clock.mono_s) is first
    scene.board.place(at(scene.clock.on(1)), who(scene.unit))
    assert encode.feature(scene.standing, scene.clock.mono_s) != first


def test_a_collection_says_where_in_the_stream_it_is(scene) -> None:
    """Valid GeoJSON with a foreign member."""
    slices = iter([[encode.feature(scene.standing, 0.0)], [], [encode.feature(scene.standing, 0.0)]])
    made = json.loads(b"".join(encode.collection(slices, "E1", 7, "2026-11-21T21:00:00Z")))
    FeatureCollection.model_validate(made)
    assert made["lapel:stream"] == {"epoch": "E1", "seq": 7, "generated_at": "2026-11-21T21:00:00Z"}
    assert len(made["features"]) == 2


def test_the_duty_record_has_what_the_example_has(scene) -> None:
    """And the unit, which the stream has no topic to say."""
    scene.board.set_duty(scene.unit, 2, scene.clock.utc.timestamp(), "sds_status")
    example = json.loads((SHARED / "examples/wire/feed.jsonl").read_text().splitlines()[0])["payload"]
    made = json.loads(encode.duty(scene.standing, 9))
    assert set(made) == set(example) | {"unit"}
    assert (made["v"], made["seq"], made["overtime"]) == (1, 9, False)


def test_a_place_grows_less_sure(scene) -> None:
    """By the speed of the unit's kind, from its accuracy on; nothing is said of a place that is not known."""
    assert "uncertainty_mps" not in scene.feature()["properties"]
    scene.board.place(at(scene.clock.now()), who(scene.unit))
    known = scene.feature()["properties"]
    assert (known["accuracy_m"], known["uncertainty_mps"]) == (8.0, 1.6)
    scene.roster.by_unit[scene.unit] = Unit(scene.unit, "CSO14", "PCC", "vehicle", ("P-14",))
    scene.board.refresh(scene.roster, scene.clock.now())
    assert scene.feature()["properties"]["uncertainty_mps"] == 8.0
