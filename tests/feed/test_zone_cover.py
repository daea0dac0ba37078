"""Rules over zones: uncovered after a while, covered at once."""

from __future__ import annotations

import msgspec
import pytest

from gateway.feed.zone_cover import CoverRule, Covers
from tests.feed.shift import SetClock

RULE = CoverRule("a", "pcn", after_s=60)


class Scene:
    """One rule, somebody or nobody."""

    def __init__(self) -> None:
        self.there, self.clock = False, SetClock()
        self.covers = Covers([RULE], lambda _rule, _now: self.there)

    def look(self, on_s: float = 1) -> list[bool | None]:
        """What has changed some seconds on."""
        return [cover.covered for _, cover in self.covers.look(self.clock.on(on_s))]


def test_a_start_says_nothing_before_its_time() -> None:
    """Units have no positions yet when the gateway begins."""
    scene = Scene()
    assert (scene.look(), scene.covers.all()[0].covered) == ([], None)
    assert scene.look(59) == []
    assert scene.look(1) == [False]
    assert (scene.look(), scene.covers.uncovered) == ([], 1)


def test_covered_at_once_and_not_lost_by_a_moment() -> None:
    """Somebody who is away for less than after_s changes nothing."""
    scene = Scene()
    scene.there = True
    assert scene.look() == [True]
    scene.there = False
    assert (scene.look(), scene.look(58)) == ([], [])
    scene.there = True
    assert (scene.look(), scene.covers.uncovered) == ([], 0)
    scene.there = False
    assert (scene.look(), scene.look(59), scene.look(1)) == ([], [], [False])
    assert scene.covers.all()[0].since == "2026-11-21T21:02:02Z"


@pytest.mark.parametrize("wrong", [{"zone": ""}, {"after_s": -1}, {"agency": "PCC"}, {"power": 7}])
def test_a_rule_is_closed(wrong) -> None:
    """What it does not know it refuses."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"zone": "a", "power": "pcn", **wrong}, CoverRule)
