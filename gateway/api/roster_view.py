"""The roster as whoever asks may see it: nobody is named here whom the feed does not show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from gateway.api.routing import Call
from gateway.domain.people import Booking, Device
from gateway.feed.sharing import Names


def held_by_seen(call: Call[Any], device: Device, holders: Sequence[str]) -> bool:
    """Whether a device is theirs to see: it tells who holds it, a terminal also its ISSI."""
    return all(call.feed.may_name(Names(None, each, None, device.issi, device.id)) for each in holders or (None,))


def booked_seen(call: Call[Any], rows: Iterable[Booking]) -> list[Booking]:
    """Bookings of those whom they see, without a reason that names anybody else."""
    return [_with_reason(call, row) for row in rows if call.feed.may_name(named(call, row.holder, row.device))]


def seen_people(call: Call[Any], people: Iterable[str]) -> tuple[str, ...]:
    """Those of them whom they see."""
    return tuple(person for person in people if call.feed.may_name(Names(person=person)))


def named(call: Call[Any], who: str, device: str | None = None) -> Names:
    """Whoever it is, a unit or a person."""
    if call.rooms.roster().unit(who) is not None:
        return Names(unit=who, device=device)
    return Names(person=who, device=device)


def seen_reason(call: Call[Any], reason: str | None) -> str | None:
    """What somebody wrote, where it names nobody whom they don't see."""
    roster, words = call.rooms.roster(), (reason or "").split()
    people = [word for word in words if roster.unit(word) is not None or roster.person(word) is not None]
    return reason if all(call.feed.may_name(named(call, word)) for word in people) else None


def _with_reason(call: Call[Any], row: Booking) -> Booking:
    return msgspec.structs.replace(row, reason=seen_reason(call, row.reason))
