"""`lapel keys rotate log|kek|export|tsa` and `lapel keys retire NAME`: keys changed for new ones, on record."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from gateway.backup.key_backups import refuse_needed
from gateway.cli import show
from gateway.cli.places import Command, Places, as_json_option, of_store, places
from gateway.crypto.export_keys import certificates, stamping_files
from gateway.crypto.signers import key_files
from gateway.errors import ConfigError
from gateway.evidence_half import Records, records_at
from gateway.rekeying import (
    Turned,
    Why,
    holders,
    retire_certificate,
    retire_kek,
    retire_log,
    rotate_certificate,
    rotate_kek,
    rotate_log,
)


def reasoned(command: Command) -> Command:
    """Add --reason, the store's options and --json to a command."""
    given = click.option("--reason", required=True, help="Why, for the record.")(command)
    return as_json_option(of_store(given))


def _why(reason: str) -> Why:
    if not reason.strip():
        raise click.UsageError("--reason: say why")
    return Why(f"cli:{getpass.getuser()}", reason)


@click.group()
def rotate() -> None:
    """Change a key for a new one. A running gateway goes on with the new one by itself."""


def _rotated(config: str | None, data: str | None, turn: Callable[[Records, Places], Turned], *, as_json: bool) -> None:
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        turned = turn(store, found)
    if as_json:
        show.json({"v": 1, **msgspec.to_builtins(turned)})
        return
    click.echo(f"{turned.what}: {turned.old} is followed by {turned.new} (entry {turned.index})")
    for name, number in turned.rewrapped.items():
        click.echo(f"wrapped anew in {name}: {number}")


@rotate.command()
@click.option("--overlap", is_flag=True, help="The old key goes on signing beside the new one until `keys retire`.")
@reasoned
def log(config: str | None, data: str | None, reason: str, *, overlap: bool, as_json: bool) -> None:
    """A new signing key for the log; the old one signs the hand-over. Publish `lapel trust print` anew."""
    why = _why(reason)
    _rotated(config, data, lambda store, _: rotate_log(store, why, overlap=overlap), as_json=as_json)


@rotate.command()
@reasoned
def kek(config: str | None, data: str | None, reason: str, *, as_json: bool) -> None:
    """A new key-encryption key; everything is wrapped anew under it. Cut off, the same command goes on."""
    why = _why(reason)

    def turn(store: Records, found: Places) -> Turned:
        with holders(found.data, store.keystore, found.copy_places) as held:
            return rotate_kek(store, held, why)

    _rotated(config, data, turn, as_json=as_json)


@rotate.command()
@reasoned
def export(config: str | None, data: str | None, reason: str, *, as_json: bool) -> None:
    """A new key and certificate for exports. Publish `lapel trust print` anew."""
    why, now = _why(reason), datetime.now(UTC)
    _rotated(config, data, lambda store, _: rotate_certificate(store, "export", why, now), as_json=as_json)


@rotate.command()
@reasoned
def tsa(config: str | None, data: str | None, reason: str, *, as_json: bool) -> None:
    """A new key and certificate for our own time-stamping authority. Publish `lapel trust print` anew."""
    why, now = _why(reason), datetime.now(UTC)
    _rotated(config, data, lambda store, _: rotate_certificate(store, "tsa", why, now), as_json=as_json)


@click.command()
@click.argument("name")
@reasoned
def retire(name: str, config: str | None, data: str | None, reason: str, *, as_json: bool) -> None:
    """Destroy a former private key, NAME as `lapel keys list` has it. Refused while anything needs it."""
    why = _why(reason)
    found = places(config, data)
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        _retire(store, found, name, why)
    if as_json:
        show.json({"v": 1, "retired": name})
    else:
        click.echo(f"{name} is destroyed")


def _retire(store: Records, found: Places, name: str, why: Why) -> None:
    keystore = store.keystore
    families = [key_files(keystore.uris.export, keystore.directory), stamping_files(keystore.directory)]
    family = next((each for each in families if name in _names(certificates(each))), None)
    if name in keystore.kek_ids:
        refuse_needed(found.data, name)
        with holders(found.data, keystore, found.copy_places) as held:
            retire_kek(store, held, name, why)
    elif name in _names(keystore.log_keys.listed()):
        retire_log(store, name, why)
    elif family is not None:
        retire_certificate(store, family, name, why)
    else:
        raise ConfigError("", f"there is no key {name!r} (lapel keys list)", str(found.keys))


def _names(listed: list[tuple[str, bytes]]) -> set[str]:
    return {Path(file).stem for file, _ in listed}
