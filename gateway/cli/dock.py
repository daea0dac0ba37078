"""`lapel dock -c FILE`: sends recordings from folders and sticks until SIGTERM, or once."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import Any

import click

from drivers.links.mqtt_link import MqttLink
from gateway.cli.places import as_json_option
from gateway.dock.settings import DockSettings, load
from gateway.dock.station import Station, answers_topic
from gateway.observe import SystemClock
from gateway.ports import BrokerAddress
from gateway.settings import password

LOOK_S = 0.2


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="The dock's configuration file.")
@click.option("--once", is_flag=True, help="End when everything there is has its receipt.")
@click.option("--check", is_flag=True, help="Check the configuration, and do nothing else.")
@as_json_option
def dock(config: str, *, once: bool, check: bool, as_json: bool) -> None:
    """Send recordings of cameras that do not speak our protocol, and keep them until the receipt."""
    settings = load(config)
    if check:
        click.echo(f"{config}: in order: dock {settings.dock.id}, {len(settings.folder)} folders")
        return

    def tell(event: str, **words: Any) -> None:  # noqa: ANN401 - whatever an event has to say
        click.echo(json.dumps({"event": event, **words}) if as_json else _line(event, words))

    station = Station(settings, SystemClock(), tell)
    asyncio.run(_served(station, settings, once=once))
    if once and station.problems:
        raise click.ClickException("; ".join(f"{path}: {problem}" for path, problem in station.problems.items()))


def _line(event: str, words: dict[str, Any]) -> str:
    return " ".join([event, *(f"{name}={value}" for name, value in words.items() if value is not None)])


async def _served(station: Station, settings: DockSettings, *, once: bool) -> None:
    stop, loop, broker = asyncio.Event(), asyncio.get_running_loop(), settings.broker
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    address = BrokerAddress(
        broker.host, broker.port, broker.username, password(broker), broker.ca, broker.cert, broker.key
    )
    subscriptions = (answers_topic(settings.dock.id),)
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_until_quiet(station, stop)) if once else None
        await station.run(lambda hear: MqttLink(address, settings.dock.id, subscriptions, hear), stop)
        if watching is not None:
            watching.cancel()


async def _until_quiet(station: Station, stop: asyncio.Event) -> None:
    while not station.quiet:  # noqa: ASYNC110 - what it waits for is a state of many files, not one event
        await asyncio.sleep(LOOK_S)
    stop.set()
