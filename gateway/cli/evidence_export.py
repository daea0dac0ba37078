"""`lapel evidence export ID… -o DIR`: a bag that a court checks with stock tools; again after a crash, it goes on."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.evidence.export.letter import recipient_key
from gateway.evidence.export.order import Order, OrderError, Progress
from gateway.evidence.settings import LogSection
from gateway.evidence_half import records_at
from gateway.exporting import Terms, Wanted, export
from gateway.outlets.settings import TimestampSettings


def terms(config: str | None) -> tuple[LogSection, TimestampSettings]:
    """Witnesses and time-stamps of a store; without a configuration there are none that it names."""
    found = _terms(config)
    return found.log, found.stamping


def _terms(config: str | None) -> Terms:
    if config is None:
        return Terms(LogSection(), TimestampSettings())
    settings = configuration.load(config)
    return Terms(settings.log, settings.timestamp, settings.evidence.known_defects)


@click.command("export")
@click.argument("exhibits", nargs=-1, required=True, metavar="ID…")
@click.option("-o", "--output", "target", required=True, metavar="DIR", type=click.Path(path_type=Path))
@click.option("--purpose", required=True, help="What it is for; on record.")
@click.option("--recipient", required=True, help="Who gets it; on record.")
@click.option("--legal-gateway", required=True, help="By what right they get it; on record.")
@click.option("--to-age", metavar="RECIPIENT", help="Encrypt it to this age recipient: DIR.tar.age.")
@click.option("--own-time", is_flag=True, help="With --data: time-stamps of our own authority (self-asserted).")
@click.option(
    *("--wait", "--patience", "patience_s"),
    type=click.FloatRange(min=0.1),
    default=60.0,
    show_default=True,
    metavar="S",
    help="How long to wait for the witnesses.",
)
@of_store
@as_json_option
def export_(
    exhibits: tuple[str, ...],
    config: str | None,
    data: str | None,
    *,
    as_json: bool,
    **words: Any,  # noqa: ANN401 - click
) -> None:
    """Export exhibits ID… to DIR. What a crash or a missing witness left undone, the same command finishes."""
    agreed = _terms(config)
    if words["own_time"]:
        if config is not None:
            raise click.UsageError("--own-time: the configuration says whose time-stamps are used ([timestamp])")
        agreed = replace(agreed, stamping=TimestampSettings(embedded=True))
    order = _order(exhibits, words)
    target: Path = words["target"]
    if not target.absolute().parent.is_dir():
        raise click.UsageError(f"{target.absolute().parent}: there is no such folder")
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        wanted = Wanted(order, target.absolute(), words["patience_s"], told=_telling(config, words["patience_s"]))
        done = asyncio.run(export(store, agreed, wanted))
    if as_json:
        show.json({"v": 1, **{name: getattr(done, name) for name in done.__struct_fields__}})
        return
    click.echo(f"{done.export}: {len(done.exhibits)} exhibits, {done.entries} custody entries, in {done.path}")
    if order.to_age is None:
        click.echo(f"check it: lapel verify-export {done.path} --trust FILE; without Lapel: {done.path}/VERIFY.md")


def _telling(config: str | None, patience_s: float) -> Callable[[Progress], None]:
    """Say at once what is waited for, and what to do: a silent command looks like one that hangs."""

    def told(progress: Progress) -> None:
        if progress.step == "witness":
            click.echo(f"waiting for the witnesses, at most {patience_s:g} s (--patience S waits longer)", err=True)
            if config is None:
                click.echo("they are asked by the gateway while it runs, or by this command with -c FILE", err=True)

    return told


def _order(exhibits: tuple[str, ...], words: dict[str, Any]) -> Order:
    said = {name: words[name] for name in ("purpose", "recipient", "legal_gateway", "to_age")}
    order = Order(exhibits, actor=f"cli:{getpass.getuser()}", **said)
    try:
        order.check()
        if order.to_age is not None:
            recipient_key(order.to_age)
    except OrderError as wrong:
        raise click.UsageError(str(wrong)) from None
    return order
