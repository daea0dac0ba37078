"""What a TAK server must still be told: emergencies first and again, tracks dropped, latest positions only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.time import Instant
from gateway.outlets import cot_waiting
from gateway.outlets.cot_waiting import CANCEL_TIMES, KEPT_S, Waiting
from tests.outlets.cot_features import LOOK, feature, pressed, raw

START = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
REPEAT_S = 10.0
TRACK, ALERT = "LAPEL.PCC.CSO-014", "LAPEL.PCC.CSO-014-9-1-1"


def at(seconds: float) -> Instant:
    """So many seconds on."""
    return Instant(1000.0 + seconds, START + timedelta(seconds=seconds))


def waiting(*records: tuple[str, object]) -> Waiting:
    """With these records taken."""
    made = Waiting(LOOK, REPEAT_S)
    for event, record in records:
        made.take(event, raw(record))
    return made


def told(one: Waiting, seconds: float = 0.0) -> list[tuple[str, str]]:
    """Everything that is due: kind and uid."""
    found = []
    while (event := one.next(at(seconds))) is not None:
        read = ET.fromstring(event)
        kind = "drop" if read.get("stale") < read.get("start") else read.get("type")
        found.append((kind, read.get("uid")))
    return found


def test_the_latest_position_once() -> None:
    """Positions that nobody took in time are replaced, and counted."""
    one = waiting(*[("position", feature(seq=number)) for number in (1, 2, 3)])
    event = one.next(at(0))
    assert b'seq="3"' in event
    assert one.next(at(0)) is None
    assert (one.counts["coalesced"], one.counts["positions"]) == (2, 1)


def test_emergencies_come_first() -> None:
    """Then what may not be seen any more, then positions."""
    one = waiting(("position", feature("PCC.A-1")))
    told(one)
    one.take("position", raw(feature()))
    one.take("removed", raw({"unit": "PCC.A-1"}))
    one.take("emergency", raw(pressed()))
    assert told(one) == [("b-a-o-tbl", ALERT), ("drop", "LAPEL.PCC.A-1"), ("a-f-G-U-C", TRACK)]


def test_an_emergency_is_told_again_while_it_lasts() -> None:
    """Every repeat_s, and at once on a new connection; acknowledged by a person it still lasts."""
    one = waiting(("emergency", pressed()))
    assert told(one) == [("b-a-o-tbl", ALERT)]
    assert told(one, 9.9) == []
    one.take("emergency", raw(pressed(state="acknowledged")))
    assert told(one, 10.0) == [("b-a-o-tbl", ALERT)]
    one.connected(at(11))
    assert one.untold == 1
    assert told(one, 11.0) == [("b-a-o-tbl", ALERT)]
    assert one.untold == 0


def test_a_cancellation_is_told_on_every_connection_for_a_while() -> None:
    """Three times on one; on each new one as long as an alert that missed it would show."""
    one = waiting(("emergency", pressed()))
    told(one)
    one.take("emergency", raw(pressed(state="cleared")))
    said = [event for seconds in (1, 2, 12, 23, 40) for event in told(one, seconds)]
    assert said == [("b-a-o-can", ALERT)] * CANCEL_TIMES
    one.connected(at(60))
    assert told(one, 60) == [("b-a-o-can", ALERT)]
    one.connected(at(KEPT_S + 2))
    assert told(one, KEPT_S + 2) == []


def test_a_cancellation_waits_for_a_server_that_is_away() -> None:
    """However long: its time begins when it is told first."""
    one = waiting(("emergency", pressed()), ("emergency", pressed(state="cleared")))
    one.connected(at(10 * KEPT_S))
    assert told(one, 10 * KEPT_S) == [("b-a-o-can", ALERT)]


def test_pressed_again_after_it_was_cleared() -> None:
    """The cancellation that was still to be repeated is not: it would take away the new one."""
    one = waiting(("emergency", pressed()), ("emergency", pressed(state="cleared")))
    told(one)
    one.take("emergency", raw(pressed("EM-2")))
    assert told(one, 1) == [("b-a-o-tbl", ALERT)]
    assert told(one, 11) == [("b-a-o-tbl", ALERT)]
    one.take("emergency", raw(pressed(state="cleared")))
    assert told(one, 21) == [("b-a-o-tbl", ALERT)]


def test_two_of_one_unit_last_until_both_are_over() -> None:
    """The unit has one alert; it goes with the last of its emergencies."""
    one = waiting(("emergency", pressed()), ("emergency", pressed("EM-2")))
    told(one)
    one.take("emergency", raw(pressed(state="cleared")))
    assert told(one, 10) == [("b-a-o-tbl", ALERT)]
    one.take("emergency", raw(pressed("EM-2", state="cleared")))
    assert told(one, 10) == [("b-a-o-can", ALERT)]


def test_whose_it_is_is_learnt_later() -> None:
    """The alert under its own name is cancelled, and goes on under the unit's."""
    one = waiting(("emergency", pressed(unit=None)))
    told(one)
    one.take("emergency", raw(pressed()))
    assert sorted(told(one)) == [("b-a-o-can", "LAPEL.EM-1-9-1-1"), ("b-a-o-tbl", ALERT)]


