"""`lapel evidence audit`: who did what, over the six verbs of DPA 2018 s.62. Asking is itself on record."""

from __future__ import annotations

import csv
import getpass
import sys
from datetime import datetime
from typing import Any

import click

from gateway.cli import show
from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.evidence.rows import ActFilter
from gateway.evidence.work.audit import Audit, Verb
from gateway.evidence.work.verbs import COLUMNS, KINDS, VERBS
from gateway.evidence_half import Records, records_at

REPORT = "report over the verbs of DPA 2018 s.62"


@click.command("audit")
@click.option("--from", "since", type=Moment(), required=True, help="From when on.")
@click.option("--to", "until", type=Moment(), default="now", show_default=True, help="Up to when (exclusive).")
@click.option("--purpose", default=REPORT, show_default=True, help="What it is wanted for.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the acts as CSV, formulas escaped.")
@of_store
@as_json_option
def audit(  # noqa: PLR0913 - one argument an option
    *,
    since: datetime,
    until: datetime,
    purpose: str,
    config: str | None,
    data: str | None,
    as_csv: bool,
    as_json: bool,
) -> None:
    """Report collection, alteration, consultation, disclosure, combination and erasure in a span."""
    if since >= until:
        raise click.UsageError("--from is not before --to")
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    if not purpose.strip():
        raise click.BadParameter("says nothing", param_hint="--purpose")
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        span = {"from": rfc3339(since), "to": rfc3339(until)}
        detail = {"what": "audit", "purpose": purpose, "facets": span}
        store.custody.record_now(Act("browse", f"cli:{getpass.getuser()}", detail=detail))
        if as_csv:
            _csv(store, ActFilter(since=since, until=until))
            return
        verbs = Audit(store.custody, store.catalogue).report(since, until)
    if as_json:
        show.json({"v": 1, **span, "purpose": purpose, "verbs": verbs})
        return
    _show(verbs)


def _csv(store: Records, asked: ActFilter) -> None:
    """Line by line: a year of acts needs no memory."""
    writer = csv.writer(sys.stdout, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for act in Audit(store.custody, store.catalogue).every(
        ActFilter(since=asked.since, until=asked.until), tuple(KINDS)
    ):
        writer.writerow(act.cells())


def _show(verbs: list[Verb]) -> None:
    counts: list[tuple[Any, ...]] = []
    for verb in verbs:
        kinds = ", ".join(f"{kind} {count}" for kind, count in verb.kinds.items() if count)
        counts.append((verb.verb, verb.count, kinds or "-"))
    show.rows(("verb", "acts", "kinds"), counts)
    listed = sorted((act for verb in verbs for act in verb.acts), key=lambda act: (VERBS.index(act.verb), act.index))
    lines = [(a.verb, a.index, a.at, a.kind, a.exhibit, a.actor, a.justification, a.recipient) for a in listed]
    click.echo()
    show.rows(("verb", "log", "at", "act", "exhibit", "by", "justification", "recipient"), lines)
