"""The board."""

from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.domain.events import Origin, PositionReport
from gateway.domain.people import Unit
from gateway.domain.position import Fix
from gateway.feed.board import Board
from gateway.feed.reported import device_of, usable
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import EmergencyMark
from tests.feed.shift import Roster, SetClock, at, stamp, who

MARK = EmergencyMark("EM-1", "active", "2026-11-21T21:00:00Z", None, "P-1", ("manual",), 1, delivered=False)


class Scene:
    """A board with officers 1 and 2."""

    def __init__(self) -> None:
        self.board, self.roster, self.clock = Board(FeedSettings()), Roster(), SetClock()
        self.one, self.two = self.roster.enlist(1), self.roster.enlist(2)
        self.board.refresh(self.roster, self.clock.now())
        self.board.dirty.clear()

    def place(self, lat=52.57, wait_s=1.0, unit=None, **more):
        """A report of officer 1 a second later."""
        now = self.clock.on(wait_s)
        return self.board.place(at(now, lat, **more), who(unit or self.one, "P-1", more.get("device", "bcn-1")))

    @property
    def shown(self):
        """Where officer 1 is shown."""
        live = self.board.units[self.one].live
        return None if live is None else (live.device, live.fix.latitude)

    def fresh(self):
        """How fresh."""
        return self.board.units[self.one].fresh(self.clock.mono_s)


@pytest.fixture
def scene():
    """A board with officers 1 and 2."""
    return Scene()


def test_a_unit_without_a_position_is_on_the_board(scene) -> None:
    """And says never."""
    assert scene.shown is None
    assert scene.fresh() == "never"


def test_a_position_moves_its_unit_and_no_other(scene) -> None:
    """And only that one is told of."""
    assert scene.place() == "live"
    assert scene.shown == ("bcn-1", 52.57)
    assert list(scene.board.dirty) == [scene.one]
    assert scene.board.units[scene.two].live is None


def test_the_same_report_twice_counts_once(scene) -> None:
    """By device and fix time, also when it comes late."""
    now = scene.clock.on(1)
    assert scene.board.place(at(now), who(scene.one)) == "live"
    assert scene.board.place(at(now, 52.6), who(scene.one)) == "duplicates"
    later = scene.clock.on(10)
    assert scene.board.place(at(later), who(scene.one)) == "live"
    assert scene.board.place(at(later, age_s=10), who(scene.one)) == "duplicates"
    assert scene.board.counts == {"live": 2, "duplicates": 2}


def test_a_device_without_a_clock_is_heard_each_time(scene) -> None:
    """Two places in one moment are two reports; the same place is one."""
    now = scene.clock.on(1)
    assert scene.board.place(at(now, 52.57, age_s=None), who(scene.one)) == "live"
    assert scene.board.place(at(now, 52.57, age_s=None), who(scene.one)) == "duplicates"
    assert scene.board.place(at(now, 52.5701, age_s=None), who(scene.one)) == "live"


@pytest.mark.parametrize("more", [{"age_s": 5}, {"late": True}, {"age_s": 901}])
def test_late_never_moves_the_live_position(scene, more) -> None:
    """Older than live, told to be late, or older than a quarter of an hour."""
    scene.place(52.57)
    assert scene.place(52.60, **more) == "late"
    assert scene.shown == ("bcn-1", 52.57)


def test_late_is_not_shown_even_where_nothing_is(scene) -> None:
    """An old position is not where somebody is."""
    assert scene.place(late=True) == "late"
    assert scene.place(age_s=901) == "late"
    assert scene.shown is None


def test_a_clock_ahead_is_held_to_arrival(scene) -> None:
    """Beyond five seconds, and flagged; within, believed."""
    scene.place(age_s=-4)
    assert scene.board.units[scene.one].live.quality == ()
    scene.place(wait_s=10, age_s=-3600)
    live = scene.board.units[scene.one].live
    assert live.quality == ("clock_skew",)
    assert live.fix_s == live.received_s == scene.clock.utc.timestamp()
    assert scene.place(wait_s=10) == "live"


@pytest.mark.parametrize(("lat", "lon"), [(float("nan"), 0), (91, 0), (0, 181), (0, float("inf"))])
def test_what_is_not_on_the_globe_is_refused(scene, lat, lon) -> None:
    """Counted, and no harm done."""
    assert scene.board.place(at(scene.clock.on(1), lat, lon), who(scene.one)) == "unusable"
    assert not usable(Fix(lat, lon))
    assert scene.shown is None


