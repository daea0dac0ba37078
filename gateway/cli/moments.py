"""A time on the command line: RFC 3339, or `now`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

YEARS = range(2000, 2100)
"""Other years are typing errors."""


class Moment(click.ParamType[datetime]):
    """RFC 3339 with a zone; without one it is this machine's local time."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the text."""
        if isinstance(value, datetime):
            return value
        if value == "now":
            return datetime.now(UTC)
        try:
            moment = datetime.fromisoformat(str(value)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time (2026-11-21T21:05:00Z)", param, ctx)
        if moment.year not in YEARS:
            self.fail(f"{value!r}: the year is not within {YEARS.start} to {YEARS.stop - 1}", param, ctx)
        return moment
