"""What a view sees, field by field; what is left of a record; the rows of the index."""

from __future__ import annotations

import json

import msgspec
import pytest

from gateway.errors import ConfigError
from gateway.feed import trimming
from gateway.feed.agreement import Agreement, check_all, check_zones
from gateway.feed.board import Board
from gateway.feed.filters import ALL, Filters
from gateway.feed.settings import FeedSettings
from gateway.feed.sharing import Names, Sharing
from gateway.feed.urgent_lines import UrgentRecord
from gateway.feed.view import EVERYTHING, ORDINARY, WHOLE
from tests.feed.shift import Roster, SetClock

EMERGENCY = {
    "v": 1,
    "seq": 9,
    "id": "EM-1",
    "state": "acknowledged",
    "raised_at": "2026-11-21T21:00:00Z",
    "person": "P-2",
    "unit": "CAMBS.PC-2",
    "issi": 2340002,
    "triggers": ["manual"],
    "presses": 1,
    "delivered": True,
    "acknowledged_by": "Inspector 3",
    "position": {"latitude": 52.0, "longitude": 0.0, "accuracy_m": None, "fix_time": "2026-11-21T21:00:00Z"},
    "journalled": True,
    "device": "bcn-2",
}


class Scene:
    """A board of two officers of two agencies."""

    def __init__(self, *agreements: Agreement) -> None:
        self.roster, self.clock = Roster(), SetClock()
        self.one = self.roster.enlist(1)
        self.two = self.roster.enlist(2, agency="CAMBS", role="PC", powers=("constable",))
        self.board = Board(FeedSettings())
        self.sharing = Sharing(self.board, self.roster)
        self.sharing.take_up(agreements)
        self.refresh()

    def refresh(self) -> None:
        self.board.refresh(self.roster, self.clock.now())

    def mask(self, unit, masked=True) -> None:
        self.roster.by_unit[unit] = msgspec.structs.replace(self.roster.by_unit[unit], masked=masked)
        self.refresh()

    def seen(self, agency, *, masked=False) -> set[str]:
        view = self.sharing.view(agency, masked=masked)
        return {name for name, standing in self.board.units.items() if view.sees(standing)}

    def told(self, agency, event, content, unit=None, *, masked=False):
        record = UrgentRecord(9, event, "emergency EM-1", unit, json.dumps(content).encode())
        told = self.sharing.told(self.sharing.view(agency, masked=masked), record)
        return None if told is None else json.loads(told)


def agreed(**more) -> Agreement:
    """PCC sees CAMBS."""
    return Agreement(consumer="PCC", owner="CAMBS", **more)


def test_without_an_agency_every_unit_is_seen_and_with_one_its_own():
    """The default is what there was before anybody agreed on anything."""
    scene = Scene()
    assert scene.seen(None) == {scene.one, scene.two}
    assert scene.seen("PCC") == {scene.one}
    assert scene.seen("CAMBS") == {scene.two}
    assert scene.seen("FRS") == set()


@pytest.mark.parametrize(
    ("rule", "sees"),
    [
        ({}, True),
        ({"role": ("PC", "CSO")}, True),
        ({"role": ("CSO",)}, False),
        ({"power": ("constable",)}, True),
        ({"power": ("constable", "pcn")}, False),
        ({"zone": ("north",)}, False),
        ({"when": "emergency", "within_m": 100.0}, False),
    ],
)
def test_an_agreement_shows_those_whom_it_means(rule, sees):
    """To its consumer alone, and one way; the rows of the index say the same."""
    scene = Scene(agreed(**rule))
    assert (scene.two in scene.seen("PCC")) is sees
    assert scene.seen("CAMBS") == {scene.two}
    rows = scene.sharing.rows(scene.sharing.view("PCC", masked=False))
    assert rows is not None
    assert rows(2).tolist() == [True, sees]


def test_a_unit_in_a_shared_zone_is_seen():
    """While it is in any of them."""
    scene = Scene(agreed(zone=("north", "south")))
    scene.board.units[scene.two].zones = ("south", "west")
    assert scene.two in scene.seen("PCC")


def test_masked_units_are_seen_with_the_permission_and_by_no_other_agency():
    """Whatever is agreed."""
    scene = Scene(agreed())
    scene.mask(scene.two)
    assert scene.seen(None) == {scene.one}
    assert scene.seen(None, masked=True) == {scene.one, scene.two}
    assert scene.seen("PCC", masked=True) == {scene.one}
    assert scene.seen("CAMBS", masked=True) == {scene.two}
    assert scene.seen("CAMBS") == set()
    scene.mask(scene.two, False)
    assert scene.seen("PCC") == {scene.one, scene.two}


