"""`lapel evidence dispose request | approve | cancel | list | run` and `lapel evidence certificate ID`."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from typing import Any

import click

from gateway import settings as configuration
from gateway.backup import key_backups
from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.copying import second_places, store_of_command
from gateway.disposing import Disposing, disposing
from gateway.domain.time import rfc3339
from gateway.errors import EvidenceError
from gateway.evidence.disposal.certificate import as_text
from gateway.evidence.disposal.desk import EXHIBITS_MAX, Asked
from gateway.evidence.disposal.record import GROUNDS
from gateway.evidence.disposal.telling import DisposalTold
from gateway.evidence_half import Records, records_at
from gateway.observe import SystemClock
from gateway.settings import Settings


@click.group()
def dispose() -> None:
    """Let exhibits leave the store: asked for by one person, approved by another, carried out after the grace."""


@contextlib.contextmanager
def _opened(config: str | None, data: str | None, *, grace: bool = False) -> Iterator[tuple[Records, Disposing]]:
    if grace and config is None:
        raise click.UsageError("give -c FILE: it says how long the grace is")
    found = places(config, data)
    settings = Settings() if config is None else configuration.load(config)
    clock = SystemClock()
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        beside = second_places(settings.store, store_of_command(store, settings.store))
        backups = key_backups.places(found.evidence.parent)
        yield store, disposing(store, settings.retention, clock, copies=lambda: beside, key_backups=lambda: backups)


@dispose.command()
@click.argument("exhibits", nargs=-1)
@click.option("--due", is_flag=True, help=f"All that is due, the longest due first, at most {EXHIBITS_MAX}.")
@click.option("--ground", type=click.Choice(GROUNDS), help="By what right; --due says so by itself.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--alone", metavar="TEXT", help="Why parts, clips and superseded exhibits of it stay.")
@click.option("--erase-details", is_flag=True, help="With the ground erasure: the salted details go as well.")
@of_store
@as_json_option
def request(  # noqa: PLR0913 - one an option
    exhibits: tuple[str, ...],
    ground: str | None,
    reason: str,
    alone: str | None,
    config: str | None,
    data: str | None,
    *,
    due: bool,
    erase_details: bool,
    as_json: bool,
) -> None:
    """Ask for the disposal of EXHIBITS."""
    if due == bool(exhibits) or (not due and ground is None) or (due and ground not in {None, "due"}):
        raise click.UsageError("name EXHIBITS and their --ground, or give --due")
    with _opened(config, data, grace=True) as (_, found):
        names = tuple(row.id for row in found.desk.due(EXHIBITS_MAX)) if due else exhibits
        if not names:
            raise click.ClickException("nothing is due")
        asked = Asked(names, ground or "due", reason, _actor(), alone, erase_details)
        try:
            one = found.desk.request(asked)
        except ValueError as wrong:
            raise click.UsageError(str(wrong)) from wrong
        _show(found.one(one.id), as_json=as_json)


@dispose.command()
@click.argument("disposal")
@click.option("--reason", metavar="TEXT", help="A remark.")
@of_store
@as_json_option
def approve(disposal: str, reason: str | None, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Approve what somebody else asked for; the grace runs from now."""
    with _opened(config, data, grace=True) as (_, found):
        found.desk.approve(disposal, _actor(), reason)
        _show(found.one(disposal), as_json=as_json)


@dispose.command()
@click.argument("disposal")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@of_store
@as_json_option
def cancel(disposal: str, reason: str, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Take DISPOSAL back, at any time before its keys are destroyed."""
    with _opened(config, data) as (_, found):
        try:
            found.desk.cancel(disposal, _actor(), reason)
        except ValueError as wrong:
            raise click.UsageError(str(wrong)) from wrong
        _show(found.one(disposal), as_json=as_json)


@dispose.command("list")
@click.option("--due", is_flag=True, help="What is due and nobody asked for yet.")
@of_store
@as_json_option
def list_(config: str | None, data: str | None, *, due: bool, as_json: bool) -> None:
    """List disposals, the newest first; or what is due."""
    with _opened(config, data) as (_, found):
        total = found.desk.count_due()
        if due:
            rows = found.desk.due()
            lines = [(row.id, row.due, row.rule, row.category, row.controller) for row in rows]
            columns, body = ("exhibit", "due", "rule", "category", "controller"), {"total": total, "exhibits": rows}
        else:
            all_ = found.all()
            lines = [(each.id, each.state, each.ground, _states(each), rfc3339(each.not_before)) for each in all_]
            columns, body = ("disposal", "state", "ground", "exhibits", "not before"), {"due": total, "disposals": all_}
    if as_json:
        show.json({"v": 1, **body})
        return
    show.rows(columns, lines)
    click.echo(f"{total} exhibits are due")


@dispose.command()
@click.option("-c", "--config", metavar="FILE", required=True, help="The configuration file: it names the copies.")
@click.option("--without", metavar="NAME", multiple=True, help="A copy that is lost for good; the certificate says so.")
@as_json_option
def run(config: str, without: tuple[str, ...], *, as_json: bool) -> None:
    """Go on now with what is approved and whose grace is over, as the gateway does each minute. Exit 1: some wait."""
    with _opened(config, None) as (_, found):
        found.turn(frozenset(without))
        left = [each for each in found.all() if each.state in {"ready", "under_way"}]
        figures = found.figures
    if as_json:
        show.json({"v": 1, "figures": figures, "left": left})
    else:
        click.echo(f"{figures['disposed']} exhibits disposed of, {len(left)} disposals wait")
    for each in left:
        for part in each.exhibits:
            click.echo(f"{each.id} {part.exhibit}: {part.state}: {part.problem or '-'}", err=True)
    if left:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("name", metavar="ID")
@of_store
@as_json_option
def certificate(name: str, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Print the certificate of what was disposed of: of an exhibit, or of every exhibit of a disposal."""
    with _opened(config, data) as (store, found):
        exhibits = list(found.desk.one(name).parts) if name.startswith("D-") else [name]
        printed = [_certificate(store, exhibit) for exhibit in exhibits]
    if as_json:
        show.json({"v": 1, "certificates": printed})
    else:
        click.echo("\n\n".join(as_text(each) for each in printed))


def _certificate(store: Records, exhibit: str) -> dict[str, Any]:
    """From the detail of its dispose entry, with that entry's place in the log."""
    ended = [entry for entry in store.catalogue.custody(exhibit) if entry.kind == "dispose"]
    if not ended:
        raise click.ClickException(f"{exhibit} was not disposed of")
    found = store.custody.detail(ended[0].log_index)
    if found is None or not isinstance(found[0].get("certificate"), dict):
        raise EvidenceError(f"log entry {ended[0].log_index} holds no certificate")
    place = {"index": ended[0].log_index, "at": rfc3339(ended[0].at), "leaf_sha256": ended[0].leaf_sha256}
    return {**found[0]["certificate"], "log": {**place, "origin": store.custody.origin}}


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _states(each: DisposalTold) -> str:
    return ", ".join(f"{part.exhibit} {part.state}" for part in each.exhibits)


def _show(one: DisposalTold, *, as_json: bool) -> None:
    if as_json:
        show.json({"v": 1, "disposal": one})
    else:
        click.echo(f"{one.id} {one.state}: {_states(one)}; not before {rfc3339(one.not_before)}")
