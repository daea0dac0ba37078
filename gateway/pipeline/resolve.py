"""Whose event it is, by the roster at that moment."""

from __future__ import annotations

from datetime import datetime

from gateway.domain.events import Origin
from gateway.domain.people import Holder
from gateway.ports import Directory, Resolved

NOBODY = Holder()


def resolve(directory: Directory, origin: Origin, at: datetime) -> Resolved:
    """Resolve a device or an ISSI to a unit and person; what is not known is None, never guessed."""
    device, holder = origin.device, NOBODY
    if device is None and origin.issi is not None:
        terminal = directory.terminal(origin.issi)
        device = terminal.id if terminal else None
    if device is not None:
        holder = directory.holder(device, at)
    person = holder.person
    if person is None and not holder.persons and origin.issi is not None:
        # An Airwave terminal is personal issue: its ISSI names its officer where no booking says otherwise.
        own = directory.person_by_issi(origin.issi)
        person = own.id if own else None
    unit = holder.unit
    if unit is None and person is not None:
        theirs = directory.unit_of(person)
        unit = theirs.id if theirs else None
    return Resolved(unit, person, device, origin.issi, holder.last_held_by)
