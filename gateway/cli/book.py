"""`lapel book on|off|correct|list`: who holds which device, from when to when, and how that is known."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import cast, get_args

import click

from gateway.cli import show
from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.ids import DeviceId
from gateway.domain.people import Booking, How
from gateway.domain.time import rfc3339
from gateway.store.roster import RosterStore


@click.group()
def book() -> None:
    """Bookings; a running gateway sees a change within a second."""


def _store(config: str | None, data: str | None) -> RosterStore:
    return RosterStore(places(config, data).data / "roster.db")


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _in_order(since: datetime, until: datetime | None) -> None:
    if until is not None and until < since:
        raise click.ClickException(f"it cannot end at {rfc3339(until)}, before it began at {rfc3339(since)}")


def _print(bookings: list[Booking], *, as_json: bool) -> None:
    if as_json:
        show.json({"v": 1, "bookings": bookings})
        return
    columns = ("id", "device", "holder", "from", "to", "how", "by", "corrects", "reason")
    lines = [
        (
            row.id,
            row.device,
            row.holder,
            rfc3339(row.since),
            rfc3339(row.until) if row.until else None,
            row.how,
            row.actor,
            row.corrects,
            row.reason,
        )
        for row in bookings
    ]
    show.rows(columns, lines)


@book.command("on")
@click.argument("device")
@click.argument("holder")
@click.option("--from", "since", type=Moment(), default="now", help="From when (default now).")
@click.option("--how", type=click.Choice(get_args(How)), default="console", help="How it is known.")
@of_store
@as_json_option
def on(  # noqa: PLR0913 - one argument an option
    *, device: str, holder: str, since: datetime, how: str, config: str | None, data: str | None, as_json: bool
) -> None:
    """Give DEVICE to HOLDER (a person or a unit); whoever had it is ended at that moment."""
    made, ended = _store(config, data).book_on(DeviceId(device), holder, since, how=cast("How", how), actor=_actor())
    _print([*ended, made], as_json=as_json)


@book.command("off")
@click.argument("device")
@click.option("--to", "until", type=Moment(), default="now", help="When it ended (default now).")
@of_store
@as_json_option
def off(device: str, until: datetime, config: str | None, data: str | None, *, as_json: bool) -> None:
    """End whoever holds DEVICE."""
    ended = _store(config, data).book_off(DeviceId(device), until, actor=_actor())
    if not ended:
        raise click.ClickException(f"nobody held {device} at {rfc3339(until.astimezone(UTC))}")
    _print(ended, as_json=as_json)


@book.command("correct")
@click.argument("booking", type=int)
@click.option("--holder", help="Who really held it.")
@click.option("--from", "since", type=Moment(), help="From when really.")
@click.option("--to", "until", type=Moment(), help="To when really.")
@click.option("--reason", required=True, help="Why this is corrected.")
@of_store
@as_json_option
def correct(  # noqa: PLR0913 - one argument an option
    *,
    booking: int,
    holder: str | None,
    since: datetime | None,
    until: datetime | None,
    reason: str,
    config: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Replace BOOKING by what was really so; the old one stays readable."""
    if not reason.strip():
        raise click.UsageError("--reason: say why")
    store = _store(config, data)
    for old in store.bookings():
        if old.id == booking:
            _in_order(since or old.since, until or old.until)
    made = store.correct(booking, holder=holder, since=since, until=until, actor=_actor(), reason=reason)
    _print([made], as_json=as_json)


@book.command("list")
@click.argument("device", required=False)
@of_store
@as_json_option
def list_(device: str | None, config: str | None, data: str | None, *, as_json: bool) -> None:
    """List every booking ever entered, corrected ones included."""
    _print(_store(config, data).bookings(device), as_json=as_json)
