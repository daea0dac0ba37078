"""`lapel evidence copies | promote`: how second places stand; a copy made the store after the first disk died."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.copying import Standing, second_places, standing, store_of_command
from gateway.errors import ConfigError
from gateway.evidence.copies.mark import remember_place
from gateway.evidence.copies.promote import Promoted
from gateway.evidence.copies.promote import promote as promote_copy
from gateway.evidence.settings import StoreSection
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence_half import records_at

FAILED = 1
LISTED = 20


@click.command("copies")
@of_store
@click.option("--copy", "given", metavar="DIR", multiple=True, help="With --data: a second place; repeatable.")
@click.option("--new", metavar="DIR", help="Take a new, empty disk at this place: what was there is not coming back.")
@as_json_option
def copies(config: str | None, data: str | None, given: tuple[str, ...], new: str | None, *, as_json: bool) -> None:
    """Show each second place: its state, how far it is behind, whose blobs are missing. Exit 1 where one is not up."""
    found = places(config, data)
    section = _section(config, given)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        first = store_of_command(store, section)
        if new is not None:
            _forget(found.evidence, section, new)
        standings = [standing(place, first, store.catalogue) for place in second_places(section, first)]
        short = store.catalogue.count_short(section.copies)
    if as_json:
        show.json({"v": 1, "wanted": section.copies, "short": short, "places": standings})
    else:
        _print(standings, section.copies, short)
    sys.exit(FAILED if any(one.state in ("away", "refused") for one in standings) else 0)


def _section(config: str | None, given: tuple[str, ...]) -> StoreSection:
    if config is not None:
        if given:
            raise click.UsageError("--copy goes with --data; the configuration has its own copy_to")
        return configuration.load(config).store
    wanted = min(4, 1 + len(given))
    return StoreSection(copies=wanted, copy_to=[str(Path(place)) for place in given])


def _forget(evidence: Path, section: StoreSection, new: str) -> None:
    wanted = [place for place in section.copy_to if Path(place).resolve() == Path(new).resolve()]
    if not wanted:
        raise ConfigError("store.copy_to", f"{new} is none of the places: {', '.join(section.copy_to) or 'none'}")
    for place in wanted:
        remember_place(evidence, Path(place), None, DiskFiles())
    click.echo(f"{new}: taken as new; it is filled while the gateway runs")


def _print(standings: list[Standing], wanted: int, short: int) -> None:
    lines = (
        (one.path, one.id, one.state, one.exhibits, len(one.missing), one.lag, one.free_mb, one.problem)
        for one in standings
    )
    show.rows(("place", "id", "state", "blobs", "missing", "entries behind", "MB free", "problem"), lines)
    for one in standings:
        if one.same_disk:
            click.echo(f"note: {one.path} is on the file system of the first store: one disk's end is both's")
        for name in one.missing[:LISTED]:
            click.echo(f"missing at {one.path}: {name}")
        if len(one.missing) > LISTED:
            click.echo(f"missing at {one.path}: {len(one.missing) - LISTED} more (--json names all)")
    click.echo(f"copies wanted of each: {wanted}; exhibits that have fewer: {short}")


@click.command("promote")
@click.argument("place", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@as_json_option
def promote(place: str, *, as_json: bool) -> None:
    """Make the copy in DIR a store of its own: the first one is lost. Exit 1 where blobs had not been copied."""
    made = promote_copy(Path(place), DiskFiles())
    if as_json:
        show.json({"v": 1, "promoted": made})
    else:
        _tell(place, made)
    sys.exit(FAILED if made.lacking else 0)


def _tell(place: str, made: Promoted) -> None:
    click.echo(
        f"{place} ({made.id}) is a store now: {made.entries} log entries, {made.exhibits} exhibits of {made.origin}"
    )
    if made.unnamed:
        click.echo(
            f"{made.unnamed} blobs whose seal was not copied lie in evidence/unnamed; their cameras have them yet"
        )
    click.echo("Now: put the key files (kek-*.key, the log's) where [evidence] keys says (default DIR/keys),")
    click.echo(f'set [gateway] data = "{place}", run `lapel evidence verify`, start the gateway.')
    click.echo("Where witnesses saw more of the log than was copied, it says so, and `lapel log recover` goes on.")
    for name in made.lacking:
        click.echo(f"{name}: its blob had not been copied", err=True)
