"""Docks that speak for cameras: whose recording it is then, and where that of a dock without the right lies."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

import msgspec

from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Segment
from gateway.ports import DeviceRights

NOT_ENTITLED = "dock_not_entitled"
DISPOSED_BEFORE = "disposed_before"
"""What was disposed of has come once more: kept, and shown to nobody until a person has said what it is to be."""
SETTLED = "settled:"
"""What a flag is called once a named person has settled it."""

_Heard = TypeVar("_Heard", Segment, RecordingFin)


def spoken(key: RecordingKey, rights: DeviceRights | None) -> RecordingKey:
    """The recording that a command is about.

    Whoever brings it, the camera or a dock that may speak for it, it is one recording. What another dock brings is
    kept as well, but apart: it can neither add to the camera's own upload nor end it.
    """
    if key.via is None or (rights is not None and not rights.speaks_for(key.via, key.device)):
        return key
    return msgspec.structs.replace(key, via=None)


def offered_as(offer: RecordingOffer, rights: DeviceRights | None) -> RecordingOffer:
    """The offer under the recording that it is about; `via` goes on naming the dock."""
    return msgspec.structs.replace(offer, key=spoken(offer.key, rights), via=offer.via or offer.key.via)


def heard_as(heard: _Heard, rights: DeviceRights | None) -> _Heard:
    """The segment or fin under the recording that it is about."""
    if heard.key.via is None:
        return heard
    return msgspec.structs.replace(heard, key=spoken(heard.key, rights))


def flags_of(key: RecordingKey) -> tuple[str, ...]:
    """What is odd about who brings it."""
    return () if key.via is None else (NOT_ENTITLED,)


def lies_with(key: RecordingKey, flags: Collection[str]) -> bool:
    """Whether a sealed exhibit is of this recording: what a dock without the right brought is not the camera's own."""
    if key.via is None:
        return NOT_ENTITLED not in flags
    return NOT_ENTITLED in flags or SETTLED + NOT_ENTITLED in flags


def brought(offer: RecordingOffer) -> dict[str, str]:
    """What a custody detail says of who brought it; nothing where the camera spoke for itself."""
    via = offer.via or offer.key.via
    return {} if via is None else {"via": f"dock {via}"}
