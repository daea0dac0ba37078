"""Whether a unit can be reached by radio."""

from __future__ import annotations

import pytest

from gateway.domain.events import Origin, ReachReport
from gateway.domain.time import Stamp
from gateway.feed.board import Board
from gateway.feed.handsets import roll_of_handsets
from gateway.feed.reach import BEST_FIRST, RADIOS_KEPT, Contact, Contacts, best
from gateway.feed.settings import FeedSettings
from tests.feed.shift import Roster, SetClock, who

ONE, TWO = 2340001, 2340002


class Shift:
    """A board of two units, and their radios."""

    def __init__(self) -> None:
        self.clock, roster = SetClock(), Roster()
        self.units = [roster.enlist(1), roster.enlist(2)]
        self.board = Board(FeedSettings())
        self.board.refresh(roster, self.clock.now())
        self.contacts = Contacts(self.board)

    def say(self, reach, issi=ONE, unit=0, after_s=1.0):
        """A radio's own word."""
        report = ReachReport(Origin("radio", None, issi), Stamp(self.clock.on(after_s)), reach)
        return self.contacts.said(report, who(self.units[unit] if unit is not None else None))

    def hear(self, issi=ONE, unit=0, after_s=1.0):
        """Anything at all from a radio."""
        now = self.clock.on(after_s)
        return self.contacts.heard(Origin("radio", None, issi), now, who(self.units[unit]))

    def reach(self, unit=0):
        """As asked, which is as shown."""
        found = self.contacts.of(self.units[unit])
        assert self.board.units[self.units[unit]].reach == found
        return found


@pytest.fixture
def shift() -> Shift:
    """Nobody heard yet."""
    return Shift()


@pytest.mark.parametrize("reach", ["dmo", "no_service", "off", "low_battery"])
def test_said_and_heard_again(shift, reach) -> None:
    """Each change is told at once, a repetition never."""
    assert shift.reach() == "unknown"
    assert shift.hear() == []
    assert shift.reach() == "ok"
    assert [one.id for one in shift.say(reach)] == [shift.units[0]]
    assert shift.reach() == reach
    assert shift.say(reach) == []
    assert [one.id for one in shift.hear()] == [shift.units[0]]
    assert shift.reach() == "ok"


def test_the_first_word_of_trouble_is_news(shift) -> None:
    """Also from a radio that nobody knew to work."""
    assert len(shift.say("off")) == 1


def test_the_position_in_the_same_report_undoes_nothing(shift) -> None:
    """Service lost, with where: the place is no proof that there is service; the next frame is."""
    shift.say("no_service")
    shift.hear(after_s=0)
    assert shift.reach() == "no_service"
    shift.hear(after_s=0.001)
    assert shift.reach() == "ok"


def test_an_older_word_comes_too_late(shift) -> None:
    """What was read first is what counts first."""
    shift.say("dmo")
    assert shift.say("off", after_s=-1) == []
    assert shift.reach() == "dmo"


def test_a_unit_of_two_radios_is_reached_by_the_better(shift) -> None:
    """The crew's second radio answers for it."""
    shift.hear(ONE)
    shift.hear(TWO)
    assert shift.say("off", ONE) == []
    assert shift.reach() == "ok"
    assert len(shift.say("dmo", TWO)) == 1
    assert shift.reach() == "dmo"


def test_a_radio_handed_over_leaves_its_former_unit(shift) -> None:
    """It answers for one unit at a time."""
    shift.hear(ONE, unit=0)
    changed = shift.hear(ONE, unit=1)
    assert [one.id for one in changed] == [shift.units[0]]
    assert (shift.reach(0), shift.reach(1)) == ("unknown", "ok")


def test_nobodys_radio_and_no_radio(shift) -> None:
    """A radio on no roster changes no unit; a beacon is no radio."""
    assert shift.say("off", unit=None) == []
    beacon = shift.contacts.heard(Origin("beacons", "bcn-1"), shift.clock.on(1), who(shift.units[0]))
    assert (beacon, shift.reach()) == ([], "unknown")
    assert shift.contacts.of("PCC.GHOST") == "unknown"


def test_bounded(shift, monkeypatch) -> None:
    """Numbers that somebody makes up do not fill the memory."""
    monkeypatch.setattr("gateway.feed.reach.RADIOS_KEPT", 3)
    assert RADIOS_KEPT > 3
    for number in range(10):
        shift.hear(number)
    assert list(shift.contacts.radios()) == [7, 8, 9]
    assert len(shift.contacts._of_unit[shift.units[0]]) == 3


def test_best_of_none_and_of_all() -> None:
    """Unknown is worse than any word."""
    assert best([]) == "unknown"
    every = [Contact(None, reach, 0, 0) for reach in BEST_FIRST]
    assert [best(every[number:]) for number in range(len(every))] == list(BEST_FIRST)


def test_the_list_of_handsets(shift) -> None:
    """Those of the roster, heard or not, and those heard alone."""
    shift.say("low_battery", ONE)
    shift.hear(77, unit=1)
    found = roll_of_handsets(shift.board.units.values(), shift.contacts.radios(), {})
    assert [(one.issi, one.unit, one.person, one.reach) for one in found] == [
        (77, shift.units[1], None, "ok"),
        (ONE, shift.units[0], "P-1", "low_battery"),
        (TWO, shift.units[1], "P-2", "unknown"),
    ]
    assert found[1].heard_at == "2026-11-21T21:00:01Z"
    assert (found[2].heard_at, found[2].proven_at) == (None, None)
