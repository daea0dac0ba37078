"""`lapel evidence`: list and show here; every other verb of evidence work is in a module beside it."""

from __future__ import annotations

import getpass

import click
import msgspec

from gateway.cli import show
from gateway.cli.evidence_audit import audit
from gateway.cli.evidence_clip import clip, derive
from gateway.cli.evidence_copies import copies, promote
from gateway.cli.evidence_dispose import certificate, dispose
from gateway.cli.evidence_expected import expected_, seal_incomplete, settle_expected
from gateway.cli.evidence_export import export_
from gateway.cli.evidence_import import import_
from gateway.cli.evidence_rebuild import rebuild_
from gateway.cli.evidence_reconcile import reconcile_
from gateway.cli.evidence_settle import settle
from gateway.cli.evidence_verify import verify
from gateway.cli.evidence_work import COMMANDS
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.domain.time import rfc3339
from gateway.evidence.rows import Exhibit
from gateway.evidence_half import records_at


@click.group()
def evidence() -> None:
    """Evidence work from a terminal."""


evidence.add_command(verify)
evidence.add_command(expected_)
evidence.add_command(settle_expected)
evidence.add_command(seal_incomplete)
evidence.add_command(export_)
evidence.add_command(import_)
evidence.add_command(settle)
evidence.add_command(dispose)
evidence.add_command(certificate)
evidence.add_command(copies)
evidence.add_command(promote)
evidence.add_command(audit)
for command in COMMANDS:
    evidence.add_command(command)
evidence.add_command(reconcile_)
evidence.add_command(rebuild_)
evidence.add_command(clip)
evidence.add_command(derive)


@evidence.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@of_store
@as_json_option
def list_(limit: int, config: str | None, data: str | None, *, as_json: bool) -> None:
    """List exhibits, newest first."""
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        rows, total = store.catalogue.exhibits(limit=limit), store.catalogue.count()
        detail = {"listed": len(rows), "total": total}
        store.custody.record_now(Act("browse", f"cli:{getpass.getuser()}", detail=detail))
    if as_json:
        show.json({"v": 1, "total": total, "copies_wanted": found.copies, "exhibits": rows})
        return
    columns = ("exhibit", "recorded", "camera", "held by", "bytes", "log", "copies", "state", "remarks")
    show.rows(columns, (_line(row, None if config is None else found.copies) for row in rows))
    click.echo(f"{len(rows)} of {total} exhibits")


def _line(row: Exhibit, wanted: int | None) -> tuple[object, ...]:
    if row.disposed_at:
        state = "disposed"
    elif row.gone:
        state = "being disposed of"
    elif row.sealed_at is None:
        state = "receiving"
    else:
        state = "sealed" if row.complete else "sealed, incomplete"
        state += f", {row.playable}" if row.playable in ("partial", "unplayable") else ""
    recorded = rfc3339(row.started_at) if row.started_at else None
    of = "" if wanted is None else f"/{wanted}"  # without a configuration nobody says how many are wanted
    copies_ = f"{row.copies or 1}{of}" if row.sealed_at and not row.disposed_at else None
    return (row.id, recorded, row.device, row.holder, row.size, row.log_index, copies_, state, " ".join(row.flags))


@evidence.command("show")
@click.argument("exhibit")
@of_store
@as_json_option
def show_(exhibit: str, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Show EXHIBIT and its custody."""
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        if store.catalogue.exhibit(exhibit) is None:
            raise click.ClickException(f"{exhibit}: there is no such exhibit")
        actor = f"cli:{getpass.getuser()}"
        store.custody.record_now(Act("view", actor, ExhibitId(exhibit), detail={"what": "facts and custody"}))
        row, chain = store.catalogue.exhibit(exhibit), store.catalogue.custody(exhibit)
    if as_json:
        show.json({"v": 1, "exhibit": row, "copies_wanted": found.copies, "custody": chain})
        return
    show.facts({**msgspec.to_builtins(row), "copies_wanted": None if config is None else found.copies})
    lines = [(each.n, each.log_index, rfc3339(each.at), each.kind, each.actor) for each in chain]
    show.rows(("n", "log", "at", "act", "by"), lines)
