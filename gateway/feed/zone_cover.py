"""Rules of the kind "no unit with this power in this zone": when one comes true, and when no longer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec

from gateway.domain.time import Instant
from gateway.feed.wording import time_text

Word = Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class CoverRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One [[feed.coverage]]: a zone that is to have a unit with a power, of any of the agencies if some are named."""

    zone: Word
    power: Word
    agencies: tuple[str, ...] = ()
    after_s: Annotated[float, msgspec.Meta(ge=0)] = 60.0

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return " ".join((self.zone, self.power, *self.agencies))


class ZoneCover(msgspec.Struct, frozen=True):
    """A rule and how it stands; `covered` is null until that is known, `since` when it became so."""

    zone: str
    power: str
    agencies: tuple[str, ...]
    covered: bool | None
    since: str | None


class CoverRecord(msgspec.Struct, frozen=True):
    """The record on the feed that a zone is covered, or no longer."""

    v: int
    seq: int
    zone: str
    power: str
    agencies: tuple[str, ...]
    covered: bool
    since: str


class _State(msgspec.Struct):
    rule: CoverRule
    covered: bool | None = None
    since: str | None = None
    empty_mono_s: float | None = None


class Covers:
    """Every rule's state. A zone is uncovered once nobody was there for `after_s`, and covered at once."""

    def __init__(self, rules: Sequence[CoverRule], anybody: Callable[[CoverRule, Instant], bool]) -> None:
        self._states = [_State(rule) for rule in rules]
        self._anybody = anybody

    def look(self, now: Instant) -> list[tuple[CoverRule, ZoneCover]]:
        """The rules whose state has changed."""
        return [(state.rule, _told(state)) for state in self._states if self._changed(state, now)]

    def _changed(self, state: _State, now: Instant) -> bool:
        if self._anybody(state.rule, now):
            state.empty_mono_s, covered = None, True
        else:
            if state.empty_mono_s is None:
                state.empty_mono_s = now.mono_s
            if now.mono_s - state.empty_mono_s < state.rule.after_s:
                return False
            covered = False
        if state.covered == covered:
            return False
        state.covered, state.since = covered, time_text(now.utc.timestamp())
        return True

    def all(self) -> tuple[ZoneCover, ...]:
        """Each rule as it stands."""
        return tuple(_told(state) for state in self._states)

    @property
    def uncovered(self) -> int:
        """How many rules' zones have nobody."""
        return sum(state.covered is False for state in self._states)


def _told(state: _State) -> ZoneCover:
    rule = state.rule
    return ZoneCover(rule.zone, rule.power, rule.agencies, state.covered, state.since)
