"""What is left of a feature or a record where an agreement leaves fields out, or a name must not be told. Pure."""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from typing import Any, Literal

import msgspec

Field = Literal[
    "callsign",
    "collar",
    "issi",
    "members",
    "sources",
    "skills",
    "battery_pct",
    "heading_deg",
    "speed_mps",
    "reach",
    "recording",
    "incident",
]
"""What an agreement may leave out. Not what filters and `nearest` answer by: that could be asked for all the same."""
EMPTY: dict[str, Any] = {
    "collar": None,
    "issi": None,
    "members": [],
    "sources": [],
    "skills": [],
    "battery_pct": None,
    "heading_deg": None,
    "speed_mps": None,
    "reach": "unknown",
}
OPTIONAL = {"sources": "source_change", "recording": "recording"}
NAMES: dict[str, tuple[str, ...]] = {
    "issi": ("issi",),
    "members": ("person", "last_held_by", "booked_off"),
    "sources": ("device",),
    "incident": ("incident",),
}
"""Under which keys a record (not a feature) has what is left out."""
OR_NOTHING = frozenset({"booked_off"})
"""Keys that are not there where there is nothing to say."""
WITHHELD = "withheld"
"""In the place of whoever is in an emergency, and of who acts in it, for those who may not know."""
_KEPT = ("v", "seq", "id", "state", "raised_at", "triggers", "presses", "delivered", "position", "journalled")
_KEPT_WHERE_TOLD = ("outcome", "pressed")


def feature(payload: bytes, without: AbstractSet[str], shared_by: str | None) -> bytes:
    """A unit's Feature without these fields, and by what it is shown."""
    told = msgspec.json.decode(payload)
    properties = told["properties"]
    for name in without & EMPTY.keys():
        properties[name] = EMPTY[name]
    if "callsign" in without:
        properties["callsign"] = told["id"]
    for field in {OPTIONAL[name] for name in without & OPTIONAL.keys()}:
        properties.pop(field, None)
    if "incident" in without:
        properties["duty"]["incident"] = None
    if "members" in without:
        _without_people(properties)
    for member in properties["members"]:
        _member(member, without)
    if shared_by is not None:
        properties["shared_by"] = shared_by
    return msgspec.json.encode(told)


def _without_people(properties: dict[str, Any]) -> None:
    """Nobody is named, and of a crew nobody's own place is told: each carries a device."""
    if properties["emergency"] is not None:
        properties["emergency"]["person"] = None
    for source in properties["sources"]:
        source.pop("coordinates", None)
        source["disagrees_m"] = None


def _member(member: dict[str, Any], without: AbstractSet[str]) -> None:
    for name in without & {"collar", "issi"}:
        member[name] = None
    if "sources" in without:
        member["devices"] = []


def record(payload: bytes, without: AbstractSet[str]) -> bytes:
    """A record (emergency, message, duty, proof) without these fields."""
    keys = {key for name in without for key in NAMES.get(name, ())}
    told = msgspec.json.decode(payload)
    kept = {key: what for key, what in told.items() if key not in keys or key not in OR_NOTHING}
    return msgspec.json.encode({key: None if key in keys else what for key, what in kept.items()})


def nameless(payload: bytes) -> bytes:
    """An emergency of somebody whose name must not be told: that there is one, where, since when, how it stands.

    By the reader that takes any JSON: an emergency whose record could barely be made is not lost here.
    """
    return json.dumps(_nameless(json.loads(payload)), separators=(",", ":")).encode()


def _nameless(told: dict[str, Any]) -> dict[str, Any]:
    kept = {key: told.get(key) for key in _KEPT}
    kept |= {key: told[key] for key in _KEPT_WHERE_TOLD if key in told}
    kept |= {"person": None, "unit": None, "issi": None, "holder": WITHHELD}
    kept["acknowledged_by"] = WITHHELD if told.get("acknowledged_by") is not None else None
    return kept | ({"cleared_by": WITHHELD} if told.get("cleared_by") is not None else {})
