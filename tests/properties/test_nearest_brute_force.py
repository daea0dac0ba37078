"""The ranking against somebody who walks through every unit: haversine, every filter, areas, days, limits, reasons."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.people import Power
from gateway.feed.board import Board
from gateway.feed.duty import STATES
from gateway.feed.hub import Hub
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import EmergencyMark
from gateway.feed.wanted import Wanted
from gateway.feed.zoning import Zoning
from tests.feed.shift import START, Roster, SetClock, at, who
from tests.feed.squares import square, zone

BOXES = {"ward:a": (-1.0, 52.0, 0.0, 53.0), "ward:b": (-0.5, 52.0, 0.5, 53.0), "c": (170.0, -10.0, 180.0, 10.0)}
ZONES = tuple(zone(name, square(*box)) for name, box in BOXES.items())
AREAS = {"a": "ward:a", "ward:b": "ward:b", "c": "c"}
"""Areas as a roster names them; any other names no zone."""
TODAY = START.date()
SPEED = {"foot": 1.6, "cycle": 4.5, "vehicle": 8.0}
MARK = EmergencyMark("EM-1", "active", "2026-11-21T21:00:00Z", None, None, ("manual",), 1, delivered=False)
AGEING_S = 30.0

near = st.tuples(st.floats(51.9, 53.1), st.floats(-1.1, 0.6))
anywhere = st.tuples(st.floats(-90, 90), st.floats(-180, 180))
places = near | near | anywhere
days = st.sampled_from([None, TODAY - timedelta(1), TODAY, TODAY + timedelta(1)])
powers = st.builds(Power, st.sampled_from(["pcn", "csas.litter"]), days, st.sampled_from([None, "a", "ward:b", "x"]))


class Officer(NamedTuple):
    """One unit as it is put on the board."""

    place: tuple[float, float] | None
    kind: str
    agency: str
    role: str
    powers: tuple[Power, ...]
    skills: tuple[str, ...]
    code: int | None
    pressed: bool
    age_s: float


officers = st.builds(
    Officer,
    places | st.none(),
    st.sampled_from(list(SPEED)),
    st.sampled_from(["PCC", "CAMBS"]),
    st.sampled_from(["CSO", "PC"]),
    st.lists(powers, max_size=3).map(tuple),
    st.lists(st.sampled_from(["first_aid", "dog"]), max_size=2, unique=True).map(tuple),
    st.sampled_from([1, 2, 2, 3, 6, 7, 11, None]),
    st.sampled_from([False, False, False, True]),
    st.sampled_from([0.0, 0.0, 10.0, 40.0, 700.0]),
)
fleets = st.lists(officers, min_size=1, max_size=40)


def some(words, most=2):
    """None, one, or several of them."""
    return st.lists(st.sampled_from(words), max_size=most, unique=True).map(tuple)


def query(names):
    """What may be asked of units of these names."""
    return st.builds(
        lambda place, **more: Wanted(lat=place[0], lon=place[1], **more),
        places,
        limit=st.integers(1, 12),
        power=some(["pcn", "csas.litter", "unheard.of"]),
        skill=some(["first_aid", "dog"]),
        duty=some(["available", "unknown", "7", "at_scene", "emergency"]),
        agency=some(["PCC", "CAMBS", "NOBODY"]),
        role=some(["CSO", "PC"]),
        max_age_s=st.sampled_from([None, None, 0.0, 20.0, 10_000.0]),
        exclude=some([*names, "PCC.GHOST"], 3),
        zone=some(list(BOXES)),
    )


def inside(box, place) -> bool:
    """As the map shows it: on its western and southern edge, not on the others."""
    west, south, east, north = box
    return west <= place[1] < east and south <= place[0] < north


def metres(a, b) -> float:
    """Haversine, from the books."""
    (lat, lon), (to_lat, to_lon) = (map(math.radians, place) for place in (a, b))
    root = math.sin((to_lat - lat) / 2) ** 2 + math.cos(lat) * math.cos(to_lat) * math.sin((to_lon - lon) / 2) ** 2
    return 2 * 6_371_008.8 * math.asin(math.sqrt(min(1.0, root)))


def grants(officer: Officer, power: str, here) -> bool:
    """Whether that officer has that power today, there."""
    held = [one for one in officer.powers if one.id == power and (one.expires is None or one.expires >= TODAY)]
    return any(one.area is None or one.area not in AREAS or inside(BOXES[AREAS[one.area]], here) for one in held)


def first_reason(name: str, officer: Officer, wanted: Wanted) -> str | None:
    """Why not, in the order in which it is looked at; None: would do."""
    here, code = (wanted.lat, wanted.lon), 0 if officer.pressed else officer.code
    state = "unknown" if code is None else STATES[code]
    asked = {state, str(code)} & set(wanted.duty) if wanted.duty else code is None or 0 < code < 11
    zoned = officer.place is not None and any(inside(BOXES[each], officer.place) for each in wanted.zone)
    oldest_s = AGEING_S if wanted.max_age_s is None else wanted.max_age_s
    tests = (
        ("excluded", name not in wanted.exclude),
        ("agency", not wanted.agency or officer.agency in wanted.agency),
        ("role", not wanted.role or officer.role in wanted.role),
        ("power", all(grants(officer, power, here) for power in wanted.power)),
        ("skill", set(wanted.skill) <= set(officer.skills)),
        ("duty", bool(asked)),
        ("no_position", officer.place is not None),
        ("zone", not wanted.zone or zoned),
        ("age", officer.age_s <= oldest_s),
    )
    return next((reason for reason, passed in tests if not passed), None)


def expected(fleet: dict[str, Officer], wanted: Wanted):
    """(order, seconds, unit) of all that would do, sorted; how many fell out for what; how many were looked at."""
    fits, rejected, looked = [], {}, 0
    for name, officer in fleet.items():
        if officer.code == 11 and not officer.pressed:
            continue
        looked += 1
        if (reason := first_reason(name, officer, wanted)) is not None:
            rejected[reason] = rejected.get(reason, 0) + 1
            continue
        order = {2: 0, 3: 0, 7: 1}.get(officer.code, 2)
        seconds = metres((wanted.lat, wanted.lon), officer.place) * 1.35 / SPEED[officer.kind]
        fits.append((order, seconds, name))
    return sorted(fits), rejected, looked


def board_of(fleet: list[Officer]) -> tuple[Board, dict[str, Officer], SetClock]:
    """The board of a gateway with these units, and its clock."""
    board, roster, clock, named = Board(FeedSettings()), Roster(), SetClock(), {}
    hub = Hub(board.settings, board)
    Zoning(board, hub).take_up(ZONES, ())
    for number, one in enumerate(fleet):
        name = roster.enlist(number, agency=one.agency, role=one.role, kind=one.kind, powers=one.powers)
        person = roster.people[f"P-{number}"]
        roster.people[person.id] = msgspec.structs.replace(person, skills=one.skills)
        named[name] = one
    board.refresh(roster, clock.now())
    for number, (name, one) in enumerate(named.items()):
        if one.place is not None and (one.code != 11 or one.pressed):
            board.place(at(clock.now(), *one.place, age_s=one.age_s, device=f"b{number}"), who(name))
        if one.pressed:
            board.set_emergency(name, MARK)
        if one.code is not None:
            board.set_duty(name, one.code, START.timestamp(), "sds_status")
    hub.flush(clock.now())
    return board, named, clock


@settings(derandomize=True, deadline=None)
@given(st.data())
def test_equal_to_brute_force(data) -> None:
    """The same units in the same order (those as near as a tenth of a second may change places), the same reasons."""
    board, fleet, clock = board_of(data.draw(fleets))
    wanted = data.draw(query(list(fleet)))
    found = board.index.query(wanted, clock.now())
    fits, rejected, looked = expected(fleet, wanted)
    assert (found.rejected, found.considered) == (rejected, looked)
    assert len(found.results) == min(wanted.limit, len(fits))
    for mine, theirs in zip(found.results, fits, strict=False):
        assert abs(mine.eta_s - theirs[1]) <= 0.1 + 1e-6
        own = next(each for each in fits if each[2] == mine.unit)
        assert own[0] == theirs[0]
        assert abs(mine.eta_s - own[1]) <= 0.051
        assert abs(mine.distance_m - metres((wanted.lat, wanted.lon), fleet[mine.unit].place)) <= 0.051
        assert len(mine.why) >= 2 + len(wanted.power) + len(wanted.skill)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.lists(st.tuples(anywhere, st.sampled_from(list(SPEED))), min_size=150, max_size=300), anywhere)
def test_of_a_crowd_over_the_whole_globe(crowd, here) -> None:
    """More units than are looked at closely, of every speed: the first are the first."""
    fleet = [Officer(place, kind, "PCC", "CSO", (), (), 2, False, 0.0) for place, kind in crowd]
    board, named, clock = board_of(fleet)
    wanted = Wanted(lat=here[0], lon=here[1], limit=3)
    found = board.index.query(wanted, clock.now())
    fits, _, _ = expected(named, wanted)
    for mine, theirs in zip(found.results, fits, strict=False):
        assert abs(mine.eta_s - theirs[1]) <= 0.1 + 1e-6


def test_a_chord_is_not_the_way() -> None:
    """A hundred cars on the far side of the globe, whose chord is short for its way: a walker is there before them."""
    far = [(-8.0 + number / 1000, 180.0) for number in range(100)]
    cars = [Officer(place, "vehicle", "PCC", "CSO", (), (), 2, False, 0.0) for place in far]
    walker = Officer((31.5, 0.0), "foot", "PCC", "CSO", (), (), 2, False, 0.0)
    board, named, clock = board_of([*cars, walker])
    wanted = Wanted(lat=0.0, lon=0.0, limit=1)
    (found,) = board.index.query(wanted, clock.now()).results
    assert found.unit == expected(named, wanted)[0][0][2] == "PCC.CSO-100"
