"""`lapel response-times`: how quickly units reacted, by unit, agency or kind of incident."""

from __future__ import annotations

from datetime import datetime
from typing import cast, get_args

import click

from gateway.cli import show
from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, of_store, places
from gateway.dispatch.ports import Wanted
from gateway.dispatch.times import LEGS, By, Row
from gateway.dispatch.times import response_times as measured
from gateway.store.roster import RosterStore
from gateway.store.tasks import TaskStore


@click.command("response-times")
@click.option("--from", "since", type=Moment(), help="Tasks given from then on.")
@click.option("--to", "until", type=Moment(), help="Tasks given before then.")
@click.option("--by", type=click.Choice(get_args(By)), default="unit", help="What they are put together by.")
@of_store
@as_json_option
def response_times(
    *, since: datetime | None, until: datetime | None, by: str, config: str | None, data: str | None, as_json: bool
) -> None:
    """Reported, dispatched (sent by the radio), en route, at scene: tasks counted, median and 90th percentile."""
    store = RosterStore(places(config, data).data / "roster.db")
    try:
        tasks = TaskStore(store.engine).tasks(Wanted(since=since, until=until, limit=None))
    finally:
        store.close()
    report = measured(tasks, cast("By", by))
    if as_json:
        show.json(report)
        return
    show.rows(
        [by, "tasks", *(leg.replace("_", " ") for leg in LEGS)], [_line(row) for row in [*report.rows, report.whole]]
    )
    if report.implausible:
        click.echo(f"{report.implausible} durations below nothing (a clock was wrong) are left out", err=True)


def _line(row: Row) -> list[object]:
    return [row.key, row.tasks, *(_cell(row, leg) for leg in LEGS)]


def _cell(row: Row, leg: str) -> str | None:
    """`median / p90 (count)`."""
    known = row.legs[leg]
    return f"{_span(known.median_s)} / {_span(known.p90_s)} ({known.count})" if known.count else None


def _span(seconds: float | None) -> str:
    minutes, rest = divmod(round(seconds or 0.0), 60)
    return f"{minutes}:{rest:02d}"
