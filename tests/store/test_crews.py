"""Crews on record: every change with who, when and why; the roster's file does not undo it at the next start."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from gateway.domain.people import Shift
from gateway.errors import GatewayError
from gateway.roster.importer import read
from gateway.store.crews import Crews
from gateway.store.roster import AT_START, RosterStore, name_of
from tests.roster.people import SHIFT
from tests.roster.test_importer import GOOD, roster

MORE = """
[[person]]
id = "P-2"
name = "Officer 2"
agency = "PCC"
role = "CSO"
[[unit]]
id = "PCC.VAN-1"
callsign = "VAN1"
agency = "PCC"
kind = "vehicle"
members = ["P-2"]
[[shift]]
holder = "PCC.VAN-1"
from = 2026-11-21T20:00:00Z
to = 2026-11-22T06:00:00Z
"""


@pytest.fixture
def started(tmp_path: Path):
    """As after a start: the file is in it."""
    store = RosterStore(tmp_path / "roster.db")
    store.import_file(read(roster(tmp_path, GOOD + MORE)), AT_START)
    yield store
    store.close()


def test_join_and_leave(started: RosterStore) -> None:
    """One unit at a time; both changes are there, in one act."""
    crews = Crews(started)
    made = crews.join("PCC.VAN-1", "P-1", actor="ann", reason="her car broke down")
    assert made.members == ("P-2", "P-1")
    here = started.roster()
    assert here.unit_of("P-1").id == "PCC.VAN-1"
    assert here.unit("PCC.CSO-1").members == ()
    assert crews.join("PCC.VAN-1", "P-1", actor="ann") == made  # again changes nothing
    crews.leave("PCC.VAN-1", "P-2", actor="bob")
    history = crews.history("PCC.VAN-1")
    assert [(each.by, each.members, each.reason) for each in history] == [
        (AT_START, ("P-2",), None),
        ("ann", ("P-2", "P-1"), "her car broke down"),
        ("bob", ("P-1",), None),
    ]
    assert [each.by for each in crews.history("PCC.CSO-1")] == [AT_START, "ann"]


def test_a_restart_does_not_undo_it(started: RosterStore, tmp_path: Path) -> None:
    """The same file again says nothing new; a file that has changed is heard; a command's import always is."""
    Crews(started).join("PCC.VAN-1", "P-1", actor="ann")
    started.import_file(read(roster(tmp_path, GOOD + MORE)), AT_START)
    assert started.roster().unit("PCC.VAN-1").members == ("P-2", "P-1")
    changed = (GOOD + MORE).replace('callsign = "VAN1"', 'callsign = "VAN9"')
    started.import_file(read(roster(tmp_path, changed)), AT_START)
    unit = started.roster().unit("PCC.VAN-1")
    assert (unit.callsign, unit.members) == ("VAN9", ("P-2",))
    Crews(started).join("PCC.VAN-1", "P-1", actor="ann")
    started.import_file(read(roster(tmp_path, changed)), "cli")
    assert started.roster().unit("PCC.VAN-1").members == ("P-2",)


@pytest.mark.parametrize(
    ("unit", "person", "said"),
    [("PCC.VAN-9", "P-1", "no unit"), ("PCC.VAN-1", "P-9", "no person")],
)
def test_only_what_is_on_the_roster(started: RosterStore, unit: str, person: str, said: str) -> None:
    """Named, and nothing is written."""
    before = started.version()
    with pytest.raises(GatewayError, match=said):
        Crews(started).join(unit, person, actor="ann")
    assert started.version() == before
    with pytest.raises(GatewayError, match=r"no member of PCC\.VAN-1"):
        Crews(started).leave("PCC.VAN-1", "P-1", actor="ann")


def test_shifts_are_kept_by_holder_and_beginning(started: RosterStore, tmp_path: Path) -> None:
    """Another end for the same beginning is a change of the plan; what was planned stays readable; CSV too."""
    (shift,) = started.roster().shifts()
    assert (shift.holder, shift.until - shift.since) == ("PCC.VAN-1", timedelta(hours=10))
    longer = msgspec.structs.replace(shift, until=shift.until + timedelta(hours=2))
    assert name_of(longer) == name_of(shift)
    assert started.put("shift", name_of(longer), longer, "ann")
    assert list(started.roster().shifts()) == [longer]
    off = Shift(shift.holder, shift.since, shift.until, cancelled=True)
    started.put("shift", name_of(off), off, "ann")
    assert started.roster().shifts() == []
    table = "holder,from,to\nP-1,2026-11-21T20:00:00Z,2026-11-22T04:00:00Z\n"
    assert started.import_file(read(roster(tmp_path, table, "shifts.csv")), "cli").shifts == 1
    assert started.roster().shifts()[0].holder == "P-1"


def test_a_planned_end_can_still_be_booked_off(started: RosterStore) -> None:
    """Who is past the plan is ended by a booking off, and by a handing over, at that moment."""
    started.add("cam-1", "P-1", SHIFT, how="roster", actor="x", until=SHIFT + timedelta(days=3650))
    hour = timedelta(hours=1)
    (ended,) = started.book_off("cam-1", SHIFT + 90_000 * hour, actor="ann")
    assert (ended.holder, ended.until) == ("P-1", SHIFT + 90_000 * hour)
    assert started.roster().holder("cam-1", SHIFT + 90_001 * hour).last_held_by == "P-1"