def test_two_agreements_leave_out_what_both_do():
    """What one of them shows is shown."""
    scene = Scene(agreed(without=("issi", "collar")), agreed(without=("issi", "members"), role=("PC",)))
    sight = scene.sharing.view("PCC", masked=False).sight(scene.board.units[scene.two])
    assert sight is not None
    assert sight.without == {"issi"}


def test_views_are_one_object_each():
    """They name groups of consumers, whose bytes are made once."""
    scene = Scene(agreed())
    assert scene.sharing.view("PCC", masked=False) is scene.sharing.view("PCC", masked=False)
    assert scene.sharing.view("PCC", masked=False) is not scene.sharing.view("PCC", masked=True)
    assert scene.sharing.view(None, masked=False) is ORDINARY
    assert scene.sharing.view(None, masked=True) is EVERYTHING
    assert Filters(view=scene.sharing.view("PCC", masked=False)).all_in_view
    assert ALL.all_in_view
    assert not Filters(role=("PC",)).all_in_view


def test_nothing_is_narrowed_while_nothing_is_masked():
    """Then nobody pays for it."""
    scene = Scene()
    assert not scene.sharing.narrows(ORDINARY)
    assert scene.sharing.rows(ORDINARY) is None
    scene.mask(scene.one)
    assert scene.sharing.narrows(ORDINARY)
    assert not scene.sharing.narrows(EVERYTHING)


def test_an_emergency_of_somebody_unseen_is_told_without_a_name():
    """Where, since when, how it stands; not who, not by what device, not who acts."""
    told = Scene().told("PCC", "emergency", EMERGENCY, "CAMBS.PC-2")
    same = ("v", "seq", "id", "state", "raised_at", "triggers", "presses", "delivered", "position", "journalled")
    assert {key: told[key] for key in same} == {key: EMERGENCY[key] for key in same}
    assert {told.pop(key) for key in ("person", "unit", "issi")} == {None}
    assert told.pop("holder") == told.pop("acknowledged_by") == "withheld"
    assert told.keys() == set(same)


@pytest.mark.parametrize(
    "named",
    [
        {"unit": None},
        {"unit": None, "person": None},
        {"unit": None, "person": None, "issi": None, "device": None, "last_held_by": "P-2"},
        {"unit": "PCC.CSO-1"},
    ],
)
def test_whoever_is_named_in_an_emergency_must_be_seen(named):
    """By person, by radio, by who last held the device: each is a name."""
    content = {**EMERGENCY, **named}
    assert Scene().told("PCC", "emergency", content)["holder"] == "withheld"
    assert Scene().told("FRS", "emergency", content)["holder"] == "withheld"
    assert Scene().told(None, "emergency", content) == content


def test_an_emergency_of_nobody_known_is_everybodys():
    """Whoever it is, somebody must look."""
    content = {**EMERGENCY, "unit": None, "person": None, "issi": 1_111_111, "device": None}
    assert Scene().told("PCC", "emergency", content) == content


def test_an_emergency_that_can_barely_be_read_goes_out():
    """Lone surrogates, as the last resort may write them; without a name, and to all."""
    content = {**EMERGENCY, "person": "\ud800"}
    told = Scene().told("PCC", "emergency", content, "PCC.CSO-1")
    assert (told["id"], told["holder"]) == ("EM-1", "withheld")


def test_a_roster_that_fails_costs_the_name_and_not_the_alarm():
    """Who it is can't be found out: then it is said without."""
    scene = Scene()
    scene.roster.broken = True
    assert scene.told("PCC", "emergency", EMERGENCY)["holder"] == "withheld"
    assert scene.told(None, "emergency", EMERGENCY) == EMERGENCY


@pytest.mark.parametrize("event", ["message", "proven", "duty"])
def test_other_records_of_somebody_unseen_are_not_told(event):
    """Nor those of nobody known, to an agency: they may be anybody's."""
    scene = Scene(Agreement(consumer="FRS", owner="CAMBS", without=("issi", "members", "sources", "incident")))
    said = {"unit": "CAMBS.PC-2", "person": "P-2", "issi": 2340002, "device": "d", "incident": "CC-1"}
    assert scene.told("PCC", event, said, "CAMBS.PC-2") is None
    assert scene.told("CAMBS", event, said, "CAMBS.PC-2") == said
    left = scene.told("FRS", event, said, "CAMBS.PC-2")
    assert left == {"unit": "CAMBS.PC-2", "person": None, "issi": None, "device": None, "incident": None}
    nobody = {"unit": None, "person": None, "issi": 1_111_111, "device": None}
    assert scene.told("PCC", event, nobody) is None
    assert scene.told(None, event, nobody) == nobody