def test_a_unit_that_may_not_be_seen_is_dropped_again_on_a_new_connection() -> None:
    """What a broken connection swallowed must not stay on a map; back on the feed it is shown."""
    one = waiting(("position", feature()), ("removed", {"unit": "PCC.CSO-014"}))
    assert told(one) == []  # the server never saw it
    one.take("position", raw(feature()))
    told(one)
    one.take("removed", raw({"unit": "PCC.CSO-014", "reason": "masked"}))
    assert told(one) == [("drop", TRACK)]
    one.connected(at(5))
    assert told(one, 5) == [("drop", TRACK)]
    one.connected(at(KEPT_S))
    assert told(one, KEPT_S) == []
    one.take("position", raw(feature()))
    one.connected(at(KEPT_S))
    assert told(one, KEPT_S) == [("a-f-G-U-C", TRACK)]


def test_a_snapshot_is_the_whole_truth() -> None:
    """Units that it does not name are dropped, emergencies that it does not name are over."""
    one = waiting(("position", feature()), ("emergency", pressed()), ("emergency", pressed("EM-2", None)))
    told(one)
    left = feature("PCC.B-2")
    one.take("snapshot", raw({"features": [left], "emergencies": [pressed("EM-2", None)]}))
    said = told(one, 1)
    assert said == [("b-a-o-can", ALERT), ("drop", TRACK), ("a-f-G-U-C", "LAPEL.PCC.B-2")]


def test_a_new_connection_is_told_everything() -> None:
    """It may be another server."""
    one = waiting(("position", feature()), ("position", feature("PCC.B-2")), ("emergency", pressed()))
    first = told(one)
    one.connected(at(1))
    assert told(one, 1) == first
    assert len(first) == 3


def test_what_cannot_be_drawn_or_read_costs_itself_alone() -> None:
    """Counted by reason."""
    one = waiting(("position", feature(place=None)), ("position", {"id": 3}), ("emergency", []), ("duty", {}))
    one.take("position", b"{")
    assert told(one) == []
    assert (one.counts["unplaced"], one.counts["unreadable"]) == (1, 3)


def test_a_unit_that_cannot_be_written_silences_nobody() -> None:
    """It costs itself; its emergency goes out without what is wrong with it."""
    torn = feature(place=(1.0,))
    one = waiting(("position", torn), ("position", feature("PCC.B-2")), ("emergency", pressed()))
    assert told(one) == [("b-a-o-tbl", ALERT)]
    assert told(one) == [("a-f-G-U-C", "LAPEL.PCC.B-2")]
    assert one.counts["unencodable"] == 2


def test_cancellations_are_bounded(monkeypatch) -> None:
    """The oldest go, counted; what is open never does."""
    monkeypatch.setattr(cot_waiting, "CANCELS_KEPT", 3)
    one = waiting(("emergency", pressed("EM-0", "PCC.OPEN-0")))
    for number in range(1, 9):
        one.take("emergency", raw(pressed(f"EM-{number}", f"PCC.X-{number}", "cleared")))
    assert one.counts["cancels_forgotten"] == 5
    said = [uid for _, uid in told(one)]
    assert said == ["LAPEL.PCC.OPEN-0-9-1-1", *(f"LAPEL.PCC.X-{number}-9-1-1" for number in (6, 7, 8))]


ACTS = st.lists(
    st.tuples(st.sampled_from(("press", "clear", "send", "connect")), st.sampled_from(("EM-1", "EM-2", "EM-3"))),
    max_size=40,
)


@given(ACTS)
def test_whatever_happens_a_server_ends_with_the_truth(acts) -> None:
    """Connected once more at the end, it shows the units in an emergency and no other."""
    one, is_open, ever = Waiting(LOOK, REPEAT_S), set(), set()
    seconds, shown = 0.0, {}
    unit_of = {"EM-1": "PCC.A-1", "EM-2": "PCC.A-1", "EM-3": "PCC.B-2"}
    for act, number in [*acts, ("connect", "")]:
        seconds += 1.0
        if act in ("press", "clear"):
            state = "active" if act == "press" else "cleared"
            (is_open.add if act == "press" else is_open.discard)(number)
            ever.add(number)
            one.take("emergency", raw(pressed(number, unit_of[number], state)))
        elif act == "connect":
            one.connected(at(seconds))
        for kind, name in told(one, seconds) if act in ("send", "connect") else []:
            shown[name] = kind == "b-a-o-tbl"
    truth = {f"LAPEL.{unit_of[number]}-9-1-1" for number in is_open}
    assert {name for name, on in shown.items() if on} == truth
