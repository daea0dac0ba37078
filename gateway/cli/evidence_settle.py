"""`lapel evidence settle [ID --by PERSON --reason TEXT]`: what waits for a person's word, and the word."""

from __future__ import annotations

import getpass

import click

from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.evidence.rows import Exhibit, ExhibitFilter
from gateway.evidence.settling import TO_SETTLE, Settlement, open_flags, settled
from gateway.evidence_half import Records, records_at
from gateway.roster.directory import Roster
from gateway.store.roster import RosterStore

WAITING = ExhibitFilter(sealed=True, flags=tuple(sorted(TO_SETTLE)))


@click.command()
@click.argument("exhibit", required=False)
@click.option("--by", metavar="PERSON", help="Who settles it: a person's id.")
@click.option("--reason", metavar="TEXT", help="Why it is settled so.")
@click.option("--holder", metavar="PERSON", help="Who held the camera, where that is now known.")
@of_store
@as_json_option
def settle(exhibit: str | None, config: str | None, data: str | None, *, as_json: bool, **word: str | None) -> None:
    """List what is to be settled; or settle EXHIBIT in a person's name."""
    if exhibit is not None and not (word["by"] and word["reason"]):
        raise click.UsageError("settling EXHIBIT takes --by and --reason")
    if exhibit is None and any(word.values()):
        raise click.UsageError("name the EXHIBIT that this settles")
    found = places(config, data)
    roster = RosterStore(found.data / "roster.db")
    try:
        people = roster.roster()
    finally:
        roster.close()
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        if exhibit is None:
            _list(store, as_json=as_json)
            return
        said = Settlement(_known(people, word["by"], "--by"), str(word["reason"]))
        if word["holder"]:
            said = Settlement(said.by, said.reason, _known(people, word["holder"], "--holder"))
        row = _settle(store, exhibit, said)
    if as_json:
        show.json({"v": 1, "exhibit": row})
    else:
        click.echo(f"{row.id} is settled: {' '.join(row.flags)}")


def _settle(store: Records, exhibit: str, word: Settlement) -> Exhibit:
    row = store.catalogue.exhibit(exhibit)
    if row is None:
        raise click.ClickException(f"{exhibit}: there is no such exhibit")
    try:
        act = settled(row, word, f"cli:{getpass.getuser()}")
    except ValueError as wrong:
        raise click.ClickException(str(wrong)) from wrong
    store.custody.record_now(act)
    return store.catalogue.exhibit(exhibit) or row


def _known(people: Roster, person: str | None, option: str) -> str:
    if person is None or people.person(person) is None:
        raise click.BadParameter(f"{person!r} is nobody in the roster", param_hint=option)
    return person


def _list(store: Records, *, as_json: bool) -> None:
    rows, total = store.catalogue.exhibits(WAITING, limit=1000), store.catalogue.count(WAITING)
    detail = {"facets": {"settle": True}, "listed": len(rows), "total": total}
    store.custody.record_now(Act("browse", f"cli:{getpass.getuser()}", detail=detail))
    if as_json:
        show.json({"v": 1, "total": total, "exhibits": rows})
        return
    lines = [(each.id, each.device, each.name, _at(each), " ".join(open_flags(each))) for each in rows]
    show.rows(("exhibit", "camera", "name", "recorded", "to be settled"), lines)
    click.echo(f"{total} to be settled")


def _at(row: Exhibit) -> str | None:
    return rfc3339(row.started_at) if row.started_at else None
