"""The board: last known per unit. A pure reducer: reports in, standings changed, time as an argument.

It holds no history: what is late, doubled or older than what is shown never moves a unit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from gateway.domain.events import CameraReport, PositionReport
from gateway.domain.ids import DeviceId, UnitId
from gateway.domain.position import Fix, PositionSource
from gateway.domain.time import Instant
from gateway.feed.duty import BACK_ON_DUTY, OFF_DUTY, STATES, Duty, DutySource, unknown
from gateway.feed.engaged import Engaged
from gateway.feed.freshness import next_change_s, pace_of
from gateway.feed.fusion import Fusion
from gateway.feed.gate import Gate, Verdict
from gateway.feed.members import Members
from gateway.feed.nearest import Index
from gateway.feed.reported import device_of, usable
from gateway.feed.roll import Roll, call_roll, without
from gateway.feed.settings import FeedSettings
from gateway.feed.standing import EmergencyMark, Sighting, Standing
from gateway.feed.timing import SKEWED, Timing
from gateway.feed.wording import time_text
from gateway.ports import Directory, Resolved

Outcome = Literal["live", "kept", "held", "late", "duplicates", "unattributed", "off_duty", "no_fix", "unusable"]
DEVICES_PER_UNIT = 16
AGED_AT_ONCE = 1_000
"""Ages looked at in one tick: some milliseconds."""
MORE_ACCURATE = 3.0
HELD = "outlier_held"
GATE_MARKS: dict[Verdict, tuple[str, ...]] = {
    "accepted": (),
    "held": (HELD,),
    "reanchored": ("reanchored",),
    "promoted": ("reanchored",),
}
_SOURCES: tuple[PositionSource, ...] = ("lip", "mqtt", "bwc", "manual")


class Board:
    """Every unit of the roster, and what is known of it."""

    def __init__(self, settings: FeedSettings) -> None:
        self.settings = settings
        self.units: dict[UnitId, Standing] = {}
        self.dirty: dict[UnitId, Standing] = {}
        self.masked: set[UnitId] = set()
        """Units that are masked (covert), also those that have left since."""
        self.counts: Counter[str] = Counter()
        self.index = Index(settings)
        self.fusion = Fusion(settings.conflict_s)
        self.members = Members(settings, self.index, self.touch)
        self.engaged = Engaged(self.units, settings.recording_s, self.touch, self._kept_or_not)
        self.left: Callable[[UnitId, str], None] = lambda _unit, _reason: None
        self._paces = {source: pace_of(settings.interval_s(source)) for source in _SOURCES}
        self._priority = {source: number for number, source in enumerate(settings.priority)}
        self._unit_of: dict[str, UnitId] = {}
        self._due: dict[int, list[Standing]] = {}
        self._waiting: set[UnitId] = set()
        self.placed: Callable[[PositionReport, Resolved, Outcome, tuple[str, ...]], None] | None = None

    # --- the roster

    def refresh(self, directory: Directory, now: Instant) -> list[Standing]:
        """Take up what the roster says now; give back the units that are gone from it."""
        day, seen = now.utc.date(), set()
        for unit in directory.units():
            seen.add(unit.id)
            standing = self.units.get(unit.id)
            roll = call_roll(directory, unit, day, standing.roll if standing else None)
            if standing is None:
                standing = self._enter(
                    roll.unit.id, Standing(unit.id, roll, unknown(now.utc.timestamp()), -1, now.utc.timestamp())
                )
            elif roll is standing.roll:
                continue
            self._enrol(standing, without(roll, off=frozenset(standing.off)), directory, now)
        gone = [standing for name, standing in self.units.items() if name not in seen and not standing.busy]
        for standing in gone:
            self._leave(standing)
        return gone

    def _enrol(self, standing: Standing, roll: Roll, directory: Directory, now: Instant) -> None:
        """The unit is this from now on; who has left it takes their devices along."""
        self.members.together(standing)
        standing.roll, standing.roll_json, standing.members_json = roll, None, None
        standing.speed_mps = self.settings.speed_mps(roll.unit.kind)
        (self.masked.add if roll.unit.masked else self.masked.discard)(standing.id)
        self.index.enrol(standing.row, roll)
        for device, unit in self.members.strangers(standing, directory).items():
            self._hand_over(standing, device, self.units.get(unit) if unit is not None else None, now)
        if len(roll.persons) > 1:
            self.members.look(standing, now.mono_s)
        self.touch(standing)

    def _hand_over(self, former: Standing, device: str, to: Standing | None, now: Instant) -> None:
        """A device goes with who carries it to another unit, or nowhere."""
        sighting, person = former.sightings.get(device), former.devices.get(device)
        former.forget(device)
        former.agree_on(person)
        self._unit_of.pop(device, None)
        if sighting is not None and sighting is former.live:
            former.live = None
            if (newest := former.newest) is not None:
                self._show(former, newest, now.mono_s)
            self._rank(former)
        if to is None or sighting is None or not to.on_feed:
            return
        self._claim(to, device)
        to.sightings[device], to.devices[device], to.members_json = sighting, person, None
        self._choose(to, sighting, None, now)

    def _enter(self, name: UnitId, standing: Standing) -> Standing:
        self.units[name] = standing
        standing.row = self.index.add(name)
        self._rank(standing)
        return standing

    def _leave(self, standing: Standing) -> None:
        del self.units[standing.id]
        self.dirty.pop(standing.id, None)
        self.members.together(standing)
        self.index.drop(standing.row)
        for device in standing.devices:
            if self._unit_of.get(device) == standing.id:
                del self._unit_of[device]

    def forget_person(self, standing: Standing, person: str, now: Instant) -> None:
        """This member has gone off duty: where they are is not known here any more."""
        for device in [device for device, holder in standing.devices.items() if holder == person]:
            self._hand_over(standing, device, None, now)
        self.members.look(standing, now.mono_s)
        self.touch(standing)

    def touch(self, standing: Standing) -> None:
        """Its feature is out of date: make it anew at the next flush."""
        standing.feature = None
        if standing.on_feed:
            self.dirty[standing.id] = standing
        else:
            self.dirty.pop(standing.id, None)

    # --- positions

    def place(self, report: PositionReport, who: Resolved, quality: tuple[str, ...] = ()) -> Outcome:
        """Take one position report; say what became of it, and count it."""
        outcome = self._place(report, who, quality)
        self.counts[outcome] += 1
        if self.placed is not None:
            self.placed(report, who, outcome, quality)
        return outcome

    def _place(self, report: PositionReport, who: Resolved, quality: tuple[str, ...]) -> Outcome:
        standing = self.units.get(who.unit) if who.unit is not None else None
        if standing is None:
            return "unattributed"
        if not standing.on_feed or (standing.off and standing.booked_off(who.person)):
            return "off_duty"
        if report.battery_pct is not None:
            standing.battery_pct = report.battery_pct
        fix = report.fix
        if fix is None or not usable(fix):
            return "no_fix" if fix is None else "unusable"
        device = device_of(report, who)
        seen = standing.sightings.get(device)
        fresh, outcome = self._sight(standing, report, fix, device, quality)
        if fresh is None:
            return outcome
        if seen is None:
            self._claim(standing, device)
        if standing.devices.get(device, "") != who.person:
            standing.devices[device], standing.members_json = who.person, None
        standing.sightings[device] = fresh
        return self._choose(standing, fresh, seen, report.stamp.arrived)

    def _sight(
        self, standing: Standing, report: PositionReport, fix: Fix, device: str, quality: tuple[str, ...]
    ) -> tuple[Sighting | None, Outcome]:
        stamp, before = report.stamp, standing.sightings.get(device)
        arrived_s = stamp.arrived.utc.timestamp()
        told_s = arrived_s if stamp.device_time is None else stamp.device_time.timestamp()
        timing = standing.timings.get(device) or standing.timings.setdefault(device, Timing())
        fix_s, skewed = told_s, False
        if stamp.device_time is None:
            # Two places in one moment are two reports, of a device without a clock.
            if before is not None and told_s == before.told_s and fix == before.fix:
                return None, "duplicates"
        else:
            if timing.again(told_s):
                return None, "duplicates"
            fix_s, skewed = timing.counts_for(told_s, arrived_s, self.settings.clock_skew_s)
        old = report.late or arrived_s - fix_s > self.settings.oldest_live_s
        if old or (before is not None and fix_s < before.fix_s):
            return None, "late"
        marks = self._pass(standing, device, report, fix, fix_s)
        if HELD in marks and before is not None:
            before.quality = _marked(before.quality, HELD)
            self.touch(standing)
            return None, "held"
        if marks or skewed or quality:
            quality = _marked(quality, *marks, *((SKEWED,) if skewed else ()))
        sighting = Sighting(
            device,
            report.source,
            self._priority.get(report.source, len(self._priority)),
            self._paces[report.source],
            fix,
            told_s,
            fix_s,
            stamp.arrived.mono_s - (arrived_s - fix_s),
            arrived_s,
            stamp.quality,
            quality,
        )
        return sighting, "live"

    def _pass(self, standing: Standing, device: str, report: PositionReport, fix: Fix, fix_s: float) -> tuple[str, ...]:
        """What the gate says; in an emergency, or of what a person entered, it says nothing and holds nothing."""
        gate = standing.gates.get(device)
        if gate is None or gate.kind != standing.roll.unit.kind:
            gate = standing.gates[device] = Gate(standing.roll.unit.kind)
        if standing.emergency is not None or report.source == "manual":
            gate.trust(fix, fix_s)
            return ()
        return GATE_MARKS[gate.judge(fix, fix_s)]

    def _claim(self, standing: Standing, device: str) -> None:
        """A device new to this unit leaves the one that had it; a unit keeps its newest sixteen."""
        former = self.units.get(self._unit_of.get(device, standing.id))
        if former is not None and former is not standing:
            former.forget(device)
            former.members_json = None
            self.touch(former)
        self._unit_of[device] = standing.id
        if len(standing.sightings) >= DEVICES_PER_UNIT:
            oldest = min(standing.sightings.values(), key=lambda sighting: sighting.received_s).device
            standing.forget(oldest)

    def _choose(self, standing: Standing, fresh: Sighting, before: Sighting | None, now: Instant) -> Outcome:
        live = standing.live
        outcome: Outcome = "live"
        if len(standing.sightings) > 1:
            self.fusion.compare(standing, fresh, now.mono_s)
        if live is not None and live is not before and not self._outdoes(standing, fresh, live, now.mono_s):
            self.touch(standing)
            outcome = "kept"
        else:
            self._show(standing, fresh, now.mono_s)
        if len(standing.roll.persons) > 1:
            self.members.look(standing, now.mono_s)
        return outcome

    def _outdoes(self, standing: Standing, other: Sighting, live: Sighting, now_mono_s: float) -> bool:
        if len(standing.roll.persons) > 1 and self.members.stays(standing, other, live, now_mono_s):
            return False
        return self._takes_over(other, live, now_mono_s)

    def _takes_over(self, other: Sighting, live: Sighting, now_mono_s: float) -> bool:
        """Source choice with hold-down: a better source at once, another only when the shown one is silent."""
        if other is live or other.fix_s < live.fix_s:
            return False
        if live.age_s(now_mono_s) > live.pace.hold_s:
            return True
        mine, theirs = other.fix.accuracy_m, live.fix.accuracy_m
        if mine is not None and theirs is not None:
            if mine * MORE_ACCURATE < theirs:
                return True
            if theirs * MORE_ACCURATE < mine:
                return False
        return other.priority < live.priority

    def _show(self, standing: Standing, sighting: Sighting, now_mono_s: float) -> None:
        if standing.live is not None and standing.live.device != sighting.device:
            self.fusion.changed(standing, sighting)
        standing.live = sighting
        standing.shown_fresh = standing.fresh(now_mono_s)
        self.index.move(standing.row, sighting)
        self.touch(standing)
        if standing.id not in self._waiting:
            self._wait(standing, now_mono_s)

    def camera(self, report: CameraReport, who: Resolved) -> None:
        """What a camera says of itself."""
        self.engaged.camera(report, who)

    def _kept_or_not(self, standing: Standing, was_shown: bool) -> None:  # noqa: FBT001 - a callback's
        self._settle(standing)
        if was_shown:
            self.left(standing.id, "off_duty")

    # --- age

    def _wait(self, standing: Standing, now_mono_s: float) -> None:
        """Look at this unit again when its position's age changes its name."""
        live = standing.live
        age_s = next_change_s(live.age_s(now_mono_s), live.pace) if live is not None else None
        if live is None or age_s is None:
            self._waiting.discard(standing.id)
            return
        self._waiting.add(standing.id)
        self._due.setdefault(int(live.fix_mono_s + age_s) + 1, []).append(standing)

    def age(self, now: Instant) -> None:
        """Touch each unit whose freshness has changed by now; of very many, some now and some the next time."""
        self.members.age(self.units, now.mono_s)
        self.engaged.age(now)
        left = AGED_AT_ONCE
        for second in [second for second in self._due if second <= now.mono_s]:
            due = self._due.pop(second)
            if len(due) > left:
                self._due[second], due = due[left:], due[:left]
            left -= len(due)
            for standing in due:
                self._waiting.discard(standing.id)
                if self.units.get(standing.id) is standing:
                    self._aged(standing, now)

    def _aged(self, standing: Standing, now: Instant) -> None:
        live = standing.live
        newest = standing.newest
        if live is not None and newest is not None and self._outdoes(standing, newest, live, now.mono_s):
            self._show(standing, newest, now.mono_s)
        elif standing.fresh(now.mono_s) != standing.shown_fresh:
            standing.shown_fresh = standing.fresh(now.mono_s)
            self.touch(standing)
        if standing.id not in self._waiting:
            self._wait(standing, now.mono_s)

    # --- duty and emergencies

    def set_duty(
        self, name: UnitId, code: int, since_s: float, source: DutySource, incident: str | None = None
    ) -> Standing | None:
        """The latest act wins. Off duty hides the unit and forgets where it was; None for no such unit."""
        standing = self.units.get(name)
        if standing is None:
            return None
        standing.duty = Duty(code, STATES[code], code in self.settings.deployable, time_text(since_s), incident, source)
        standing.known_duty, standing.duty_s = True, since_s
        if standing.hidden and code in BACK_ON_DUTY:
            standing.on_since_s = since_s
        was_hidden, standing.hidden = (
            standing.hidden,
            code == OFF_DUTY or (standing.hidden and code not in BACK_ON_DUTY),
        )
        if standing.hidden:
            self.members.all_on(standing)
            self.engaged.booked_off(standing)
        elif was_hidden:
            self.engaged.booked_on(standing)
        self._settle(standing)
        return standing

    def set_emergency(self, name: UnitId, mark: EmergencyMark | None) -> Standing | None:
        """Show an emergency on its unit, or take it off; None for no such unit."""
        standing = self.units.get(name)
        if standing is not None and standing.emergency != mark:
            standing.emergency = mark
            self._settle(standing)
        return standing

    def _settle(self, standing: Standing) -> None:
        if not standing.on_feed:
            for device in standing.sightings:
                self._unit_of.pop(device, None)
            standing.blank()
        self._rank(standing)
        self.touch(standing)

    def _rank(self, standing: Standing) -> None:
        self.index.rank(standing.row, standing)
        if standing.apart or standing.roll.away:
            self.members.rank(standing)

    def off_duty(self, name: UnitId, person: str | None = None) -> bool:
        """Whether positions of this unit, or of this member of it, are neither shown nor kept."""
        standing = self.units.get(name)
        return standing is not None and (not standing.on_feed or standing.booked_off(person))

    def last_fix(self, name: UnitId | None, device: DeviceId | None) -> Sighting | None:
        """Where that device was last, else its unit."""
        standing = self.units.get(name) if name is not None else None
        if standing is None:
            return None
        return standing.sightings.get(device or "") or standing.live


def _marked(quality: tuple[str, ...], *marks: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*quality, *marks)))
