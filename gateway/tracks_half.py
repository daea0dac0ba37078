"""Position history put together: what the board takes goes to disk, and back onto the board after a restart."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from gateway.domain.events import Origin, PositionReport
from gateway.domain.ids import DeviceId, Issi
from gateway.domain.position import Fix
from gateway.domain.time import Instant, Stamp
from gateway.errors import GatewayError, RefusedError
from gateway.feed.feed import Feed
from gateway.feed.past import PastFix, moment
from gateway.feed.trail import Trail
from gateway.pipeline.resolve import resolve
from gateway.ports import Clock, Directory, Resolved
from gateway.settings import Settings
from gateway.store.tracks import TrackStore

FIXES_MAX = 500_000
RECALL = timedelta(hours=1)
RECALLED_ROWS = 200_000
FOLDER = "tracks"


def milliseconds(at: datetime) -> int:
    """A time as milliseconds since 1970."""
    return round(at.timestamp() * 1000)


class TracksHalf:
    """The history as queries and metrics see it; trail None where nothing is kept."""

    def __init__(self, store: TrackStore, trail: Trail | None, days: int) -> None:
        self._store, self._trail, self._days = store, trail, days
        self.masked: Callable[[str], bool] = lambda _unit: False

    def hidden(self, unit: str) -> bool:
        """Whether the unit is masked (covert): nothing of it is kept or told."""
        return self.masked(unit)

    @property
    def lasting(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """What runs as long as the gateway does."""
        return [] if self._trail is None else [self._trail.run]

    def stats(self) -> dict[str, int]:
        """Plain counters."""
        return {} if self._trail is None else self._trail.stats()

    def track(self, unit: str, since: datetime, until: datetime) -> list[PastFix] | None:
        """Fixes of a span by time; None for a unit that has no history. RefusedError 422: too many to be read."""
        return None if self.masked(unit) else track_of(self._store, unit, since, until)


def track_of(store: TrackStore, unit: str, since: datetime, until: datetime) -> list[PastFix]:
    """One unit's fixes; RefusedError 422 where the span holds too many."""
    found = store.track(unit, milliseconds(since), milliseconds(until), FIXES_MAX + 1)
    if len(found) > FIXES_MAX:
        raise RefusedError(422, f"more than {FIXES_MAX} fixes: ask for a shorter span")
    return found


def track_store(data: Path) -> TrackStore:
    """Where the history lies."""
    return TrackStore(data / FOLDER)


def forget(data: Path, spans: Iterable[tuple[str, datetime, datetime]]) -> int:
    """What is destroyed in the journal is not to be looked at here either. Owners as the journal has them."""
    store, gone = track_store(data), 0
    for owner, since, until in spans:
        device = owner.removeprefix("device:").replace("issi:", "issi-", 1)
        gone += store.forget(device, milliseconds(since), milliseconds(until))
    return gone


async def tracks_half(
    stack: contextlib.AsyncExitStack, settings: Settings, roster: Directory, feed: Feed, clock: Clock
) -> TracksHalf:
    """Open the feed with where everybody was last, and note from then on what it takes."""
    store, days = track_store(settings.data), settings.feed.track_days
    stack.callback(store.close)
    trail = Trail(feed.board, roster, store, days, clock) if days else None

    async def recall(now: Instant) -> None:
        await _recall(store, (roster, feed), now)

    if trail is not None:
        stack.push_async_callback(trail.write)
        feed.recall = recall
    await feed.open()
    stack.push_async_callback(feed.close)
    half = TracksHalf(store, trail, days)
    if trail is not None:
        feed.board.placed = trail.note
        trail.masked = half.hidden
    return half


async def _recall(store: TrackStore, known: tuple[Directory, Feed], now: Instant) -> None:
    """Put the last positions back, as old as they are; history that can't be read delays no feed."""
    roster, feed = known
    try:
        since = milliseconds(now.utc - RECALL)
        for past in await asyncio.to_thread(store.latest, since, RECALLED_ROWS):
            who = resolve(roster, _origin(past), now.utc)
            if who.unit == past.unit and past.arrived_ms <= milliseconds(now.utc):
                feed.board.place(report_of(past, _then(past, now)), who, quality_of(past))
    except (GatewayError, OSError) as problem:
        structlog.get_logger().error("the last positions can't be read", problem=str(problem))
    feed.board.counts.clear()


def _origin(past: PastFix) -> Origin:
    kind, _, number = past.device.partition("-")
    if kind == "issi" and number.isdigit():
        return Origin("history", issi=Issi(int(number)))
    return Origin("history", DeviceId(past.device))


def _then(past: PastFix, now: Instant) -> Instant:
    """When it arrived, on both clocks."""
    at = moment(past.arrived_ms)
    return Instant(now.mono_s - (now.utc - at).total_seconds(), at)


def report_of(past: PastFix, arrived: Instant) -> PositionReport:
    """The report that it was, arriving then."""
    fix = Fix(past.latitude, past.longitude, past.accuracy_m, past.altitude_m, past.speed_mps, past.heading_deg)
    stamp = Stamp(arrived, moment(past.told_ms), past.time_quality)
    return PositionReport(_origin(past), stamp, fix, past.source, late=past.mark == "late")


def who_of(past: PastFix) -> Resolved:
    """Whose it was."""
    return Resolved(unit=past.unit, person=past.person, device=DeviceId(past.device))  # type: ignore[arg-type]


def quality_of(past: PastFix) -> tuple[str, ...]:
    """The marks of its quality."""
    return tuple(past.quality.split(",")) if past.quality else ()
