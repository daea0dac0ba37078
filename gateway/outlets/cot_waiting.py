"""What a TAK server must still be told: emergencies first, then tracks to drop, then each unit's latest. Pure.

A TAK server acknowledges nothing. So an emergency is told again and again while it lasts, and all
over on each new connection; its cancellation on each for as long as an alert that missed it would show.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec
import structlog

from gateway.domain.time import Instant
from gateway.outlets import cot

CANCELS_KEPT = 1_000
CANCEL_TIMES = 3
DROPS_KEPT = 10_000
KEPT_S = cot.ALERT_S
COUNTED = ("positions", "alerts", "cancels", "drops", "coalesced", "unplaced", "unreadable", "unencodable")
_log = structlog.get_logger()


class Snapshot(msgspec.Struct, frozen=True):
    """Where a stream begins anew."""

    features: tuple[cot.Unit, ...]
    emergencies: tuple[cot.Emergency, ...]


class Removed(msgspec.Struct, frozen=True):
    """A unit that this server may no longer see."""

    unit: str


class Alert(msgspec.Struct, eq=False):
    """What is told under one uid: the emergencies that are open there, by id, and the latest word."""

    latest: cot.Emergency
    open: set[str]
    times: int = 0
    told_s: float = 0.0
    first_cancel_s: float | None = None


class Dropped(NamedTuple):
    """A track taken away, and when the server was first told so."""

    unit: cot.Unit
    told_s: float


_UNIT, _EMERGENCY = msgspec.json.Decoder(cot.Unit), msgspec.json.Decoder(cot.Emergency)
_SNAPSHOT, _REMOVED = msgspec.json.Decoder(Snapshot), msgspec.json.Decoder(Removed)


class Waiting:
    """One server's: records of the feed in, events out one by one, the most urgent first."""

    def __init__(self, look: cot.Look, repeat_s: float) -> None:
        self._look, self._repeat_s = look, repeat_s
        self._units: dict[str, cot.Unit] = {}
        self._due: dict[str, None] = {}
        self._shown: dict[str, cot.Unit] = {}
        self._drops: dict[str, cot.Unit] = {}
        self._dropped: dict[str, Dropped] = {}
        self._alerts: dict[str, Alert] = {}
        self.counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))

    @property
    def pending(self) -> int:
        """Positions and drops that wait."""
        return len(self._due) + len(self._drops)

    @property
    def untold(self) -> int:
        """Emergencies and cancellations that this connection was never told."""
        return sum(not alert.times for alert in self._alerts.values())

    # --- in

    def take(self, event: str, payload: bytes) -> None:
        """One record of the feed; what can't be read is counted and costs itself alone."""
        try:
            if event == "position":
                self._unit(_UNIT.decode(payload))
            elif event == "emergency":
                self._emergency(_EMERGENCY.decode(payload))
            elif event == "removed":
                self._gone(_REMOVED.decode(payload).unit)
            elif event == "snapshot":
                self._anew(_SNAPSHOT.decode(payload))
        except msgspec.DecodeError:
            self.counts["unreadable"] += 1

    def _unit(self, unit: cot.Unit) -> None:
        self._units[unit.id] = unit
        self._drops.pop(unit.id, None)
        if not unit.placed:
            self.counts["unplaced"] += 1
            return
        self.counts["coalesced"] += unit.id in self._due
        self._due[unit.id] = None

    def _gone(self, name: str) -> None:
        self._units.pop(name, None)
        self._due.pop(name, None)
        shown = self._shown.pop(name, None)
        if shown is not None:
            self._drops[name] = shown

    def _emergency(self, emergency: cot.Emergency) -> None:
        name = cot.alert_uid(emergency)
        self._renamed(emergency.id, name)
        alert = self._alerts.get(name)
        if alert is None:
            alert = self._alerts[name] = Alert(emergency, set())
        if emergency.state == "cleared":
            self._over(alert, emergency)
            self._forget_cancels()
        else:
            if emergency.id not in alert.open:  # news, also where another of this unit is open or was just cleared
                alert.times, alert.first_cancel_s = 0, None
            alert.open.add(emergency.id)
            alert.latest = emergency

    def _renamed(self, number: str, name: str) -> None:
        """Whose it is was learnt, or corrected, since: the alert under its former name is over."""
        for other, alert in self._alerts.items():
            if other != name and number in alert.open:
                self._over(alert, msgspec.structs.replace(alert.latest, id=number, state="cleared"))

    def _over(self, alert: Alert, emergency: cot.Emergency) -> None:
        was_open = emergency.id in alert.open
        alert.open.discard(emergency.id)
        if not alert.open and was_open:
            alert.latest, alert.times, alert.first_cancel_s = emergency, 0, None

    def _forget_cancels(self) -> None:
        over = [name for name, alert in self._alerts.items() if not alert.open]
        for name in over[: max(0, len(over) - CANCELS_KEPT)]:
            del self._alerts[name]
            self.counts["cancels_forgotten"] += 1

    def _anew(self, whole: Snapshot) -> None:
        """The whole truth: what it does not name is gone, or over."""
        for name in (self._units.keys() | self._shown.keys()) - {unit.id for unit in whole.features}:
            self._gone(name)
        for unit in whole.features:
            self._unit(unit)
        still = {emergency.id for emergency in whole.emergencies}
        for alert in self._alerts.values():
            for gone in alert.open - still:
                self._over(alert, msgspec.structs.replace(alert.latest, id=gone, state="cleared"))
        for emergency in whole.emergencies:
            self._emergency(emergency)

    # --- out

    def connected(self, now: Instant) -> None:
        """A new connection: it may be a new server, that has seen nothing."""
        self._due = {name: None for name, unit in self._units.items() if unit.placed}
        for alert in self._alerts.values():
            alert.times = 0
        self._dropped = {n: one for n, one in self._dropped.items() if now.mono_s - one.told_s < KEPT_S}
        again = {name: one.unit for name, one in self._dropped.items() if name not in self._units}
        self._drops = {**again, **self._drops}

    def next(self, now: Instant) -> bytes | None:
        """The event to send now; None for nothing."""
        return self._next_alert(now) or self._next_drop(now) or self._next_position()

    def _next_alert(self, now: Instant) -> bytes | None:
        for name, alert in list(self._alerts.items()):
            since_s = alert.first_cancel_s
            if since_s is not None and now.mono_s - since_s >= KEPT_S:
                del self._alerts[name]
            elif self._is_due(alert, now.mono_s):
                return self._told(alert, now)
        return None

    def _is_due(self, alert: Alert, now_s: float) -> bool:
        if alert.times == 0:
            return True
        return (bool(alert.open) or alert.times < CANCEL_TIMES) and now_s - alert.told_s >= self._repeat_s

    def _told(self, alert: Alert, now: Instant) -> bytes:
        alert.times, alert.told_s = alert.times + 1, now.mono_s
        emergency = alert.latest
        unit = self._units.get(emergency.unit) if emergency.unit is not None else None
        make = cot.alert
        if not alert.open:
            make = cot.cancelled
            alert.first_cancel_s = now.mono_s if alert.first_cancel_s is None else alert.first_cancel_s
        self.counts["alerts" if alert.open else "cancels"] += 1
        try:
            return make(emergency, unit, self._look, now.utc)
        except Exception as defect:  # noqa: BLE001 - what is wrong with its unit must not silence an emergency
            self._unencodable(cot.alert_uid(emergency), defect)
            return make(emergency, None, self._look, now.utc)

    def _next_drop(self, now: Instant) -> bytes | None:
        if not self._drops:
            return None
        name, unit = next(iter(self._drops.items()))
        del self._drops[name]
        self._dropped.setdefault(name, Dropped(unit, now.mono_s))
        while len(self._dropped) > DROPS_KEPT:
            del self._dropped[next(iter(self._dropped))]
        self.counts["drops"] += 1
        return cot.dropped(unit, self._look, now.utc)

    def _next_position(self) -> bytes | None:
        if not self._due:
            return None
        name = next(iter(self._due))
        del self._due[name]
        unit = self._shown[name] = self._units[name]
        self._dropped.pop(name, None)
        self.counts["positions"] += 1
        try:
            return cot.position(unit, self._look)
        except Exception as defect:  # noqa: BLE001 - a unit that nobody foresaw costs itself, not all others for ever
            self._unencodable(name, defect)
            return None

    def _unencodable(self, name: str, defect: Exception) -> None:
        self.counts["unencodable"] += 1
        _log.error("cot_unencodable", about=name, problem=f"{type(defect).__name__}: {defect}")
