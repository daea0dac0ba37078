"""Units and zones: who is where as positions go out, who crossed an edge, which zone has nobody who may."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from gateway.domain.time import Instant
from gateway.feed import sse
from gateway.feed.alarm import what_failed
from gateway.feed.areas import Areas
from gateway.feed.board import Board
from gateway.feed.consumer import UnitFrame
from gateway.feed.gate import UNKNOWN_ACCURACY_M
from gateway.feed.hub import Hub
from gateway.feed.members import own_sighting
from gateway.feed.standing import Sighting, Standing
from gateway.feed.view import ORDINARY
from gateway.feed.wanted import Wanted
from gateway.feed.wording import time_text
from gateway.feed.zone_cover import CoverRecord, CoverRule, Covers, ZoneCover
from gateway.feed.zone_rows import ZoneRows
from gateway.feed.zone_shapes import Box, Mask, Shapes
from gateway.feed.zones import Zone

_log = structlog.get_logger()
LOOK_EVERY_S = 1.0
COUNTED = ("zone_crossings", "zone_cover_changes", "zone_faults")


class Crossing(msgspec.Struct, frozen=True):
    """The record that a unit has entered or left a zone; it goes with the position that showed it."""

    v: int
    seq: int
    unit: str
    zone: str
    name: str
    what: Literal["enter", "exit"]
    at: str


class Zoning:
    """Hangs itself into the hub; without zones it does nothing."""

    def __init__(self, board: Board, hub: Hub) -> None:
        self._board, self._hub = board, hub
        self.counts: Counter[str] = Counter()
        self.zones: tuple[Zone, ...] = ()
        self._ids: npt.NDArray[np.object_] = np.array([], np.object_)
        self._shapes = Shapes(())
        self._covers = Covers((), self._anybody)
        self._looked_s = float("-inf")
        hub.zoned = self.moved

    def take_up(self, zones: Sequence[Zone], rules: Sequence[CoverRule]) -> None:
        """These are the zones."""
        self.zones, self._shapes = tuple(zones), Shapes(zones)
        self._ids = np.array([zone.id for zone in zones], np.object_)
        self._board.index.zones = ZoneRows([zone.id for zone in zones])
        self._board.index.areas = Areas([zone.id for zone in zones], self.around)
        self._covers = Covers(rules, self._anybody)

    def around(self, lat: float, lon: float) -> frozenset[str]:
        """The zones that a place is in."""
        if not self.zones:
            return frozenset()
        return frozenset(self._ids[self._shapes.inside(np.array([lon]), np.array([lat]))[0]].tolist())

    # --- who is where

    def moved(self, changed: Sequence[Standing]) -> list[UnitFrame]:
        """Set the zones of units about to go out; the records of those that crossed an edge."""
        if not self.zones or not changed:
            return []
        try:
            self._split([one for one in changed if one.apart])
            return self._moved([one for one in changed if one.zones is None or one.live is not one.zoned])
        except Exception as error:  # noqa: BLE001 - zones may fail as they will: the positions go out
            self._fault(error)
            return []

    def _fault(self, error: Exception) -> None:
        self.counts["zone_faults"] += 1
        _log.error("zones can't be told", problem=what_failed(error))

    def _moved(self, due: list[Standing]) -> list[UnitFrame]:
        placed = [(one, one.live) for one in due if one.live is not None]
        for one in due:
            one.zoned = one.live
            if one.live is None:
                one.zones = ()
        if not placed:
            return []
        rows = np.array([one.row for one, _ in placed])
        kept = self._board.index.zones
        kept.room(int(rows.max()) + 1)
        was, known = kept.inside[rows], kept.known[rows]
        inside = self._settled(was, known, [live for _, live in placed])
        kept.inside[rows], kept.known[rows] = inside, True
        differs = inside != was
        for number in np.flatnonzero(differs.any(axis=1) | ~known).tolist():
            placed[number][0].zones = tuple(self._ids[inside[number]])
        crossed = np.argwhere(differs & known[:, None])
        return [self._crossing(placed[row], zone, entered=bool(inside[row, zone])) for row, zone in crossed.tolist()]

    def _split(self, split: Sequence[Standing]) -> None:
        """Members away from their units are each in the zones of their own position, for `nearest`; none is told of."""
        places = [
            (row, mine)
            for one in split
            for person, row in one.apart.items()
            if (mine := own_sighting(one, person)) is not None
        ]
        if places:
            rows, kept = np.array([row for row, _ in places]), self._board.index.zones
            kept.room(int(rows.max()) + 1)
            lon = np.array([mine.fix.longitude for _, mine in places])
            kept.inside[rows] = self._shapes.inside(lon, np.array([mine.fix.latitude for _, mine in places]))

    def _settled(self, was: Mask, known: Mask, places: Sequence[Sighting]) -> Mask:
        """Where units are now: as before, unless one edge at least is crossed by more than the position is sure of."""
        lon = np.array([place.fix.longitude for place in places])
        lat = np.array([place.fix.latitude for place in places])
        inside = self._shapes.inside(lon, lat)
        differs = (inside != was) & known[:, None]
        for row in np.flatnonzero(differs.any(axis=1)).tolist():
            margin_m = self._margin_m(places[row])
            zones = np.flatnonzero(differs[row]).tolist()
            if all(self._shapes.edge_m(zone, lon[row], lat[row]) < margin_m for zone in zones):
                inside[row] = was[row]
        return inside

    def _margin_m(self, place: Sighting) -> float:
        accuracy_m = place.fix.accuracy_m
        sure_m = UNKNOWN_ACCURACY_M if accuracy_m is None or accuracy_m < 0 else accuracy_m
        return min(sure_m, self._board.settings.zone_edge_m)

    def _crossing(self, placed: tuple[Standing, Sighting], number: int, *, entered: bool) -> UnitFrame:
        standing, live = placed
        self.counts["zone_crossings"] += 1
        zone, seq = self.zones[number], self._hub.sequence.next()
        what: Literal["enter", "exit"] = "enter" if entered else "exit"
        record = Crossing(1, seq, standing.id, zone.id, zone.name, what, time_text(live.fix_s))
        frame = sse.frame(self._hub.sequence.epoch, seq, "zone", msgspec.json.encode(record))
        return UnitFrame(standing.id, seq, frame, f"{standing.id} {zone.id}")

    def members(self) -> dict[str, list[str]]:
        """The units on the feed in each zone."""
        found: dict[str, list[str]] = {zone.id: [] for zone in self.zones}
        for standing in self._board.units.values():
            if standing.on_feed and standing.live is not None:
                for zone in standing.zones or ():
                    found[zone].append(standing.id)
        return found

    def boxes(self) -> list[Box]:
        """West, south, east, north of each zone."""
        return self._shapes.boxes()

    # --- who is not there

    def _anybody(self, rule: CoverRule, now: Instant) -> bool:
        """Whether `nearest` would find somebody who is not masked."""
        wanted = Wanted(lat=0.0, lon=0.0, zone=(rule.zone,), power=(rule.power,), agency=rule.agencies)
        return self._board.index.anybody(wanted, now, self._hub.sharing.rows(ORDINARY))

    def look(self, now: Instant) -> None:
        """Now and then: tell of each rule that has come true, or no longer is."""
        if now.mono_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s = now.mono_s
        try:
            for rule, cover in self._covers.look(now):
                self._tell(rule, cover)
        except Exception as error:  # noqa: BLE001 - as said
            self._fault(error)

    def _tell(self, rule: CoverRule, cover: ZoneCover) -> None:
        self.counts["zone_cover_changes"] += 1
        covered, since = bool(cover.covered), cover.since or ""

        def made(seq: int) -> bytes:
            record = CoverRecord(1, seq, cover.zone, cover.power, cover.agencies, covered, since)
            return msgspec.json.encode(record)

        self._hub.publish("coverage", f"coverage {rule.key}", None, made)
        say = _log.info if covered else _log.warning
        name = "zone_covered" if covered else "zone_uncovered"
        say(name, zone=cover.zone, power=cover.power, agencies=cover.agencies)

    def coverage(self) -> tuple[ZoneCover, ...]:
        """Each rule as it stands."""
        return self._covers.all()

    def stats(self) -> dict[str, int]:
        """Plain counters, and how many rules have nobody now."""
        if not self.zones:
            return {}
        counted = {name: self.counts[name] for name in COUNTED}
        return {**counted, "zones_uncovered": self._covers.uncovered}
