"""`lapel history prove | verify | delete`: one officer's track, proved or destroyed without touching anybody else's."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from gateway.cli import show
from gateway.cli.evidence_export import terms
from gateway.cli.moments import Moment
from gateway.cli.places import Command, Places, as_json_option, of_store, places
from gateway.cli.verify_export import pinned, told
from gateway.disclosing import disclose, erase
from gateway.evidence.verify.history import verify_history
from gateway.evidence_half import records_at
from gateway.history.finding import Sought
from gateway.history.package import Asked
from gateway.history.reading import positions_in
from gateway.history.whom import of_device, of_person, of_unit
from gateway.history_half import fresh_id
from gateway.roster.directory import Roster
from gateway.store.roster import RosterStore
from gateway.tracks_half import forget

BEACONS, RADIOS = "drivers.beacon.decode:beacon", "drivers.tetra.decode:pei"


def decoded(channel: str, payload: bytes) -> Iterable[dict[str, Any]]:
    """The positions in a frame, by the drivers' own decoders; what they can't read has none."""
    where, options = (BEACONS, {"topic": channel}) if "/" in channel else (RADIOS, {})
    module, name = where.split(":")
    return positions_in(list(getattr(import_module(module), name)([payload], **options)))


def whose(command: Command) -> Command:
    """Add who and when to a command."""
    for name, said in (("unit", "U"), ("person", "P"), ("device", "D")):
        command = click.option(f"--{name}", metavar=said, help=f"Whose track: this {name}'s.")(command)
    command = click.option("--until", "--to", "until", type=Moment(), required=True, help="Before when.")(command)
    return click.option("--from", "since", type=Moment(), required=True, help="From when on.")(command)


@click.group()
def history() -> None:
    """Position history as evidence."""


@history.command()
@whose
@click.option("-o", "--output", "target", required=True, metavar="DIR", type=click.Path(path_type=Path))
@click.option("--purpose", required=True, help="What it is for; on record.")
@click.option("--recipient", required=True, help="Who gets it; on record.")
@click.option("--legal-gateway", required=True, help="By what right they get it; on record.")
@click.option("--wait", "patience_s", type=click.FloatRange(min=0.1), default=60.0, show_default=True, metavar="S")
@of_store
@as_json_option
def prove(config: str | None, data: str | None, *, target: Path, as_json: bool, **words: Any) -> None:  # noqa: ANN401 - click
    """Write one track to DIR, each frame proved to be in the log, and nothing of anybody else's."""
    log, _stamping = terms(config)
    target, found = target.absolute(), places(config, data)
    if not target.parent.is_dir():
        raise click.UsageError(f"{target.parent}: there is no such folder")
    name, sought = _sought(found, words)
    said = {each: words[each] for each in ("purpose", "recipient", "legal_gateway")}
    asked = Asked(fresh_id("E", datetime.now(UTC)), name, actor=f"cli:{getpass.getuser()}", **said)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        done = disclose(store, log, asked, sought, target, (decoded, words["patience_s"]))
    if as_json:
        show.json({"v": 1, **{each: getattr(done, each) for each in done.__struct_fields__}})
        return
    click.echo(f"{done.disclosure}: {done.frames} frames of {done.roots} hours, on record as entry {done.entry}")
    click.echo(f"check it: lapel history verify {done.path} --trust FILE; without Lapel: {done.path}/VERIFY.md")


@history.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--trust", metavar="FILE", type=click.Path(path_type=Path), help="What the operator publishes.")
@as_json_option
def verify(directory: Path, trust: Path | None, *, as_json: bool) -> None:
    """Check the package in DIR against what was published (the lines of `lapel trust print`). Exit 3 if it differs."""
    report = verify_history(directory, None if trust is None else pinned(trust))
    sys.exit(told(report, trusted=trust is not None, as_json=as_json))


@history.command()
@whose
@click.option("--reason", required=True, help="Why it is destroyed; on record.")
@click.option("--by", required=True, metavar="PERSON", help="Who asks for it.")
@click.option("--approved-by", required=True, metavar="PERSON", help="Who allows it: somebody else.")
@of_store
@as_json_option
def delete(config: str | None, data: str | None, *, as_json: bool, **words: Any) -> None:  # noqa: ANN401 - click
    """Destroy one track for good: frames and salts. What is proved of everybody else stays proved."""
    found = places(config, data)
    name, sought = _sought(found, words)
    people = _roster(found)
    for option in ("by", "approved_by"):
        if people.person(words[option]) is None:
            raise click.BadParameter(f"{words[option]!r} is nobody in the roster", param_hint=f"--{option}")
    if words["by"] == words["approved_by"]:
        raise click.UsageError("--approved-by: it takes a second person")
    spans = [[each.owner, each.since.isoformat(), each.until.isoformat()] for each in sought]
    why = {"whose": name, "spans": spans, "reason": words["reason"], "requester": words["by"]}
    why["approver"] = words["approved_by"]
    disposal = fresh_id("D", datetime.now(UTC))
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        frames, missed = erase(store, disposal, sought, why, (f"cli:{getpass.getuser()}", datetime.now(UTC)))
    shown = forget(found.data, [(each.owner, each.since, each.until) for each in sought])
    if as_json:
        show.json(
            {
                "v": 1,
                "disposal": disposal if frames else None,
                "frames": frames,
                "positions": shown,
                "not_reached": missed,
            }
        )
        return
    if shown:
        click.echo(f"{shown} positions that the control room could look at are gone with them")
    click.echo(f"{disposal}: {frames} frames destroyed" if frames else "there is nothing of that to destroy")
    for place in missed:
        click.echo(f"its keys may still lie in {place}: out of reach; destroy it", err=True)


def _sought(found: Places, words: dict[str, Any]) -> tuple[str, list[Sought]]:
    """In words, and by owner and span."""
    named = [(kind, words[kind]) for kind in ("device", "person", "unit") if words[kind] is not None]
    if len(named) != 1:
        raise click.UsageError("name one of --device, --person and --unit")
    (kind, name), span = named[0], (words["since"], words["until"])
    if span[0] >= span[1]:
        raise click.UsageError("--to lies before --from")
    people = _roster(found)
    if kind == "device":
        return f"device {name}", of_device(people, name, span)
    known = people.person(name) if kind == "person" else people.unit(name)
    if known is None:
        raise click.BadParameter(f"{name!r} is not in the roster", param_hint=f"--{kind}")
    person, unit = people.person(name), people.unit(name)
    if kind == "person" and person is not None:
        return f"person {name}", of_person(people, person, span)
    return f"unit {name}", of_unit(people, unit, span) if unit is not None else []


def _roster(found: Places) -> Roster:
    store = RosterStore(found.data / "roster.db")
    try:
        return store.roster()
    finally:
        store.close()
