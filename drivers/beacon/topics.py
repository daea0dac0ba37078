"""Which device a topic names."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.domain.events import Origin
from gateway.domain.ids import DeviceId, device_id
from gateway.errors import WireError

TOPICS = ("owntracks/+/+", "owntracks/+/+/event", "lapel/v1/beacon/+/position")
_KNOWN_TOPICS = 4096


class Topics:
    """Which level of a topic names the device: the first `+` of the filter that matches it."""

    def __init__(self, filters: Sequence[str] = TOPICS, via: str = "mqtt") -> None:
        self._filters = [_levels(one) for one in filters]
        self._via = via
        self._known: dict[str, Origin | WireError] = {}

    def origin(self, topic: str) -> Origin:
        """Name the sender; WireError when no filter matches or the level is no device id."""
        found = self._known.get(topic)
        if found is None:
            if len(self._known) >= _KNOWN_TOPICS:
                self._known.clear()
            found = self._known[topic] = self._find(topic.split("/"))
        if isinstance(found, WireError):
            raise found
        return found

    def device(self, topic: str) -> DeviceId | None:
        """Name the sending device where the topic does."""
        try:
            return self.origin(topic).device
        except WireError:
            return None

    def anyone(self) -> Origin:
        """Stand for a sender that named itself wrongly."""
        return Origin(via=self._via)

    def _find(self, levels: list[str]) -> Origin | WireError:
        for one in self._filters:
            if _matches(one, levels):
                try:
                    return Origin(via=self._via, device=device_id(levels[one.index("+")]))
                except ValueError as problem:
                    return WireError(f"topic: {problem}")
        return WireError("topic: matches none of the driver's topics")


def _levels(topic_filter: str) -> list[str]:
    """Split a filter, without the two levels of a shared subscription; ValueError where no level is `+`."""
    levels = topic_filter.split("/")
    if levels[0] == "$share":
        levels = levels[2:]
    if "+" not in levels:
        raise ValueError(f"{topic_filter!r} has no '+' level to name the device")
    return levels


def _matches(one: list[str], levels: list[str]) -> bool:
    """Match levels with a filter (MQTT 3.1.1 clause 4.7)."""
    if one[-1] == "#":
        one, levels = one[:-1], levels[: len(one) - 1]
    return len(one) == len(levels) and all(a in ("+", b) for a, b in zip(one, levels, strict=True))
