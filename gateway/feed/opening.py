"""What an open emergency shows of other agencies' units, by the rule agreed on; when that begins and ends. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from gateway.domain.ids import DeviceId, UnitId
from gateway.domain.time import Instant
from gateway.feed.agreement import Agreement
from gateway.feed.board import Board
from gateway.feed.emergencies import Emergency
from gateway.feed.sharing import Sharing
from gateway.feed.view import Opened, Sight
from gateway.feed.wording import time_text
from gateway.ports import Directory

LOOK_EVERY_S = 1.0
STAYS = 1.2
"""Who was near enough stays shown until so many times the distance: nobody flickers on the edge."""


class Shown(msgspec.Struct, frozen=True):
    """The word that an emergency shows units to another agency: from now on, more of them, or no longer.

    units: those shown now; at the end, all that ever were.
    """

    what: Literal["begin", "more", "end"]
    at: str
    emergency: str
    consumer: str
    owner: str
    within_m: float
    units: tuple[str, ...]


class _Window(msgspec.Struct):
    agreement: Agreement
    emergency: str
    now: set[UnitId]
    ever: set[UnitId]


Key = tuple[str, int]


class Opening:
    """Looks at open emergencies and agreements; what is shown changes in the sharing itself."""

    def __init__(self, board: Board, sharing: Sharing, directory: Directory) -> None:
        self._board, self._sharing, self._directory = board, sharing, directory
        self._windows: dict[Key, _Window] = {}
        self._looked_s = float("-inf")
        self._numbers: list[str] = []
        self.told: Callable[[Shown], None] = lambda _shown: None

    def look(self, emergencies: Iterable[Emergency], now: Instant) -> None:
        """Now and then, and at once where an emergency is raised or over."""
        rules = [(n, each) for n, each in enumerate(self._sharing.agreements) if each.when == "emergency"]
        if not (rules or self._windows):
            return
        found = list(emergencies)
        numbers = [one.id for one in found]
        if numbers == self._numbers and now.mono_s - self._looked_s < LOOK_EVERY_S:
            return
        self._looked_s, self._numbers = now.mono_s, numbers
        at = time_text(now.utc.timestamp())
        due = {(one.id, n): (rule, one) for n, rule in rules for one in found if self._applies(rule, one)}
        for key in self._windows.keys() - due.keys():
            self._say("end", self._windows.pop(key), at)
        for key, (rule, one) in due.items():
            self._turn(key, rule, one, at)
        self._settle()

    def _applies(self, rule: Agreement, one: Emergency) -> bool:
        return self._place(one) is not None and (not rule.of or self._agency(one) in rule.of)

    def _agency(self, one: Emergency) -> str | None:
        """Whose emergency it is, as far as anybody knows."""
        standing = self._board.units.get(UnitId(one.unit)) if one.unit is not None else None
        if standing is not None:
            return standing.roll.unit.agency
        person = self._directory.person(one.person) if one.person is not None else None
        if person is not None:
            return person.agency
        device = self._directory.device(DeviceId(one.device)) if one.device is not None else None
        return None if device is None else device.agency

    def _place(self, one: Emergency) -> tuple[float, float] | None:
        """Where it is now: its unit's live position, else (who pressed is away from it too) the place last told."""
        standing = self._board.units.get(UnitId(one.unit)) if one.unit is not None else None
        with_unit = standing is not None and (one.place is None or standing.roll.shows(one.person))
        if standing is not None and standing.live is not None and with_unit:
            return standing.live.fix.latitude, standing.live.fix.longitude
        return None if one.place is None else (one.place.latitude, one.place.longitude)

    def _turn(self, key: Key, rule: Agreement, one: Emergency, at: str) -> None:
        known = self._windows.get(key)
        window = known or _Window(rule, one.id, set(), set())
        window.now = set(self._near(window, self._place(one)))
        more = not window.now <= window.ever
        window.ever |= window.now
        self._windows[key] = window
        if known is None or more:
            self._say("begin" if known is None else "more", window, at)

    def _near(self, window: _Window, place: tuple[float, float] | None) -> Iterator[UnitId]:
        rule, index = window.agreement, self._board.index
        if place is None or rule.within_m is None:
            return
        rows = index.rows
        chosen = index.chosen((rule.owner,), rule.role, rule.power, rule.zone, rows)
        meant = chosen & index.near(*place, rule.within_m * STAYS, rows)
        for name in dict.fromkeys(index.named(meant)):
            row = self._board.units[name].row  # a member who is away has one too: the unit is what is shown
            near = meant[row] and (name in window.now or index.near(*place, rule.within_m, rows)[row])
            if near and name not in self._board.masked:
                yield name

    def _say(self, what: Literal["begin", "more", "end"], window: _Window, at: str) -> None:
        rule = window.agreement
        units = sorted(window.ever if what == "end" else window.now)
        within_m = rule.within_m or 0.0
        self.told(Shown(what, at, window.emergency, rule.consumer, rule.owner, within_m, tuple(units)))

    def _settle(self) -> None:
        """Show what is shown now, and take away what no longer is: each such unit goes out anew."""
        shown: Opened = {}
        for window in self._windows.values():
            sight = Sight(frozenset(window.agreement.without), f"emergency {window.emergency}")
            for name in window.now:
                shown.setdefault((window.agreement.consumer, name), sight)
        before = dict(self._sharing.opened)
        self._sharing.opened.clear()
        self._sharing.opened.update(shown)
        for key in before.keys() | shown.keys():
            if before.get(key) != shown.get(key) and (standing := self._board.units.get(key[1])) is not None:
                self._board.touch(standing)
