"""`lapel trust print`: the fingerprints to publish outside every export."""

from __future__ import annotations

import click

from gateway.cli import show
from gateway.cli.evidence_export import terms
from gateway.cli.places import as_json_option, of_store, places
from gateway.evidence_half import records_at
from gateway.exporting import published
from gateway.outlets.settings import TimestampSettings


@click.group()
def trust() -> None:
    """What others check our exports with."""


@trust.command("print")
@click.option("--own-time", is_flag=True, help="With --data: our own time-stamping authority too.")
@of_store
@as_json_option
def print_(config: str | None, data: str | None, *, own_time: bool, as_json: bool) -> None:
    """Print keys and certificates, one line each: put them on the website, into the register, into a letter."""
    found = places(config, data)
    log, stamping = terms(config)
    if own_time and config is None:
        stamping = TimestampSettings(embedded=True)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        lines = published(store, log, stamping).lines()
    if as_json:
        show.json({"v": 1, "published": lines})
        return
    for line in lines:
        click.echo(line)
