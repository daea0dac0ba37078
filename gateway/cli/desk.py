"""The desk of custody acts for a command: whose store, which tables, and refusals as exit codes."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import Iterator
from datetime import date

import click

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.places import places
from gateway.domain.time import rfc3339
from gateway.evidence.rows import Exhibit
from gateway.evidence.settings import RetentionSection
from gateway.evidence.work.desk import Desk
from gateway.evidence.work.refusals import UnfitError
from gateway.evidence.work.rules import Worker
from gateway.evidence_half import records_at
from gateway.observe import SystemClock
from gateway.working import desk_of


def worker() -> Worker:
    """Who sits at this terminal."""
    return Worker(f"cli:{getpass.getuser()}")


@contextlib.contextmanager
def at_desk(config: str | None, data: str | None, *, ruled: bool = False) -> Iterator[Desk]:
    """A desk over a store, beside a running gateway or not; ruled: the act needs rules, which -c names."""
    found = places(config, data)
    if config is None and ruled:
        raise click.UsageError("give -c FILE: rules and decisions begin in the configuration")
    retention = RetentionSection() if config is None else configuration.load(config).retention
    try:
        with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
            yield desk_of(retention, store.custody, store.catalogue, SystemClock())
    except UnfitError as wrong:
        raise click.UsageError(str(wrong)) from wrong


class Day(click.ParamType[date]):
    """A day, 2026-11-21."""

    name = "day"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Read the text."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a day (2026-11-21)", param, ctx)


def show_exhibit(row: Exhibit, *, as_json: bool) -> None:
    """What an act left: the exhibit as it is now."""
    if as_json:
        show.json({"v": 1, "exhibit": row})
        return
    held = f"held by {', '.join(row.holds)}" if row.held else "not held"
    dates = f"due {row.due or 'not by itself'}, review {row.review_due or 'not asked for'}"
    since = f"{rfc3339(row.started_at)} " if row.started_at else ""
    click.echo(f"{row.id}: {since}{row.category}, {row.rule}, {dates}, {held}")
