"""`lapel check -c FILE`: everything that can be wrong before a start."""

from __future__ import annotations

import click
import msgspec

from drivers import registry
from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.places import as_json_option
from gateway.errors import ConfigError
from gateway.roster.importer import read


def checked(file: str) -> tuple[configuration.Settings, dict[str, msgspec.Struct]]:
    """The settings and each driver's own, all checked; ConfigError names file and key."""
    settings = configuration.load(file)
    drivers = {}
    for number, section in enumerate(settings.driver):
        key = f"driver[{number}]"
        try:
            kind = registry.settings_type(section.kind)
            drivers[section.name] = configuration.closed(kind, section.rest, key)
        except ConfigError as wrong:
            named = wrong.key if wrong.key.startswith(key) else f"{key}.{wrong.key.removeprefix('driver.')}"
            raise ConfigError(named, wrong.problem, file) from wrong
    if settings.roster.file:
        read(settings.roster.file)
    return settings, drivers


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="The configuration file.")
@as_json_option
def check(config: str, *, as_json: bool) -> None:
    """Validate FILE and everything that it names; print the effective settings."""
    settings, drivers = checked(config)
    body = msgspec.to_builtins(settings)
    body["driver"] = [
        {"kind": section.kind, "name": section.name, **msgspec.to_builtins(drivers[section.name])}
        for section in settings.driver
    ]
    if as_json:
        show.json(body)
        return
    for name, section in body.items():
        for number, entry in enumerate(section if isinstance(section, list) else [section]):
            title = f"[[{name}]] # {number}" if isinstance(section, list) else f"[{name}]"
            click.echo(title)
            for key, content in entry.items():
                click.echo(f"{key} = {msgspec.json.encode(content).decode()}")
    click.echo(f"{config}: good")
