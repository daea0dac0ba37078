"""Talkgroups whose emergencies must be heard, against what the gateway's radios say that they listen to. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from gateway.ports import InputHealth

Cover = Literal["covered", "not_covered", "not_known"]
HEARS = "up"
NO_RADIO = "no radio input is up"
NOT_TOLD = "tells of no group, so what it listens to cannot be known from here"
NOT_NAMED = "no radio says that it is attached to it or scans it; a scan list that a radio keeps to itself is not seen"


class Talkgroup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A group of `[feed] groups`: its number (GSSI), and what people call it."""

    gssi: Annotated[int, msgspec.Meta(ge=1, le=0xFFFFFF)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]


class GroupCover(msgspec.Struct, frozen=True):
    """Whether a group's emergency calls can be heard: by which inputs, or why not."""

    gssi: int
    name: str
    cover: Cover
    by: tuple[str, ...] = ()
    why: str | None = None


def once_each(groups: Sequence[Talkgroup]) -> None:
    """ValueError for a number that stands twice."""
    numbers = [group.gssi for group in groups]
    for number in numbers:
        if numbers.count(number) > 1:
            raise ValueError(f"groups: {number} stands twice")


def coverage(groups: Sequence[Talkgroup], inputs: Mapping[str, InputHealth]) -> list[GroupCover]:
    """Each group in its order. A radio that is not up, or in direct mode, hears none."""
    radios = {name: health.groups for name, health in inputs.items() if health.groups is not None}
    heard = {name: told for name, told in radios.items() if inputs[name].state == HEARS}
    return [_covered(group, heard) for group in groups]


def _covered(group: Talkgroup, heard: Mapping[str, tuple[int, ...]]) -> GroupCover:
    by = tuple(name for name, told in heard.items() if group.gssi in told)
    if by:
        return GroupCover(group.gssi, group.name, "covered", by)
    if not heard:
        return GroupCover(group.gssi, group.name, "not_covered", why=NO_RADIO)
    mute = [name for name, told in heard.items() if not told]
    if mute:
        return GroupCover(group.gssi, group.name, "not_known", why=f"{', '.join(mute)} {NOT_TOLD}")
    return GroupCover(group.gssi, group.name, "not_covered", why=NOT_NAMED)
