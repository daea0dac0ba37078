"""Who held what, when: by the bookings, never guessed."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.ids import DeviceId, Issi, UnitId
from gateway.roster.directory import Roster
from tests.roster.people import BOOKINGS, DEVICES, PEOPLE, ROSTER, SHIFT, UNITS, booking

CAM = DeviceId("cam-1")
HOUR = timedelta(hours=1)


def roster(*bookings) -> Roster:
    """The same people with these bookings."""
    return Roster(PEOPLE, UNITS, DEVICES, bookings)


def test_a_booking_names_person_and_unit() -> None:
    """Device to person to unit."""
    holder = ROSTER.holder(CAM, SHIFT + HOUR)
    assert (holder.person, holder.unit) == ("P-0014", "PCC.CSO-014")


def test_before_the_booking_nobody_held_it() -> None:
    """Half-open from the left: from its first moment on."""
    assert ROSTER.holder(CAM, SHIFT - timedelta(seconds=1)).person is None
    assert ROSTER.holder(CAM, SHIFT).person == "P-0014"


def test_after_it_ended_the_last_holder_is_known_as_such() -> None:
    """`last held by` is not `held by`."""
    here = roster(booking(1, "cam-1", "P-0014", SHIFT, SHIFT + HOUR))
    holder = here.holder(CAM, SHIFT + 2 * HOUR)
    assert (holder.person, holder.unit, holder.last_held_by) == (None, None, "P-0014")


def test_two_bookings_at_once_are_nobody_in_particular() -> None:
    """Both are candidates; neither is guessed."""
    here = roster(booking(1, "cam-1", "P-0014"), booking(2, "cam-1", "P-0015", SHIFT + HOUR))
    holder = here.holder(CAM, SHIFT + 2 * HOUR)
    assert holder.person is None
    assert set(holder.persons) == {"P-0014", "P-0015"}
    assert holder.unit is None


def test_a_booking_to_a_unit_is_to_its_members() -> None:
    """One member: that person."""
    here = roster(booking(1, "cam-1", "PCC.VAN-1"))
    assert here.holder(CAM, SHIFT).person == "P-0015"
    assert here.holder(CAM, SHIFT).unit == UnitId("PCC.VAN-1")


def test_a_correction_replaces_what_it_corrects() -> None:
    """The corrected row no longer counts."""
    here = roster(booking(1, "cam-1", "P-0014"), booking(2, "cam-1", "P-0015", corrects=1))
    assert here.holder(CAM, SHIFT + HOUR).person == "P-0015"


def test_attribution_is_the_one_person_of_the_whole_span() -> None:
    """Held at the start and by nobody else."""
    found = ROSTER.attribute(CAM, SHIFT + HOUR, SHIFT + 2 * HOUR)
    assert (found.holder, found.flags) == ("P-0014", ())


def test_attribution_flags_nobody_two_and_the_unknown_time() -> None:
    """Each with its flag, none with a guess."""
    two = roster(booking(1, "cam-1", "P-0014", SHIFT, SHIFT + HOUR), booking(2, "cam-1", "P-0015", SHIFT + HOUR))
    handed_over = two.attribute(CAM, SHIFT + HOUR / 2, SHIFT + 2 * HOUR)
    assert (handed_over.holder, handed_over.flags) == (None, ("holder_ambiguous",))
    assert handed_over.candidates == ("P-0014", "P-0015")
    assert ROSTER.attribute(CAM, SHIFT - 2 * HOUR, SHIFT - HOUR).flags == ("holder_unknown",)
    assert ROSTER.attribute(CAM, SHIFT - HOUR, SHIFT + HOUR).flags == ("holder_unknown", "booked_after_start")
    assert ROSTER.attribute(CAM, None, None).flags == ("holder_unknown", "recording_time_unknown")
    assert ROSTER.attribute(DeviceId("never"), SHIFT, None).flags == ("holder_unknown",)


def test_a_recording_that_starts_as_the_booking_ends_is_not_the_earlier_holders() -> None:
    """A booking ends before its last moment."""
    here = roster(booking(1, "cam-1", "P-0014", SHIFT, SHIFT + HOUR))
    assert here.attribute(CAM, SHIFT + HOUR, SHIFT + 2 * HOUR).holder is None


def test_lookups() -> None:
    """By id, ISSI, member."""
    assert ROSTER.terminal(Issi(2341014)).id == "trm-1"
    assert ROSTER.terminal(Issi(1)) is None
    assert ROSTER.person_by_issi(Issi(2341015)).id == "P-0015"
    assert ROSTER.unit_of("P-0015").id == "PCC.VAN-1"
    assert ROSTER.unit_of("P-9999") is None
    assert ROSTER.person("P-9999") is None
    assert len(ROSTER.people()) == 2
    assert len(ROSTER.units()) == 2
    assert len(ROSTER.devices()) == 3
    assert len(ROSTER.bookings(CAM)) == 1


def test_whoever_holds_the_roster_sees_it_change() -> None:
    """`become` swaps what is behind the same object."""
    here = roster(*BOOKINGS)
    other = roster(booking(9, "cam-1", "P-0015"))
    here.become(other)
    assert here.holder(CAM, SHIFT).person == "P-0015"


SPANS = st.lists(
    st.tuples(st.sampled_from(["P-0014", "P-0015"]), st.integers(0, 20), st.none() | st.integers(1, 20)), max_size=6
)


@given(SPANS, st.integers(-2, 45), st.integers(0, 10))
def test_attribution_never_names_somebody_who_did_not_hold_it(spans, start: int, length: int) -> None:
    """Whoever is named held the device at the start, and nobody else held it in the span."""
    rows = [
        booking(number, "cam-1", who, SHIFT + begin * HOUR, None if span is None else SHIFT + (begin + span) * HOUR)
        for number, (who, begin, span) in enumerate(spans)
    ]
    begin, end = SHIFT + start * HOUR, SHIFT + (start + length) * HOUR
    found = roster(*rows).attribute(CAM, begin, end)
    holding = {row.holder for row in rows if row.since <= end and (row.until is None or row.until > begin)}
    at_start = {row.holder for row in rows if row.since <= begin and (row.until is None or row.until > begin)}
    assert set(found.candidates) == holding
    if found.holder is None:
        assert found.flags
    else:
        assert holding == {found.holder} == at_start
