"""`lapel crew join|leave|show`: who is with which unit, changed during the shift; `lapel crew plan`: planned shifts."""

from __future__ import annotations

import getpass
from datetime import datetime

import click

from gateway.cli import show
from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.people import Shift, Unit
from gateway.domain.time import rfc3339
from gateway.store.crews import Crews
from gateway.store.roster import RosterStore, name_of


@click.group()
def crew() -> None:
    """Members of units; a running gateway sees a change within a second."""


def _store(config: str | None, data: str | None) -> RosterStore:
    return RosterStore(places(config, data).data / "roster.db")


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _print(unit: Unit, *, as_json: bool) -> None:
    if as_json:
        show.json({"v": 1, "unit": unit})
    else:
        click.echo(f"{unit.id}: {' '.join(unit.members) or 'nobody'}")


@crew.command("join")
@click.argument("unit")
@click.argument("person")
@click.option("--reason", help="Why; kept with the change.")
@of_store
@as_json_option
def join(*, unit: str, person: str, reason: str | None, config: str | None, data: str | None, as_json: bool) -> None:
    """Make PERSON a member of UNIT; they leave the unit that they were with."""
    _print(Crews(_store(config, data)).join(unit, person, actor=_actor(), reason=reason), as_json=as_json)


@crew.command("leave")
@click.argument("unit")
@click.argument("person")
@click.option("--reason", help="Why; kept with the change.")
@of_store
@as_json_option
def leave(*, unit: str, person: str, reason: str | None, config: str | None, data: str | None, as_json: bool) -> None:
    """Take PERSON out of UNIT."""
    _print(Crews(_store(config, data)).leave(unit, person, actor=_actor(), reason=reason), as_json=as_json)


@crew.command("show")
@click.argument("unit")
@of_store
@as_json_option
def show_(*, unit: str, config: str | None, data: str | None, as_json: bool) -> None:
    """List who was with UNIT, from when on, by whose word."""
    changes = Crews(_store(config, data)).history(unit)
    if not changes:
        raise click.ClickException(f"{unit!r} is no unit on the roster")
    if as_json:
        show.json({"v": 1, "unit": unit, "history": changes})
        return
    lines = [(rfc3339(each.at), " ".join(each.members) or "nobody", each.by, each.reason) for each in changes]
    show.rows(("from", "members", "by", "reason"), lines)


@crew.command("plan")
@click.argument("holder")
@click.option("--from", "since", type=Moment(), required=True, help="When the shift is to begin.")
@click.option("--to", "until", type=Moment(), required=True, help="When it is to end; nobody is booked off then.")
@click.option("--cancel", is_flag=True, help="It is not planned any more.")
@of_store
@as_json_option
def plan(  # noqa: PLR0913 - one argument an option
    *, holder: str, since: datetime, until: datetime, cancel: bool, config: str | None, data: str | None, as_json: bool
) -> None:
    """Plan a shift of HOLDER (a person or a unit); past its end whoever has not booked off is in overtime."""
    if until <= since:
        raise click.UsageError("--to: is not after --from")
    store = _store(config, data)
    here = store.roster()
    if here.person(holder) is None and here.unit(holder) is None:
        raise click.ClickException(f"{holder!r} is neither a person nor a unit on the roster")
    shift = Shift(holder, since, until, cancel)
    store.put("shift", name_of(shift), shift, _actor())
    if as_json:
        show.json({"v": 1, "shift": shift})
    else:
        click.echo(f"{holder}: {rfc3339(since)} to {rfc3339(until)}{', cancelled' if cancel else ''}")
