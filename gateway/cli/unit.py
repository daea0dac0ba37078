"""`lapel unit mask|unmask|masked`: covert units, during the shift; a running gateway sees it within a second."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime

import click
import msgspec

from gateway.cli import show
from gateway.cli.custody import on_record
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.store.masking import MASKING, Masking
from gateway.store.roster import RosterStore


@click.group()
def unit() -> None:
    """Units of the roster; each act is a log entry."""


def _act(name: str, word: tuple[bool, str, str], config: str | None, data: str | None) -> None:
    masked, by, reason = word
    if not (by.strip() and reason.strip()):
        raise click.UsageError("--by, --reason: say who, and why")
    found, actor = places(config, data), f"cli:{getpass.getuser()}"
    store = RosterStore(found.data / "roster.db")
    try:
        if store.roster().unit(name) is None:
            raise click.ClickException(f"no unit {name!r} is on the roster")
        act = Masking(masked, by, reason, rfc3339(datetime.now(UTC)))
        store.put(MASKING, name, act, actor)
    finally:
        store.close()
    detail = {"act": "mask", "unit": name, **msgspec.structs.asdict(act)}
    on_record(found, Act("account", actor, detail=detail))
    click.echo(f"{name}: {'masked' if masked else 'no longer masked'}")


@unit.command("mask")
@click.argument("name", metavar="UNIT")
@click.option("--by", required=True, help="The person whose word it is.")
@click.option("--reason", required=True, help="Why; goes on record.")
@of_store
def mask(name: str, by: str, reason: str, config: str | None, data: str | None) -> None:
    """Hide UNIT from everybody who may not see masked units (`feed:masked`)."""
    _act(name, (True, by, reason), config, data)


@unit.command("unmask")
@click.argument("name", metavar="UNIT")
@click.option("--by", required=True, help="The person whose word it is.")
@click.option("--reason", required=True, help="Why; goes on record.")
@of_store
def unmask(name: str, by: str, reason: str, config: str | None, data: str | None) -> None:
    """Show UNIT to everybody again."""
    _act(name, (False, by, reason), config, data)


@unit.command("masked")
@of_store
@as_json_option
def masked_(config: str | None, data: str | None, *, as_json: bool) -> None:
    """List the units that are masked."""
    store = RosterStore(places(config, data).data / "roster.db")
    try:
        found = [each for each in store.roster().units() if each.masked]
    finally:
        store.close()
    if as_json:
        show.json({"v": 1, "units": [each.id for each in found]})
        return
    show.rows(("unit", "callsign", "agency"), [(each.id, each.callsign, each.agency) for each in found])
