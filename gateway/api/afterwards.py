"""What goes on record a while after it happened: what a sitting has seen, and how many log-ins failed in a minute."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from aiohttp import web

from gateway.domain.evidence import Act
from gateway.errors import GatewayError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.rows import Exhibit
from gateway.evidence.work.playback import Played, Sitting

SITTING = timedelta(minutes=15)
"""What one person in one session does within this of the last time is one sitting (contracts section 5)."""
A_MINUTE = timedelta(minutes=1)
MOST_PLAYED = 10_000
MOST_NAMED = 20
_log = structlog.get_logger()


class Playbacks:
    """What each sitting was sent of a recording, until it ends."""

    def __init__(self) -> None:
        self._open: dict[Sitting, Played] = {}
        self._ended: list[tuple[Sitting, Played]] = []

    def sent(self, sitting: Sitting, row: Exhibit, start: int, end: int) -> None:
        """Take up bytes that were handed over."""
        now = datetime.now(UTC)
        played = self._open.get(sitting)
        if played is None:
            if len(self._open) >= MOST_PLAYED:
                self._end(min(self._open, key=lambda each: self._open[each].last_at))
            played = self._open[sitting] = Played(row.size or 0, row.duration_s, now, now)
        played.sent(start, end, now)
        if played.full:
            self._end(sitting)

    def over(self, now: datetime | None) -> list[tuple[Sitting, Played]]:
        """What has ended and is not on record yet; without a time everything has."""
        over = [each for each, played in self._open.items() if now is None or now - played.last_at >= SITTING]
        for sitting in over:
            self._end(sitting)
        return list(self._ended)

    def written(self, sitting: Sitting, played: Played) -> None:
        """It is on record."""
        self._ended.remove((sitting, played))

    def _end(self, sitting: Sitting) -> None:
        self._ended.append((sitting, self._open.pop(sitting)))
        if len(self._ended) > MOST_PLAYED:
            dropped, _ = self._ended.pop(0)
            _log.error(
                "playback_dropped", exhibit=dropped.exhibit, account=dropped.account, why="the log is not written"
            )


class Failures:
    """Failed log-ins: the first at once, then one entry a minute with their count. What was presented is not kept."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._from: Counter[str] = Counter()
        self._accounts: Counter[str] = Counter()
        self._attempts = 0
        self._last: datetime | None = None

    def note(self, presented: str, account: str | None, remote: str | None) -> None:
        """Count one; whom nobody knows gets a pseudonym, the same for the same text while this process runs."""
        named = account or "unknown-" + hmac.new(self._key, presented.encode(), hashlib.sha256).hexdigest()[:8]
        self._attempts += 1
        for counter, name in ((self._accounts, named), (self._from, remote or "unknown")):
            counter[name if name in counter or len(counter) < MOST_NAMED else "others"] += 1

    def take(self, now: datetime) -> Act | None:
        """The entry to write now, of all that were counted; None where there is none yet."""
        if not self._attempts or (self._last is not None and now - self._last < A_MINUTE):
            return None
        detail: dict[str, Any] = {"act": "sign_in", "attempts": self._attempts}
        detail |= {"account": dict(self._accounts), "from": dict(self._from)}
        self._last, self._attempts = now, 0
        self._accounts.clear()
        self._from.clear()
        return Act("login_failed", "unknown", detail=detail)

    def put_back(self, act: Act) -> None:
        """The log would not take it now: it is told of with the next."""
        self._attempts += act.detail["attempts"]
        self._accounts.update(act.detail["account"])
        self._from.update(act.detail["from"])


PLAYBACKS = web.AppKey("playbacks", Playbacks)
FAILURES = web.AppKey("failures", Failures)


async def write_failures(custody: CustodyLog, failures: Failures, now: datetime) -> None:
    """Put failed log-ins on record where it is time; a log that will not now gets them with the next."""
    act = failures.take(now)
    if act is None:
        return
    try:
        await custody.record(act)
    except BaseException as problem:
        failures.put_back(act)  # told of twice, if need be, and not lost
        if not isinstance(problem, GatewayError):
            raise
        _log.error("login_failed_not_recorded", problem=str(problem))


async def write_playbacks(custody: CustodyLog, playbacks: Playbacks, now: datetime | None) -> None:
    """Put on record what sittings that have ended were sent; without a time, all. What fails comes next time."""
    for sitting, played in playbacks.over(now):
        try:
            await custody.record(played.act(sitting))
        except GatewayError as problem:
            _log.error("playback_not_recorded", exhibit=sitting.exhibit, problem=str(problem))
            return
        playbacks.written(sitting, played)
