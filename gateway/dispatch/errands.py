"""Messages to a radio that are no task: location requests, reporting intervals, a word to the officer."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec
import structlog

from gateway.dispatch.ports import Surroundings
from gateway.dispatch.settings import DispatchSettings
from gateway.dispatch.share import Share
from gateway.dispatch.turns import Turns
from gateway.domain.backoff import Backoff
from gateway.domain.ids import Issi
from gateway.errors import GatewayError, LinkError
from gateway.ports import Outgoing

MOST = 1_000


class Errand(msgspec.Struct, eq=False):
    """A message to go out, and who is told whether it did. Tries count those that a radio refused."""

    message: Outgoing
    done: Callable[[bool], None]
    until_s: float
    backoff: Backoff
    tries: int = 0


class Errands:
    """One a key: a newer one takes the place of an older."""

    def __init__(self, settings: DispatchSettings, around: Surroundings, share: Share, counts: Counter[str]) -> None:
        self._settings, self._around, self._share, self._counts = settings, around, share, counts
        self._errands: dict[str, Errand] = {}
        self._asked_s: dict[Issi, float] = {}
        self.turns = Turns(around.clock, self._turn)

    def under_way(self, key: str) -> bool:
        """Whether one of this key is waiting or being sent."""
        return key in self._errands

    def add(self, key: str, message: Outgoing, done: Callable[[bool], None] = lambda _sent: None) -> None:
        """Send it as soon as may be; done(False) when it was given up."""
        if key not in self._errands and len(self._errands) >= MOST:
            self._counts["errands_dropped"] += 1
            went_out = False
            done(went_out)
            return
        now_s, chosen = self._around.clock.now().mono_s, self._settings
        backoff = Backoff(chosen.retry_first_s, chosen.retry_cap_s, float("inf"))
        self._errands[key] = Errand(message, done, now_s + chosen.patience_s, backoff)
        self.turns.at(key, now_s)

    def locate(self, issi: Issi) -> None:
        """Ask a terminal where it is, not oftener than may be."""
        now_s = self._around.clock.now().mono_s
        if now_s - self._asked_s.get(issi, float("-inf")) < self._settings.locate_every_s:
            return
        self._asked_s = {key: at for key, at in self._asked_s.items() if now_s - at < self._settings.locate_every_s}
        self._asked_s[issi] = now_s
        self.add(f"locate {issi}", Outgoing(f"locate/{issi}", issi, "location_request"))

    async def _turn(self, key: str) -> None:
        errand = self._errands.get(key)
        if errand is None:
            return
        now_s = self._around.clock.now().mono_s
        if now_s > errand.until_s or errand.tries >= self._settings.attempts:
            self._finished(key, errand, sent=False)
            return
        try:
            async with asyncio.timeout(self._settings.patience_s):
                await self._share.send(errand.message)
        except LinkError:
            self.turns.at(key, now_s + errand.backoff.next_s(0.0, self._around.jitter()))
        except Exception as problem:  # noqa: BLE001 - a refusal, or one terminal's defect: it costs this errand a try
            if not isinstance(problem, (GatewayError, TimeoutError)):
                structlog.get_logger().exception("downlink_defect", errand=key)
            errand.tries += 1
            self.turns.at(key, now_s + errand.backoff.next_s(0.0, self._around.jitter()))
        else:
            self._finished(key, errand, sent=True)

    def _finished(self, key: str, errand: Errand, *, sent: bool) -> None:
        self._counts[f"errands_{'sent' if sent else 'given_up'}"] += 1
        if self._errands.get(key) is errand:
            del self._errands[key]
            errand.done(sent)
