"""Planned ends: a booking of the roster goes on until somebody ends it, or the device is another's."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import DeviceId, UnitId
from gateway.domain.people import Booking, Shift
from gateway.roster.directory import Roster, effective, in_force, overlaps, planned
from tests.roster.people import DEVICES, PEOPLE, SHIFT, UNITS

CAM = DeviceId("cam-1")
HOUR = timedelta(hours=1)


def row(number: int, holder: str, begins: int, ends: int | None, *, how="roster", entered: int = 0, corrects=None):
    """A booking from and to so many hours into the shift, entered at some hour."""
    until = None if ends is None else SHIFT + ends * HOUR
    return Booking(number, CAM, holder, SHIFT + begins * HOUR, until, how, "test", SHIFT + entered * HOUR, corrects)


def roster(*bookings: Booking, shifts: tuple[Shift, ...] = ()) -> Roster:
    """With these."""
    return Roster(PEOPLE, UNITS, DEVICES, bookings, shifts)


def test_past_its_planned_end_it_is_still_theirs() -> None:
    """Eight hours planned; after ten the same person has the device, and a recording says that it was not planned."""
    here = roster(row(1, "P-0014", 0, 8))
    assert here.holder(CAM, SHIFT + 10 * HOUR).person == "P-0014"
    within, past = (here.attribute(CAM, SHIFT + hours * HOUR, None) for hours in (7, 9))
    assert (within.holder, within.flags) == ("P-0014", ())
    assert (past.holder, past.flags) == ("P-0014", ("past_planned_end",))


def test_what_is_over_when_it_is_entered_is_no_plan() -> None:
    """Nor is what a card, a console or a correction says."""
    for booking in (
        row(1, "P-0014", 0, 8, entered=9),
        row(1, "P-0014", 0, 8, how="card"),
        row(2, "P-0014", 0, 8, corrects=1),
    ):
        assert not planned(booking)
        assert roster(booking).holder(CAM, SHIFT + 10 * HOUR).last_held_by == "P-0014"


def test_the_next_one_relieves_them() -> None:
    """Also where the next comes late; where two were planned at once nobody is guessed."""
    here = roster(row(1, "P-0014", 0, 8), row(2, "P-0015", 9, 16))
    assert here.holder(CAM, SHIFT + 8.5 * HOUR).person == "P-0014"
    assert here.holder(CAM, SHIFT + 9 * HOUR).person == "P-0015"
    assert here.holder(CAM, SHIFT + 20 * HOUR).person == "P-0015"
    both = roster(row(1, "P-0014", 0, 8), row(2, "P-0015", 7, 16))
    assert both.holder(CAM, SHIFT + 7.5 * HOUR).person is None
    assert both.holder(CAM, SHIFT + 9 * HOUR).person == "P-0015"


def test_what_is_planned_of_a_unit() -> None:
    """Bookings of the roster and shifts, of the unit or of anybody of it; what is cancelled is not."""
    shifts = (
        Shift("PCC.VAN-1", SHIFT, SHIFT + 8 * HOUR),
        Shift("P-0014", SHIFT, SHIFT + 9 * HOUR),
        Shift("P-0014", SHIFT + HOUR, SHIFT + 10 * HOUR, cancelled=True),
        Shift("P-9999", SHIFT, SHIFT + HOUR),
    )
    here = roster(row(1, "P-0014", 0, 8), row(2, "P-0015", 0, None), shifts=shifts)
    begin = SHIFT.timestamp()
    assert here.plans() == {
        UnitId("PCC.CSO-014"): [(begin, begin + 8 * 3600), (begin, begin + 9 * 3600)],
        UnitId("PCC.VAN-1"): [(begin, begin + 8 * 3600)],
    }
    assert len(here.shifts()) == 3


def test_self_booked() -> None:
    """Those that are in force, by person."""
    rows = [row(1, "P-0014", 0, None, how="self-booked"), row(2, "P-0015", 0, 1, how="self-booked")]
    here = roster(*rows)
    assert [each.id for each in here.self_booked("P-0014", SHIFT + HOUR)] == [1]
    assert here.self_booked("P-0015", SHIFT + HOUR) == []
    assert here.self_booked("P-0014", SHIFT - HOUR) == []


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["P-0014", "P-0015"]),
        st.integers(0, 20),
        st.none() | st.integers(1, 20),
        st.sampled_from(["roster", "card"]),
        st.integers(-5, 45),
    ),
    max_size=6,
)


@given(ROWS, st.integers(-2, 60))
def test_a_plan_only_ever_makes_it_longer_and_never_into_anothers(rows, hour) -> None:
    """Whoever held it by the words held it; nobody is added while another's has begun since."""
    bookings = [
        row(number, who, begin, None if length is None else begin + length, how=how, entered=entered)
        for number, (who, begin, length, how, entered) in enumerate(rows)
    ]
    now = SHIFT + hour * HOUR
    said = {each.id for each in effective(bookings) if overlaps(each, now, now)}
    lasting = {each.id for each in in_force(bookings) if overlaps(each, now, now)}
    assert said <= lasting
    for number in lasting - said:
        assert planned(bookings[number])
        assert not [each for each in bookings if bookings[number].since < each.since <= now]


def test_who_was_booked_on() -> None:
    """By a card, a desk or a correction, as long as it lasts; not by a plan, not by a status."""
    rows = [
        row(1, "P-0014", 0, None, how="card"),
        row(2, "P-0014", 3, None, how="console"),
        row(3, "P-0015", 1, 2, how="card"),
        row(4, "PCC.VAN-1", 1, None),
        row(5, "P-0015", 4, None, how="self-booked"),
    ]
    assert roster(*rows).booked_on() == {"P-0014": (SHIFT + 3 * HOUR).timestamp()}