def test_no_fix_and_nobody_known(scene) -> None:
    """Counted each as what it is; the battery is still news."""
    report = PositionReport(Origin("x", "bcn-1"), stamp(scene.clock.now()), None, "mqtt", battery_pct=7)
    assert scene.board.place(report, who(scene.one)) == "no_fix"
    assert scene.board.units[scene.one].battery_pct == 7
    assert scene.board.place(at(scene.clock.now()), who(None)) == "unattributed"
    assert scene.board.place(at(scene.clock.now()), who("PCC.GHOST")) == "unattributed"


def test_ages_are_told_of_as_they_change(scene) -> None:
    """Live, ageing, stale, lost: one touch each."""
    scene.place()
    seen = []
    for _ in range(700):
        scene.board.dirty.clear()
        scene.board.age(scene.clock.on(1))
        if scene.board.dirty:
            seen.append(scene.fresh())
    assert seen == ["ageing", "stale", "lost"]


def test_a_step_of_the_host_clock_ages_nobody(scene) -> None:
    """Ages go by the monotonic clock."""
    scene.place()
    scene.clock.utc += timedelta(hours=1)
    assert scene.fresh() == "live"


def test_nobody_in_an_emergency_is_called_lost(scene) -> None:
    """Terminals stop their periodic reports then."""
    scene.place()
    scene.board.set_emergency(scene.one, MARK)
    scene.clock.on(3600)
    assert scene.fresh() == "stale"


class TestSourceChoice:
    """Feed.md 3.3 rule 7."""

    def test_a_better_source_takes_over_at_once(self, scene) -> None:
        """A beacon over the radio."""
        scene.place(52.1, device="trm-1", source="lip", accuracy_m=20)
        scene.place(52.2, device="bcn-1", source="mqtt", accuracy_m=8)
        assert scene.shown == ("bcn-1", 52.2)

    def test_a_lesser_source_waits_for_the_hold_down(self, scene) -> None:
        """The radio shows only when the beacon has been silent for two intervals."""
        scene.place(52.2, device="bcn-1", source="mqtt", accuracy_m=8)
        assert scene.place(52.1, wait_s=15, device="trm-1", source="lip", accuracy_m=20) == "kept"
        assert scene.shown == ("bcn-1", 52.2)
        assert scene.place(52.1, wait_s=6, device="trm-1", source="lip", accuracy_m=20) == "live"

    def test_three_times_as_accurate_wins_whatever_it_is(self, scene) -> None:
        """A beacon indoors loses to the radio outside, and does not come back by rank alone."""
        scene.place(52.2, device="bcn-1", source="mqtt", accuracy_m=500)
        scene.place(52.1, device="trm-1", source="lip", accuracy_m=20)
        assert scene.shown == ("trm-1", 52.1)
        scene.place(52.3, device="bcn-1", source="mqtt", accuracy_m=500)
        assert scene.shown == ("trm-1", 52.1)

    def test_two_equal_ones_don_t_alternate(self, scene) -> None:
        """The one shown stays."""
        for turn in range(6):
            scene.place(52 + turn / 100, device=f"bcn-{turn % 2}", source="mqtt")
            assert scene.shown[0] == "bcn-0"

    def test_an_older_fix_of_a_better_source_doesn_t_go_back(self, scene) -> None:
        """Time comes first."""
        scene.place(52.1, device="trm-1", source="lip")
        scene.place(52.2, device="bcn-1", source="mqtt", age_s=30)
        assert scene.shown == ("trm-1", 52.1)

    def test_a_silent_source_gives_way_without_a_new_report(self, scene) -> None:
        """When its age changes its name, what another said meanwhile is shown."""
        scene.place(52.2, device="bcn-1", source="mqtt")
        scene.place(52.1, wait_s=15, device="trm-1", source="lip")
        scene.board.age(scene.clock.on(16))
        assert scene.shown == ("trm-1", 52.1)


class TestDuty:
    """Feed.md 7."""

    def test_off_duty_is_private(self, scene) -> None:
        """Neither shown nor kept, until a status 1 to 8."""
        scene.place()
        scene.board.set_duty(scene.one, 11, 1.0, "sds_status")
        assert scene.board.off_duty(scene.one)
        assert scene.shown is None
        assert scene.one not in scene.board.dirty
        assert scene.place() == "off_duty"
        scene.board.set_duty(scene.one, 9, 2.0, "sds_status")
        assert scene.board.off_duty(scene.one)
        scene.board.set_duty(scene.one, 1, 3.0, "sds_status")
        assert not scene.board.off_duty(scene.one)
        assert scene.place() == "live"

    def test_an_emergency_keeps_it_on_the_feed(self, scene) -> None:
        """And when that is over it is gone."""
        scene.board.set_duty(scene.one, 11, 1.0, "sds_status")
        scene.board.set_emergency(scene.one, MARK)
        assert not scene.board.off_duty(scene.one)
        assert scene.place() == "live"
        scene.board.set_emergency(scene.one, None)
        assert scene.board.off_duty(scene.one)
        assert scene.shown is None

    @pytest.mark.parametrize("code", range(1, 12))
    def test_deployable_are_two_three_and_seven(self, scene, code) -> None:
        """By default."""
        duty = scene.board.set_duty(scene.one, code, 1.0, "sds_status").duty
        assert duty.deployable == (code in (2, 3, 7))

    def test_nobody_s_duty(self, scene) -> None:
        """A unit not on the roster has none."""
        assert scene.board.set_duty("PCC.GHOST", 2, 1.0, "api") is None
        assert scene.board.set_emergency("PCC.GHOST", MARK) is None
        assert not scene.board.off_duty("PCC.GHOST")


