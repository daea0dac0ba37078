"""`lapel evidence rebuild`: the catalogue anew from log and details; the gateway must be stopped."""

from __future__ import annotations

import getpass

import click

from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.crypto.keys import KeyStore
from gateway.errors import GatewayError
from gateway.evidence_half import origin_of, records_at
from gateway.rebuilding import act, rebuild

LISTED = 50


@click.command("rebuild")
@of_store
@as_json_option
def rebuild_(config: str | None, data: str | None, *, as_json: bool) -> None:
    """Make evidence.db anew from log and details, and put it in place of the one that is there, if any.

    What else lies in the data directory is no projection of the log and is left alone: keys, blobs, thumbnails,
    expected recordings (cameras.db), the roster (roster.db), the journal.
    """
    found = places(config, data)
    if not found.evidence.is_dir():
        raise click.UsageError(f"{found.evidence}: there is no evidence store here")
    origin = found.origin or origin_of(found.evidence)
    made = rebuild(found.data, KeyStore(found.keys, found.signers), origin)
    try:
        with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
            store.custody.record_now(act(made, f"cli:{getpass.getuser()}"))
    except (GatewayError, OSError) as wrong:
        click.echo(f"not on record: {wrong}", err=True)
    if as_json:
        show.json(made)
        return
    click.echo(f"{made.exhibits} exhibits from {made.entries} entries in {made.seconds:.1f} s; {made.held} held")
    if made.detail_erased:
        click.echo(f"{made.detail_erased} came back held: a detail of theirs is erased (detail-erased)")
    if made.differing is None:
        click.echo("there was nothing to compare it with")
    else:
        click.echo(f"{len(made.differing)} rows were other than log and details say")
        for name in made.differing[:LISTED]:
            click.echo(f"was another: {name}")
