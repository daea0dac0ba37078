"""Zones and the rules over them, from the file that the configuration names."""

from __future__ import annotations

import difflib
from pathlib import Path

from gateway.errors import ConfigError
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.feed.zones import KEY, Naming, Zone, parse


def read_zones(settings: FeedSettings) -> tuple[Zone, ...]:
    """The zones of the file; ConfigError names file and feature, or the rule whose zone there is not."""
    if settings.zones is None:
        if settings.coverage:
            raise ConfigError("feed.coverage[0].zone", "there are no zones: name their file as [feed] zones")
        return ()
    try:
        text = Path(settings.zones).read_bytes()
    except OSError as wrong:
        raise ConfigError(KEY, f"cannot be read: {wrong.strerror}", settings.zones) from wrong
    zones = parse(text, settings.zones, Naming(settings.zone_id, settings.zone_name, settings.zone_kind))
    _check_rules(settings, [zone.id for zone in zones])
    return zones


def _check_rules(settings: FeedSettings, ids: list[str]) -> None:
    seen: set[str] = set()
    for number, rule in enumerate(settings.coverage):
        key = f"feed.coverage[{number}]"
        if rule.zone not in ids:
            near = difflib.get_close_matches(rule.zone, ids, n=1, cutoff=0.6)
            guess = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(f"{key}.zone", f"no zone {rule.zone!r} in {settings.zones}{guess}")
        if rule.key in seen:
            raise ConfigError(key, f"a rule for {rule.key!r} stands twice")
        seen.add(rule.key)


def zones_half(settings: FeedSettings, feed: Feed) -> None:
    """Give the feed its zones, before it opens."""
    feed.zoning.take_up(read_zones(settings), settings.coverage)