def test_a_rule_over_zones_is_told_to_those_who_see_all_whom_it_counts():
    """Else its word would be one of units that they may not see."""
    scene = Scene(agreed())
    for agencies, agency, told in (
        (["PCC"], "PCC", True),
        (["PCC", "CAMBS"], "PCC", True),
        (["CAMBS"], "FRS", False),
        (["PCC"], "CAMBS", False),
        ([], "PCC", False),
        ([], None, True),
    ):
        assert (scene.told(agency, "coverage", {"agencies": agencies}) is not None) is told


def test_names_of_the_seen_and_the_unseen():
    """A device counts only where nobody is named."""
    scene = Scene()
    view = scene.sharing.view("PCC", masked=False)
    assert scene.sharing.sight(view, Names(unit=scene.one), unknown=False) == WHOLE
    assert scene.sharing.sight(view, Names(unit="PCC.NOBODY"), unknown=True) is None
    assert scene.sharing.sight(view, Names(person="P-2"), unknown=True) is None
    assert scene.sharing.sight(view, Names(person="P-9"), unknown=True) is None
    assert scene.sharing.sight(view, Names(issi=2340002), unknown=True) is None
    assert scene.sharing.sight(view, Names(device="bcn"), unknown=False) is None
    assert scene.sharing.sight(view, Names(device="bcn"), unknown=True) == WHOLE


def test_every_field_can_be_left_out_and_no_other_is():
    """One at a time, by the feature as it was."""
    member = {"person": "P-1", "collar": "c", "issi": 5, "powers": [], "devices": ["d"]}
    mark = {"id": "EM-1", "person": "P-1"}
    before = {
        "callsign": "c",
        "collar": "c",
        "issi": 5,
        "members": [member],
        "sources": [{"source": "mqtt", "device": "d", "disagrees_m": 5.0, "coordinates": [0.0, 52.0]}],
        "skills": ["s"],
        "battery_pct": 3,
        "heading_deg": 1.0,
        "speed_mps": 1.0,
        "reach": "ok",
        "recording": True,
        "duty": {"incident": "CC"},
        "emergency": mark,
    }
    payload = json.dumps({"id": "U", "properties": before}).encode()
    for name in trimming.Field.__args__:  # type: ignore[attr-defined]
        left = json.loads(trimming.feature(payload, frozenset({name}), None))["properties"]
        changed = {key for key in before if left.get(key) != before[key]}
        also = {"collar": {"members"}, "issi": {"members"}, "sources": {"members"}, "members": {"emergency", "sources"}}
        assert changed == {"duty" if name == "incident" else name} | also.get(name, set())
    assert json.loads(trimming.feature(payload, frozenset(), "emergency EM-1"))["properties"]["shared_by"]


@pytest.mark.parametrize(
    ("rules", "key"),
    [
        ([{"consumer": "CAMBS"}], "sharing[0].owner"),
        ([{"when": "emergency"}], "sharing[0].within_m"),
        ([{"within_m": 5.0}], "sharing[0].within_m"),
        ([{"of": ("PCC",)}], "sharing[0].of"),
        ([{"zone": ("north",)}], "sharing[0].zone"),
        ([{"tracks": True, "without": ("issi",)}], "sharing[0].tracks"),
        ([{"tasks": True, "zone": ("north",)}], "sharing[0].tasks"),
        ([{}, {}], "sharing[1]"),
    ],
)
def test_what_can_not_be_agreed_is_named(rules, key):
    """By the key of the configuration."""
    made = [Agreement(**{"consumer": "PCC", "owner": "CAMBS", **rule}) for rule in rules]
    with pytest.raises(ConfigError) as wrong:
        check_all(made, zones=False)
    assert wrong.value.key == key


def test_a_zone_that_there_is_not_is_named():
    """With the nearest that there is."""
    check_zones([agreed(zone=("ward:north",))], ["ward:north"])
    with pytest.raises(ConfigError, match="did you mean 'ward:north'") as wrong:
        check_zones([agreed(), agreed(zone=("ward:nroth",))], ["ward:north"])
    assert wrong.value.key == "sharing[1].zone"
