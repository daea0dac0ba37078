"""`lapel fault-record --from --to`: what went wrong with the system itself in a span."""

from __future__ import annotations

from datetime import datetime

import click

from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, of_store, places
from gateway.evidence.export.papers import printed
from gateway.evidence_half import records_at
from gateway.exporting import faults


@click.command("fault-record")
@click.option("--from", "since", type=Moment(), required=True, help="Beginning of the span.")
@click.option("--to", "until", type=Moment(), default="now", help="Its end; now where nothing is said.")
@of_store
@as_json_option
def fault_record(since: datetime, until: datetime, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Print the fault record as one JSON document: as it goes into exports."""
    del as_json  # it is never anything else
    if since > until:
        raise click.UsageError("--from lies behind --to")
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        click.echo(printed(faults(store, since, until)).decode(), nl=False)