class TestRoster:
    """Changes are picked up."""

    def test_new_gone_and_changed(self, scene) -> None:
        """And what has not changed is not told of."""
        scene.place()
        scene.board.dirty.clear()
        assert scene.board.refresh(scene.roster, scene.clock.now()) == []
        assert scene.board.dirty == {}
        three = scene.roster.enlist(3)
        scene.roster.enlist(1, powers=("constable",))
        del scene.roster.by_unit[scene.two]
        gone = scene.board.refresh(scene.roster, scene.clock.now())
        assert [one.id for one in gone] == [scene.two]
        assert set(scene.board.dirty) == {scene.one, three}
        assert scene.board.units[scene.one].roll.powers == ("constable",)
        assert scene.shown is not None

    def test_an_emergency_outlives_the_roster(self, scene) -> None:
        """Somebody struck off the roster in an emergency stays until it is over."""
        scene.board.set_emergency(scene.one, MARK)
        del scene.roster.by_unit[scene.one]
        assert scene.board.refresh(scene.roster, scene.clock.now()) == []
        scene.board.set_emergency(scene.one, None)
        assert len(scene.board.refresh(scene.roster, scene.clock.now())) == 1

    def test_a_device_goes_with_its_holder(self, scene) -> None:
        """Booked to another, it is no longer the former's."""
        scene.place(device="bcn-1")
        scene.board.dirty.clear()
        scene.place(52.9, unit=scene.two, device="bcn-1")
        assert scene.board.units[scene.one].sightings == {}
        assert scene.board.units[scene.one].devices == {}
        assert set(scene.board.dirty) == {scene.one, scene.two}
        assert scene.board.last_fix(scene.two, "bcn-1").fix.latitude == 52.9
        assert scene.board.last_fix(None, "bcn-1") is None

    def test_devices_a_unit_are_bounded(self, scene) -> None:
        """The newest sixteen."""
        for number in range(40):
            scene.place(device=f"bcn-{number}")
        assert len(scene.board.units[scene.one].sightings) == 16
        assert len(scene.board.units[scene.one].devices) <= 17

    def test_rows_are_used_again(self, scene) -> None:
        """A unit that left leaves nothing of itself to the next."""
        scene.place()
        del scene.roster.by_unit[scene.one]
        scene.board.refresh(scene.roster, scene.clock.now())
        scene.roster.by_unit["PCC.NEW"] = Unit("PCC.NEW", "NEW", "PCC", "vehicle")
        scene.board.refresh(scene.roster, scene.clock.now())
        assert scene.board.units["PCC.NEW"].fresh(scene.clock.mono_s) == "never"


def test_the_name_of_a_device(scene) -> None:
    """Its id, else its ISSI, else its link."""
    stamped = stamp(scene.clock.now())
    by_issi = PositionReport(Origin("radio", None, 77), stamped, None, "lip")  # type: ignore[arg-type]
    assert device_of(by_issi, who(None)) == "issi-77"
    assert device_of(by_issi, who(None, device="trm-77")) == "trm-77"
    assert device_of(PositionReport(Origin("radio"), stamped, None, "lip"), who(None)) == "radio"


def test_very_many_ages_are_looked_at_over_some_ticks(scene, monkeypatch) -> None:
    """None is forgotten; each is told of once."""
    monkeypatch.setattr("gateway.feed.board.AGED_AT_ONCE", 2)
    units = [scene.roster.enlist(number) for number in range(10, 15)]
    scene.board.refresh(scene.roster, scene.clock.now())
    now = scene.clock.on(1)
    for number, unit in enumerate(units):
        scene.board.place(at(now, device=f"bcn-{number}"), who(unit))
    scene.board.dirty.clear()
    late, seen = scene.clock.on(25), []
    for _ in range(4):
        scene.board.age(late)
        seen.append(len(scene.board.dirty))
    assert seen == [2, 4, 5, 5]
    assert {scene.board.units[unit].shown_fresh for unit in units} == {"ageing"}
