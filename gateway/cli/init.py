"""`lapel init --profile full|positions|cameras -o DIR`: a configuration that starts a gateway, keys included."""

from __future__ import annotations

import os
import shlex
import tomllib
from pathlib import Path

import click
import msgspec

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.init_text import PROFILES, ROSTER, Site, text
from gateway.cli.places import as_json_option
from gateway.crypto.keys import KeyStore
from gateway.errors import ConfigError

PRIVATE, OURS = 0o600, 0o700
CONFIG, PEOPLE = "lapel.toml", "people.toml"


@click.command("init")
@click.option("--profile", type=click.Choice(PROFILES), default="full", show_default=True, help="Which inputs it has.")
@click.option("-o", "--output", "target", required=True, metavar="DIR", help="Where it goes: a new or an empty folder.")
@click.option("--name", default="lapel-1", show_default=True, help="This gateway's name.")
@click.option("--origin", help="The log's name for good, like police.example/lapel.")
@click.option("--broker", default="127.0.0.1:1883", show_default=True, metavar="HOST:PORT", help="The MQTT broker.")
@click.option("--embedded", is_flag=True, help="Start a broker of its own at that port, on this machine: for a trial.")
@click.option("--terminal", "terminals", multiple=True, metavar="PORT", help="A TETRA terminal's port; repeatable.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="HTTP port.")
@as_json_option
def init(target: str, *, broker: str, as_json: bool, **words: object) -> None:
    """Write a new site into DIR: configuration, data directory, keys. Nothing that is there is ever overwritten."""
    host, port = _address(broker)
    site = Site(host=host, broker_port=port, **words)  # type: ignore[arg-type]  # each checked by its option
    if site.terminals and site.profile == "cameras":
        raise click.UsageError("--terminal: this profile has cameras alone")
    written = text(site)
    try:
        configuration.parse(tomllib.loads(written.encode().decode()))
    except (ConfigError, ValueError) as wrong:  # a word that is no text
        raise click.UsageError(str(wrong)) from wrong
    folder = _room(Path(target))
    config = folder / CONFIG
    _write(folder / PEOPLE, ROSTER)
    data = folder / "data"
    data.mkdir(OURS)
    if site.evidence:
        KeyStore(data / "keys").load(create=True)
    # The configuration comes last: where it is, all of it is.
    _write(config, written)
    if as_json:
        told = {"v": 1, "config": str(config), "data": str(data), "roster": str(folder / PEOPLE)}
        show.json({**told, "keys": str(data / "keys") if site.evidence else None, "next": steps(config, site)})
        return
    click.echo(f"{config}: written; everything durable will lie in {data}")
    for number, step in enumerate(steps(config, site), 1):
        click.echo(f"{number}. {step.what}" + (f":\n     {step.command}" if step.command else ""))


class Step(msgspec.Struct, frozen=True):
    """What is to be done next; the command that does it, where one does."""

    what: str
    command: str | None = None


def steps(config: Path, site: Site) -> list[Step]:
    """What is to be done now, in this order."""
    of, folder = f"-c {shlex.quote(str(config))}", config.parent
    origin, key = "" if site.origin or not site.evidence else ", above all [log] origin", folder / "data/keys/kek-1.key"
    found = [
        Step(f"look through {config}{origin}; then", f"lapel check {of}"),
        Step("start the gateway: it runs until Ctrl-C or SIGTERM", f"lapel run {of}"),
        Step("beside it, make yourself an account", f"lapel user add admin --role administrator {of}"),
        Step("and a token, shown once: the page asks for it", f"lapel token create --user admin {of}"),
        Step(f"fill in {folder / PEOPLE}; then", f"lapel roster import {shlex.quote(str(folder / PEOPLE))} {of}"),
    ]
    if not site.embedded:
        command = f"lapel broker config --kind mosquitto -o /etc/mosquitto/lapel --host NAME --owner mosquitto {of}"
        found.append(
            Step("a broker that devices reach by NAME, with mutual TLS; its gateway.toml is for here", command)
        )
    if site.evidence:
        found.append(Step(f"keep two copies of {key} offline, apart from any backup: without it nothing can be read"))
        found.append(Step("publish what exports are checked against", f"lapel trust print {of}"))
    return found


def _address(broker: str) -> tuple[str, int]:
    host, _, port = broker.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise click.UsageError("--broker: give HOST:PORT")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _room(folder: Path) -> Path:
    """The folder, made where it is missing; a usage error where it has anything in it."""
    folder = folder.absolute()
    if not folder.parent.is_dir():
        raise click.UsageError(f"{folder.parent}: there is no such folder")
    try:
        folder.mkdir(OURS)
    except FileExistsError:
        if not folder.is_dir():
            raise click.UsageError(f"{folder} is no folder") from None
        if any(folder.iterdir()):
            raise click.UsageError(f"{folder} is not empty: nothing there is overwritten") from None
    return folder


def _write(path: Path, content: str) -> None:
    """A new file, on the disk; FileExistsError where there is one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(above)
    finally:
        os.close(above)
