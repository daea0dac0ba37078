"""`lapel tracks export`: where a unit was, as GeoJSON or GPX, to a file or standard output; on record."""

from __future__ import annotations

import getpass
from datetime import datetime
from pathlib import Path

import click

from gateway.cli.custody import on_record
from gateway.cli.moments import Moment
from gateway.cli.places import of_store, places
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.feed import track as written
from gateway.tracks_half import track_of, track_store


@click.group()
def tracks() -> None:
    """Position history as the control room has it; what a court needs is `lapel history prove`."""


@tracks.command()
@click.option("--unit", required=True, metavar="UNIT", help="Whose track.")
@click.option("--from", "since", required=True, type=Moment(), help="From when.")
@click.option("--to", "until", default="now", type=Moment(), help="Until when (default now).")
@click.option("--format", "form", type=click.Choice(["geojson", "gpx"]), default="geojson", help="How it is written.")
@click.option("--simplify-m", type=click.FloatRange(0), default=0.0, help="Leave out places this near to the line.")
@click.option("--purpose", default="", help="What it is wanted for; on record.")
@click.option("-o", "out", metavar="FILE", type=click.Path(path_type=Path), help="Default: standard output.")
@of_store
def export(  # noqa: PLR0913 - one argument an option
    *,
    unit: str,
    since: datetime,
    until: datetime,
    form: str,
    simplify_m: float,
    purpose: str,
    out: Path | None,
    config: str | None,
    data: str | None,
) -> None:
    """Write one unit's track. That it was, and what for, is an entry in the log where the store has one."""
    if since >= until:
        raise click.UsageError("--to lies before --from")
    found = places(config, data)
    store = track_store(found.data)
    try:
        fixes = track_of(store, unit, since, until)
    finally:
        store.close()
    if not fixes:
        raise click.ClickException(f"there is no track of {unit} in this span")
    said = {"from": rfc3339(since), "to": rfc3339(until), "purpose": purpose}
    detail = {"what": "track", "unit": unit, "format": form, **{name: part for name, part in said.items() if part}}
    on_record(found, Act("view", f"cli:{getpass.getuser()}", detail=detail))
    page = written.page(unit, fixes, simplify_m, len(fixes), None)
    body = written.gpx(page) if form == "gpx" else written.geojson(page)
    if out is None:
        click.echo(body, nl=False)
        return
    fresh = out.with_name(f"{out.name}.part")
    fresh.write_bytes(body)
    fresh.replace(out)
    click.echo(f"{out}: {len(page.line)} places, {len(page.held)} outliers, of {page.read} fixes", err=True)
