"""The feed out over MQTT, put together from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.domain.time import rfc3339
from gateway.feed.feed import Feed
from gateway.feed.mqtt_out import FeedOut, Outlet, Where
from gateway.feed.seen import Seen
from gateway.feed.status import Condition, InputNote
from gateway.host_clock import clock_note
from gateway.ports import Clock, InputHealth
from gateway.settings import Settings

FEED_OUT = "feed-out"


class Rounds:
    """How the gateway is; asked for before it is put together whole, so what it asks is given afterwards."""

    def __init__(self) -> None:
        self.inputs: Callable[[], Mapping[str, InputHealth]] = dict
        self.parts: Callable[[], dict[str, str]] = dict

    def __call__(self) -> Condition:
        """As it is now."""
        heard = {name: each for name, each in self.inputs().items() if not is_out(name)}
        notes = {name: InputNote(each.state, rfc3339(each.last) if each.last else None) for name, each in heard.items()}
        return Condition(notes, self.parts(), clock_note())


def is_out(name: str) -> bool:
    """Whether an input of that name is a way out."""
    return name == FEED_OUT or name.startswith(f"{FEED_OUT}-")


def feed_out(
    settings: Settings, feed: Feed, clock: Clock, outlet: Callable[[str], Outlet]
) -> tuple[dict[str, FeedOut], Rounds]:
    """The feed's ways out over the broker, by name: for all agencies and for each of mqtt_for, over a link of its own.

    Nothing where `[feed] mqtt` is off.
    """
    rounds = Rounds()
    if not settings.feed.mqtt:
        return {}, rounds
    instance = settings.gateway.instance
    ways = {FEED_OUT: FeedOut(feed, outlet(instance), clock, instance, rounds)}
    for agency in settings.feed.mqtt_for:
        seen, link = Seen(feed, feed.sharing.view(agency, masked=False)), outlet(f"{instance}-{agency}")
        ways[f"{FEED_OUT}-{agency}"] = FeedOut(seen, link, clock, instance, rounds, Where.of_agency(agency))
    return ways, rounds
