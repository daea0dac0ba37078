"""What the control room asks, and whether it can be. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from gateway.dispatch.task import Place
from gateway.domain.time import RFC3339
from gateway.errors import RefusedError

LONGEST_TEXT = 2_000
LONGEST_NAME = 200
Reported = Annotated[datetime, msgspec.Meta(extra_json_schema={"pattern": f"^[1-9][0-9]{{3}}{RFC3339}"})]
CLOCKS_DIFFER = timedelta(minutes=5)


class DeclinedError(RefusedError):
    """A request that cannot be done: an HTTP status, and more that the answer says."""

    def __init__(self, code: int, what: str, **more: object) -> None:
        """Keep the words and the members of the answer."""
        self.what, self.more = what, more
        super().__init__(code, what)


class Override(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a committed unit gets another task."""

    reason: str


class NewTask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A task for a unit.

    seq is the unit's number on the feed as the controller saw it, kept with the task; a unit whose duty has changed
    since then is not given it.
    """

    unit: str
    text: str
    incident: str | None = None
    incident_type: str | None = None
    place: Place | None = None
    reported_at: Reported | None = None
    seq: int | None = None
    override: Override | None = None


def fingerprint(asked: NewTask) -> str:
    """The same for the same request."""
    return msgspec.json.encode(asked).decode()


def words(asked: NewTask) -> str:
    """What the officer reads."""
    incident = f"{asked.incident.strip()}: " if asked.incident and asked.incident.strip() else ""
    place = f" @ {asked.place}" if asked.place is not None and str(asked.place) else ""
    return f"{incident}{asked.text.strip()}{place}"


def checked(asked: NewTask, now: datetime) -> None:
    """DeclinedError 422 names the field that is wrong."""
    if not asked.text.strip():
        raise DeclinedError(422, "text: say what is to be done")
    if len(asked.text) > LONGEST_TEXT:
        raise DeclinedError(422, f"text: at most {LONGEST_TEXT} characters", limit=LONGEST_TEXT)
    for name in ("incident", "incident_type"):
        if len(getattr(asked, name) or "") > LONGEST_NAME:
            raise DeclinedError(422, f"{name}: at most {LONGEST_NAME} characters")
    if asked.override is not None and not asked.override.reason.strip():
        raise DeclinedError(422, "override.reason: say why")
    _when(asked.reported_at, now)
    if asked.place is not None:
        _where(asked.place)


def _when(reported_at: datetime | None, now: datetime) -> None:
    if reported_at is None:
        return
    if reported_at.tzinfo is None:
        raise DeclinedError(422, "reported_at: needs a time zone (RFC 3339)")
    if reported_at > now + CLOCKS_DIFFER:
        raise DeclinedError(422, "reported_at: is in the future")


def _where(place: Place) -> None:
    if (place.lat is None) != (place.lon is None):
        raise DeclinedError(422, "place: lat and lon go together")
    if place.lat is not None and place.lon is not None and not (abs(place.lat) <= 90 and abs(place.lon) <= 180):
        raise DeclinedError(422, "place: lat is within ±90, lon within ±180")
    if len(place.name or "") > LONGEST_NAME:
        raise DeclinedError(422, f"place.name: at most {LONGEST_NAME} characters")
