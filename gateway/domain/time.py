"""Time as an argument: two clocks, and how far each is to be trusted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

TimeQuality = Literal["gnss", "device", "gateway"]
RFC3339 = (
    "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
    "[Tt]([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?"
    "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
)
"""What stands behind the year, for documents: many tools take a format for a remark, and a pattern at its word."""


class Instant(msgspec.Struct, frozen=True, gc=False):
    """A moment on both clocks: deadlines by mono_s (seconds, monotonic), stamps by utc."""

    mono_s: float
    utc: datetime


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """When something was so: device time (None: it gave none), arrival, and whose clock counts."""

    arrived: Instant
    device_time: datetime | None = None
    quality: TimeQuality = "gateway"

    @property
    def at(self) -> datetime:
        """The best known time of the thing itself."""
        return self.device_time if self.device_time is not None else self.arrived.utc


def rfc3339(moment: datetime) -> str:
    """Print as RFC 3339 UTC with Z; milliseconds only where there are any."""
    # isoformat, as strftime does not fill a year below 1000 to four digits, and nobody could read it back.
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds" if utc.microsecond else "seconds") + "Z"


def from_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 time with an offset; ValueError for anything else."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        message = f"{text!r} has no time zone (RFC 3339 clause 5.6)"
        raise ValueError(message)
    return moment.astimezone(UTC)
