"""`lapel run -c FILE`: the gateway, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import signal

import click
import structlog

from gateway.allocator import keep_freed_blocks
from gateway.app import Gateway, checked, serve
from gateway.errors import ConfigError
from gateway.observe import set_up_logs


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="The configuration file.")
def run(config: str) -> None:
    """Run the gateway until SIGTERM or SIGINT."""
    settings, drivers = checked(config)
    set_up_logs(settings.observe.level, settings.observe.format)
    keep_freed_blocks()

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await serve(settings, drivers, stop, _started)
        structlog.get_logger().info("stopped")

    try:
        asyncio.run(main())
    except ConfigError as wrong:
        raise ConfigError(wrong.key, wrong.problem, wrong.file or config) from wrong


def _started(gateway: Gateway) -> None:
    # What stays as long as the process does need not be looked through for cycles again and again: with a large roster
    # each time would hold up the feed for tenths of a second.
    gc.collect()
    gc.freeze()
    api = gateway.settings.api
    structlog.get_logger().info(
        "started",
        instance=gateway.settings.gateway.instance,
        address=f"http://{api.host}:{gateway.api_port}/",
        data=str(gateway.settings.data),
        inputs=sorted(gateway.inputs()),
        evidence="shut" if gateway.evidence_problem else ("on" if gateway.evidence else "off"),
    )
