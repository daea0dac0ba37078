"""`lapel log verify | proof INDEX | witness | recover | monitor`: the log, checked by code apart from its writer."""

from __future__ import annotations

import sys

import click

from gateway.cli.evidence_verify import pinned_keys, show_report
from gateway.cli.log_monitor import monitor
from gateway.cli.log_recover import recover
from gateway.cli.log_witness import witness
from gateway.cli.places import as_json_option, of_store, places
from gateway.evidence.verify.proof import prove
from gateway.evidence.verify.report import UnreadError
from gateway.evidence.verify.store import verify_log
from gateway.evidence.verify.trust import Trust


@click.group()
def log() -> None:
    """The signed log."""


log.add_command(witness)
log.add_command(recover)
log.add_command(monitor)


@log.command()
@of_store
@pinned_keys
@as_json_option
def verify(config: str | None, data: str | None, *, trusted: Trust, as_json: bool) -> None:
    """Re-derive the log: signature, entries, every tile, root, cosignatures. Exit 3 if anything differs."""
    found = places(config, data)
    sys.exit(show_report(verify_log(found.evidence, found.origin, trusted), as_json=as_json))


@log.command()
@click.argument("index", type=click.IntRange(min=0))
@click.option("--leaf", is_flag=True, help="Print the entry's exact bytes, not its proof.")
@of_store
@as_json_option
def proof(index: int, config: str | None, data: str | None, *, leaf: bool, as_json: bool) -> None:
    """Print the .tlog-proof of entry INDEX, derived from the files."""
    found = places(config, data)
    try:
        proven = prove(found.evidence, index, found.origin)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    except UnreadError as error:
        click.echo(str(error), err=True)
        sys.exit(1)
    if as_json:
        click.echo(proven.as_json())
    elif leaf:
        click.echo(proven.leaf, nl=False)
    else:
        click.echo(proven.text, nl=False)
