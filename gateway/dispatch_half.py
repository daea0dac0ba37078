"""Dispatch put together: its tasks on disk, the feed as it sees it, every driver that can send."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from gateway.dispatch.dispatch import Dispatch
from gateway.dispatch.ports import Surroundings
from gateway.domain.events import Reach
from gateway.domain.ids import UnitId
from gateway.feed.emergencies import EmergencyRecord
from gateway.feed.feed import Feed
from gateway.ports import Clock, Downlink, Driver
from gateway.roster.directory import Roster
from gateway.settings import Settings
from gateway.store.roster import RosterStore
from gateway.store.tasks import TaskStore

STALE = frozenset({"stale", "lost", "never"})


class _Shown(msgspec.Struct):
    """Of a unit's Feature, what dispatch asks."""

    fresh: str


class _Feature(msgspec.Struct):
    properties: _Shown


@dataclass(frozen=True)
class Beats:
    """The feed as dispatch sees it."""

    feed: Feed

    def reach(self, unit: str) -> Reach:
        """Whether the unit's terminal can be reached."""
        return self.feed.reach(unit)

    def stale(self, unit: str) -> bool:
        """Whether its position is old or none; one that the feed does not show (off duty) is not looked for."""
        feature = self.feed.unit(unit)
        return feature is not None and msgspec.json.decode(feature, type=_Feature).properties.fresh in STALE

    def duty(self, unit: str) -> tuple[int, str]:
        """The number of the record that last changed its duty, and the state it is in since."""
        standing = self.feed.board.units.get(UnitId(unit))
        return (0, "unknown") if standing is None else (standing.duty_seq, standing.duty.state)

    def emergencies(self) -> Iterable[EmergencyRecord]:
        """All that are open, and the latest that are over."""
        return self.feed.emergencies()


async def dispatch_half(
    stack: contextlib.AsyncExitStack,
    settings: Settings,
    store: RosterStore,
    known: tuple[Roster, Feed, Clock],
    inputs: dict[str, Driver],
) -> Dispatch:
    """Open dispatch over every driver that can send."""
    roster, feed, clock = known

    def downlinks() -> dict[str, Downlink]:
        sending = {name: getattr(driver, "downlink", None) for name, driver in inputs.items()}
        return {name: link for name, link in sending.items() if link is not None}

    jitter = random.SystemRandom().random
    around = Surroundings(roster, roster.devices, Beats(feed), downlinks, clock, jitter)
    dispatch = Dispatch(settings.dispatch, TaskStore(store.engine), around)
    await dispatch.open()
    stack.push_async_callback(dispatch.close)
    return dispatch
