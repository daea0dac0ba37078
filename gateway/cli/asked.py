"""`lapel asked`: who asked for the nearest unit, for what, and who was offered; a line each; on record."""

from __future__ import annotations

import getpass
from datetime import datetime, timedelta

import click
import msgspec

from gateway.asking_half import question_store
from gateway.cli.custody import on_record
from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.feed.questions import Question


@click.command()
@click.option("--from", "since", type=Moment(), help="From when (default: a day before --to).")
@click.option("--to", "until", default="now", type=Moment(), help="Until when (default now).")
@click.option("--account", metavar="ACCOUNT", help="Only this one's questions.")
@click.option("--unit", metavar="UNIT", help="Only those that offered this unit.")
@click.option("--purpose", default="", help="What it is wanted for; on record.")
@of_store
@as_json_option
def asked(  # noqa: PLR0913 - one argument an option
    *,
    since: datetime | None,
    until: datetime,
    account: str | None,
    unit: str | None,
    purpose: str,
    config: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Who asked for the nearest unit, for what, and who was offered. That it was looked at is an entry in the log."""
    since = since or until - timedelta(days=1)
    if since >= until:
        raise click.UsageError("--to lies before --from")
    found = places(config, data)
    facets = {"account": account, "unit": unit, "from": rfc3339(since), "to": rfc3339(until)}
    said = {name: part for name, part in facets.items() if part is not None}
    detail = {"what": "nearest", "purpose": purpose, "facets": said}
    on_record(found, Act("browse", f"cli:{getpass.getuser()}", detail=detail))
    store = question_store(found.data)
    for one in store.between(since, until):
        if account in (None, one.account) and (unit is None or any(offer.unit == unit for offer in one.offered)):
            click.echo(msgspec.json.encode(one) if as_json else _line(one))
    if store.unreadable:
        raise click.ClickException(f"{store.unreadable} lines could not be read")


def _line(one: Question) -> str:
    place = f"{one.asked['lat']:.5f}, {one.asked['lon']:.5f}"
    words = [f"{name}={_words(part)}" for name, part in one.asked.items() if name not in ("lat", "lon", "limit")]
    offered = ", ".join(f"{offer.unit} ({offer.eta_s:.0f} s)" for offer in one.offered) or "nobody"
    rejected = " ".join(f"{name} {number}" for name, number in one.rejected.items())
    return f"{one.at}  {one.account}  {place}  {' '.join(words)}  -> {offered}  [{one.considered}; {rejected}]"


def _words(part: object) -> str:
    return ",".join(map(str, part)) if isinstance(part, list | tuple) else str(part)
