"""`lapel evidence reconcile`: how many, where, and which are missing."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

import click
import msgspec

from gateway.cli.evidence_verify import FAILED, INTEGRITY
from gateway.cli.places import Places, as_json_option, of_store, places
from gateway.errors import GatewayError
from gateway.evidence.reconciled import Account, account, act, keep
from gateway.evidence.verify.items import Item, Reconciliation
from gateway.evidence.verify.reconcile import reconcile
from gateway.evidence_half import records_at
from gateway.observe import SystemClock

LISTED = 200
LOWEST = 19


@click.command("reconcile")
@click.option("--no-record", is_flag=True, help="Only look: no entry in the log, no report kept.")
@click.option("--copy", "copies", multiple=True, metavar="DIR", help="A copy to be looked at too; repeatable.")
@click.option("--keys", metavar="DIR", hidden=True, help="Where the keys lie, with --data.")
@click.option("--idle", is_flag=True, hidden=True, help="Leave the processor to others.")
@of_store
@as_json_option
def reconcile_(config: str | None, data: str | None, keys: str | None, copies: tuple[str, ...], **asked: bool) -> None:
    """Compare blobs, catalogue, log, keys, details and thumbnails, and name what is missing. Exit 3 if anything is."""
    if asked["idle"]:
        os.nice(LOWEST)
    found = places(config, data)
    keys_dir = found.keys if keys is None else Path(keys)
    began = SystemClock().now().utc
    told = reconcile(
        found.evidence, keys_dir, origin=found.origin, copies=[Path(copy) for copy in copies] or found.copy_places
    )
    made = account(told, began, SystemClock().now().utc)
    if not asked["no_record"]:
        made = _recorded(found, keys_dir, made)
    _show(made, told, as_json=asked["as_json"])
    sys.exit(INTEGRITY if told.faults else FAILED if told.items else 0)


def _recorded(found: Places, keys: Path, made: Account) -> Account:
    """Put it on record, after everything was read: opening the log brings a catalogue that lags up to date."""
    try:
        with records_at(found.evidence, keys, found.origin, found.signers) as store:
            recorded = store.custody.record_now(act(made, f"cli:{getpass.getuser()}"))
        made = msgspec.structs.replace(made, log_index=recorded.index)
        keep(found.evidence, made)
    except (GatewayError, OSError) as wrong:
        click.echo(f"not on record: {wrong}", err=True)
    return made


def _show(made: Account, told: Reconciliation, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode(made).decode("utf-8", "replace"))
        return
    counts = told.counts
    states = ("sealed", "incomplete", "receiving", "nothing_received", "shredded", "disposed")
    listed = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in states if name in counts)
    beside = ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in ("held", "superseded") if name in counts)
    click.echo(f"{counts.get('exhibits', 0)} exhibits: {listed or 'none'}" + (f" ({beside})" if beside else ""))
    wanted, size = counts.get("blobs_wanted", 0), counts.get("bytes", 0)
    click.echo(
        f"{counts.get('blobs_found', 0)} of {wanted} blobs, {size} bytes; {counts.get('entries', 0)} log entries"
    )
    click.echo("all is there" if told.ok else ", ".join(f"{number} {name}" for name, number in told.by_state().items()))
    for note in told.notes:
        click.echo(f"note: {note}")
    for item in told.items[:LISTED]:
        click.echo(_line(item), err=True)
    if len(told.items) > LISTED:
        click.echo(f"and {len(told.items) - LISTED} more: --json lists them all", err=True)


def _line(item: Item) -> str:
    whose = f" of {item.exhibit}" if item.exhibit and item.exhibit not in item.name else ""
    return f"{item.state}: {item.thing} {item.name}{whose}: known from {item.known_from}; found {item.found}"
