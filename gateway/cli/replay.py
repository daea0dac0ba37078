"""`lapel replay`: past positions into a feed that is marked as exercise, on a port of its own."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import signal
from datetime import datetime

import click

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.custody import on_record
from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, places
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.exercising import Exercise, exercise
from gateway.settings import Settings


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="The configuration file.")
@click.option("--from", "since", required=True, type=Moment(), help="What arrived from then on.")
@click.option("--to", "until", required=True, type=Moment(), help="What arrived before then.")
@click.option("--speed", type=click.FloatRange(0.01, 10_000), default=1.0, help="So many times as fast as it was.")
@click.option("--port", type=click.IntRange(0, 65535), default=8090, help="Where the exercise is served; 0: any.")
@click.option("--unit", metavar="UNIT", help="This unit alone.")
@click.option("--purpose", default="", help="What it is for; on record.")
@click.option("--hold", is_flag=True, help="Serve on after the last position, until Ctrl-C.")
@as_json_option
def replay(  # noqa: PLR0913 - one argument an option
    *,
    config: str,
    since: datetime,
    until: datetime,
    speed: float,
    port: int,
    unit: str | None,
    purpose: str,
    hold: bool,
    as_json: bool,
) -> None:
    """Replay who was where; every frame says `exercise`. Accounts and tokens are those of the gateway."""
    if since >= until:
        raise click.UsageError("--to lies before --from")
    settings, found = configuration.load(config), places(config, None)
    said = {"from": rfc3339(since), "to": rfc3339(until), "unit": unit, "purpose": purpose}
    detail = {"what": "replay", **{name: part for name, part in said.items() if part}}
    on_record(found, Act("view", f"cli:{getpass.getuser()}", detail=detail))
    done = asyncio.run(_replay(settings, (since, until), speed, (port, unit, hold)))
    if as_json:
        show.json({"v": 1, "fixes": done.done.fixes, "outcomes": done.done.outcomes})
        return
    told = ", ".join(f"{count} {name}" for name, count in sorted(done.done.outcomes.items()))
    click.echo(f"{done.done.fixes} positions replayed" + (f": {told}" if told else ""))


async def _replay(
    settings: Settings, span: tuple[datetime, datetime], speed: float, how: tuple[int, str | None, bool]
) -> Exercise:
    port, unit, hold = how
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with exercise(settings, span, speed, port, unit) as running, asyncio.TaskGroup() as group:
        click.echo(f"exercise: http://{settings.api.host}:{running.port}/v1/units, /v1/feed", err=True)

        async def play() -> None:
            await running.play()
            if not hold:
                stop.set()

        playing = group.create_task(play())
        await stop.wait()
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await playing
    return running
