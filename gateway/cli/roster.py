"""`lapel roster import FILE | list`."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.roster.importer import read
from gateway.store.roster import RosterStore


@click.group()
def roster() -> None:
    """People, units, devices."""


@roster.command("import")
@click.argument("file")
@of_store
@as_json_option
def import_(file: str, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Add what FILE (TOML or CSV) says; nothing is removed, every version is kept."""
    store = RosterStore(places(config, data).data / "roster.db")
    done = store.import_file(read(file), actor="cli")
    if as_json:
        show.json(done)
    else:
        shifts = f", {done.shifts} shifts" if done.shifts else ""
        rows = f"{done.people} people, {done.units} units, {done.devices} devices, {done.bookings} bookings{shifts}"
        click.echo(f"{rows} new or changed")


@roster.command("list")
@of_store
@as_json_option
def list_(config: str | None, data: str | None, *, as_json: bool) -> None:
    """List people with their unit, powers and the devices they hold now."""
    here = RosterStore(places(config, data).data / "roster.db").roster()
    now = datetime.now(UTC)
    held: dict[str, list[str]] = {}
    for device in here.devices():
        for person in here.holder(device.id, now).persons:
            held.setdefault(person, []).append(device.id)
    if as_json:
        show.json({"v": 1, "people": here.people(), "units": here.units(), "devices": here.devices(), "held": held})
        return
    lines = []
    for each in here.people():
        unit = here.unit_of(each.id)
        powers = " ".join(power.id for power in each.powers)
        holds = " ".join(held.get(each.id, []))
        lines.append((each.id, each.collar, each.agency, each.role, unit.id if unit else None, powers, holds))
    show.rows(("person", "collar", "agency", "role", "unit", "powers", "holds"), lines)
