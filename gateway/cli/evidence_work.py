"""`lapel evidence categorise | annotate | amend | hold | holds | release | review | transfer`: acts, on record."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any, get_args

import click

from gateway.cli import show
from gateway.cli.desk import Day, at_desk, show_exhibit, worker
from gateway.cli.places import as_json_option, of_store
from gateway.evidence.work.acts import Amendable, Amendment, Categorisation, Review, Transfer
from gateway.evidence.work.desk import HoldWords

FIELDS = get_args(Amendable)


def _fields(_ctx: click.Context, param: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    """`NAME=TEXT`, each name once."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name or name in found:
            raise click.BadParameter(f"{pair!r}: write NAME=TEXT, each name once", param=param)
        found[name] = text
    return found


@click.command("categorise")
@click.argument("exhibit")
@click.option("--category", required=True, help="A category of the rules: lapel retention rules.")
@click.option("--exhibit-ref", metavar="REF", help="Initials and number: AB/1.")
@click.option("--incident", metavar="REF", help="The incident's reference; holds by incident follow it.")
@click.option("--reference", metavar="REF", help="Another reference: a notice, a case.")
@click.option("--note", metavar="TEXT", help="What else is to be said.")
@click.option("--field", "fields", multiple=True, metavar="NAME=TEXT", callback=_fields, help="Asked for by the rule.")
@of_store
@as_json_option
def categorise(exhibit: str, config: str | None, data: str | None, *, as_json: bool, **said: Any) -> None:  # noqa: ANN401
    """Give EXHIBIT a category; its rule and dates follow."""
    with at_desk(config, data, ruled=True) as desk:
        row = asyncio.run(desk.categorise(worker(), exhibit, Categorisation(**said)))
    show_exhibit(row, as_json=as_json)


@click.command("annotate")
@click.argument("exhibit")
@click.argument("text")
@click.option("--at", "at_s", type=float, metavar="SECONDS", help="Where in the recording.")
@of_store
@as_json_option
def annotate(
    *, exhibit: str, text: str, at_s: float | None, config: str | None, data: str | None, as_json: bool
) -> None:
    """Add a note to EXHIBIT."""
    with at_desk(config, data) as desk:
        row = asyncio.run(desk.annotate(worker(), exhibit, text, at_s))
    show_exhibit(row, as_json=as_json)


@click.command("amend")
@click.argument("exhibit")
@click.argument("field", type=click.Choice(FIELDS))
@click.option("--now", metavar="TEXT", help="What it should be; not given: nothing.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@of_store
@as_json_option
def amend(exhibit: str, config: str | None, data: str | None, *, as_json: bool, **said: Any) -> None:  # noqa: ANN401
    """Correct a FIELD of EXHIBIT; what it was stays on record."""
    with at_desk(config, data) as desk:
        row = asyncio.run(desk.amend(worker(), exhibit, Amendment(**said)))
    show_exhibit(row, as_json=as_json)


@click.command("hold")
@click.argument("exhibit", required=False)
@click.option("--incident", metavar="REF", help="Hold whatever bears this reference, now and later.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option("--reference", metavar="REF", help="Under what reference.")
@click.option("--until", type=Day(), metavar="DAY", help="When somebody has to look at it again.")
@of_store
@as_json_option
def hold(  # noqa: PLR0913 - one argument an option
    *,
    exhibit: str | None,
    incident: str | None,
    reason: str,
    reference: str | None,
    until: date | None,
    config: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Hold EXHIBIT, or all of an incident: nothing disposes of it while a hold stands."""
    if (exhibit is None) == (incident is None):
        raise click.UsageError("name either an EXHIBIT or an --incident")
    why = HoldWords(reason=reason, reference=reference, until=until)
    with at_desk(config, data) as desk:
        if incident is not None:
            name, held = asyncio.run(desk.hold_incident(worker(), incident, why))
        else:
            name, row = asyncio.run(desk.hold(worker(), str(exhibit), why))
            held = [row.id]
    _show_hold("holds", name, held, as_json=as_json)


@click.command("release")
@click.argument("exhibit", required=False)
@click.option("--hold", "name", required=True, metavar="H-…", help="Which hold ends.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@of_store
@as_json_option
def release(
    *, exhibit: str | None, name: str, reason: str, config: str | None, data: str | None, as_json: bool
) -> None:
    """End a hold of EXHIBIT; without one, a hold by incident on all that it holds."""
    with at_desk(config, data) as desk:
        if exhibit is None:
            held = asyncio.run(desk.release_incident(worker(), name, reason))
        else:
            held = [asyncio.run(desk.release(worker(), exhibit, name, reason)).id]
    _show_hold("releases", name, held, as_json=as_json)


@click.command("holds")
@click.option("--until-before", type=Day(), metavar="DAY", help="Those to be looked at again before it.")
@of_store
@as_json_option
def holds(until_before: date | None, config: str | None, data: str | None, *, as_json: bool) -> None:
    """List holds by incident, and those of exhibits."""
    with at_desk(config, data) as desk:
        found, placed = asyncio.run(desk.holds(until_before))
    if as_json:
        show.json({"v": 1, "holds": found, "exhibits": placed})
        return
    lines = [(e.hold, e.incident, e.reason, e.until, "stands" if e.stands else "released") for e in found]
    lines += [(e.hold, e.exhibit, str(e.reason), e.until, "stands") for e in placed]
    show.rows(("hold", "of", "reason", "look again", ""), lines)


@click.command("review")
@click.argument("exhibit")
@click.option("--decision", required=True, help="One of the configuration's: lapel retention rules.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@click.option(
    "--since", type=Day(), metavar="DAY", help="The verdict, the release: what periods run from, if not today."
)
@of_store
@as_json_option
def review(exhibit: str, config: str | None, data: str | None, *, as_json: bool, **said: Any) -> None:  # noqa: ANN401
    """Record a review of EXHIBIT and its decision; the dates follow."""
    with at_desk(config, data, ruled=True) as desk:
        row = asyncio.run(desk.review(worker(), exhibit, Review(**said)))
    show_exhibit(row, as_json=as_json)


@click.command("transfer")
@click.argument("exhibit")
@click.option("--recipient", required=True, metavar="TEXT", help="To whom.")
@click.option("--legal-gateway", required=True, metavar="TEXT", help="By what right.")
@click.option("--purpose", required=True, metavar="TEXT", help="For what.")
@click.option("--how", metavar="TEXT", help="By what means.")
@click.option("--controller", metavar="NAME", help="Whose it is from now on.")
@click.option("--disclosed", is_flag=True, help="Shown or told, not handed over.")
@of_store
@as_json_option
def transfer(exhibit: str, config: str | None, data: str | None, *, as_json: bool, **said: Any) -> None:  # noqa: ANN401
    """Record to whom EXHIBIT went, or what of it was disclosed."""
    with at_desk(config, data) as desk:
        row = asyncio.run(desk.transfer(worker(), exhibit, Transfer(**said)))
    show_exhibit(row, as_json=as_json)


def _show_hold(verb: str, name: str, exhibits: list[str], *, as_json: bool) -> None:
    if as_json:
        show.json({"v": 1, "hold": name, "exhibits": exhibits})
    else:
        click.echo(f"{name} {verb} {len(exhibits)}: {' '.join(exhibits) or 'nothing yet'}")


COMMANDS = (categorise, annotate, amend, hold, holds, release, review, transfer)
