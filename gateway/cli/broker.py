"""`lapel broker config`: a working broker configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from gateway import broker_files
from gateway.broker_files import Site
from gateway.cli.authority import authority
from gateway.cli.device import actor
from gateway.cli.places import of_store
from gateway.crypto.certificates import host_ok


@click.group()
def broker() -> None:
    """The MQTT broker between devices and gateway."""


@broker.command("config")
@click.option("--kind", type=click.Choice(["mosquitto"]), default="mosquitto", show_default=True)
@click.option("-o", "--out", required=True, metavar="DIR", help="Where the configuration goes.")
@click.option("--host", "hosts", multiple=True, help="A name or address that devices reach it by; may be repeated.")
@click.option("--port", type=click.IntRange(1, 65535), default=8883, show_default=True, help="For devices.")
@click.option("--gateway-port", type=click.IntRange(1, 65535), help="For the gateway; the next one unless said.")
@click.option("--bind", metavar="ADDRESS", help="Listen on this address alone.")
@click.option("--owner", metavar="USER", help="The broker's user, who is to own its key (as root).")
@of_store
def config_(  # noqa: PLR0913 - one argument an option
    *,
    kind: str,
    out: str,
    hosts: tuple[str, ...],
    port: int,
    gateway_port: int | None,
    bind: str | None,
    owner: str | None,
    config: str | None,
    data: str | None,
) -> None:
    """Write a Mosquitto configuration: mutual TLS 1.3, and rights by the name in each certificate."""
    del kind
    for host in hosts:
        if not host_ok(host):
            raise click.UsageError(f"--host: {host!r} is neither a name nor an address")
    other = gateway_port or (port + 1 if port < 65535 else port - 1)
    if other == port:
        raise click.UsageError("--gateway-port: devices and gateway need a port each")
    where, site = Path(out), Site(hosts or ("127.0.0.1", "localhost"), port, other, bind)
    with authority(config, data) as office:
        office.server(site.hosts, actor())
        office.publish()
        broker_files.write(where, office.directory, site, (office.revoked(), office.consumers()))
    if owner is not None:
        _give(where / "broker.key", owner)
    click.echo(f"{where}/mosquitto.conf: devices on port {port}, the gateway on {other}")
    click.echo(f"{where}/README.md says what to do; {where}/gateway.toml has the gateway's lines")


def _give(path: Path, owner: str) -> None:
    try:
        shutil.chown(path, owner)
    except (LookupError, PermissionError) as wrong:
        raise click.ClickException(f"{path}: cannot be given to {owner}: {wrong}") from wrong
