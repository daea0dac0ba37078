"""`lapel check -c FILE`: everything that can be wrong before a start."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from gateway.app import checked
from gateway.cli import show
from gateway.cli.places import as_json_option


def _toml(content: Any) -> str:  # noqa: ANN401 - whatever a setting can be
    if isinstance(content, dict):
        pairs = ", ".join(
            f"{json.dumps(str(key))} = {_toml(part)}" for key, part in content.items() if part is not None
        )
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(content, (list, tuple)):
        return f"[{', '.join(map(_toml, content))}]"
    return json.dumps(content, ensure_ascii=False)


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
        entries = section if isinstance(section, list) else [section]
        for entry in entries:
            click.echo(f"[[{name}]]" if isinstance(section, list) else f"[{name}]")
            for key, content in entry.items():
                click.echo(f"# {key} is not set" if content is None else f"{key} = {_toml(content)}")
            click.echo()
    click.echo(f"{config}: good")
