"""Zones and the rules over them, from the file that the configuration names."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

from gateway.errors import ConfigError
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings, MapSettings
from gateway.feed.zone_cover import CoverRule
from gateway.feed.zones import KEY, Naming, Zone, parse


def read_zones(settings: FeedSettings, drawn: MapSettings) -> tuple[Zone, ...]:
    """The zones of the file; ConfigError names file and feature, or the rule whose zone there is not."""
    if drawn.zones is None:
        if settings.coverage:
            raise ConfigError("feed.coverage[0].zone", "there are no zones: name their file as [map] zones")
        return ()
    try:
        text = Path(drawn.zones).read_bytes()
    except OSError as wrong:
        raise ConfigError(KEY, f"cannot be read: {wrong.strerror}", drawn.zones) from wrong
    zones = parse(text, drawn.zones, Naming(drawn.zone_id, drawn.zone_name, drawn.zone_kind))
    _check_rules(settings.coverage, drawn.zones, [zone.id for zone in zones])
    return zones


def _check_rules(rules: Sequence[CoverRule], file: str, ids: list[str]) -> None:
    seen: set[str] = set()
    for number, rule in enumerate(rules):
        key = f"feed.coverage[{number}]"
        if rule.zone not in ids:
            near = difflib.get_close_matches(rule.zone, ids, n=1, cutoff=0.6)
            guess = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(f"{key}.zone", f"no zone {rule.zone!r} in {file}{guess}")
        if rule.key in seen:
            raise ConfigError(key, f"a rule for {rule.key!r} stands twice")
        seen.add(rule.key)


def zones_half(settings: FeedSettings, drawn: MapSettings, feed: Feed) -> None:
    """Give the feed its zones, before it opens."""
    feed.zoning.take_up(read_zones(settings, drawn), settings.coverage)
