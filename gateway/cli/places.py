"""Where a store lies: `-c FILE` or `--data DIR`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from gateway import settings as configuration
from gateway.crypto.signers import Uris

Command = TypeVar("Command", bound=Callable[..., Any])


class Places(msgspec.Struct, frozen=True):
    """The directories of one store and of its copies; origin, signers, copies wanted, where a config says it."""

    data: Path
    evidence: Path
    keys: Path
    origin: str | None = None
    copies: int = 1
    signers: Uris = Uris()
    copy_places: tuple[Path, ...] = ()
    device_authority: Path | None = None

    @property
    def authority(self) -> Path:
        """Where the device authority lies."""
        return self.device_authority or self.keys / "authority"


def places(config: str | None, data: str | None) -> Places:
    """Find the store; a usage error when neither is given or it is not there. ConfigError for a bad config."""
    if (config is None) == (data is None):
        raise click.UsageError("give either -c FILE or --data DIR")
    if config is not None:
        settings = configuration.load(config)
        found = Places(
            settings.data,
            settings.data / "evidence",
            settings.keys,
            settings.log.origin,
            settings.store.copies,
            settings.signers,
            tuple(Path(each) / "evidence" for each in settings.store.copy_to),
            settings.authority,
        )
    else:
        root = Path(str(data))
        found = Places(root, root / "evidence", root / "keys")
    if not found.data.is_dir():
        raise click.UsageError(f"{found.data}: there is no store here")
    return found


def of_store(command: Command) -> Command:
    """Add -c and --data to a command that works on a store."""
    with_data = click.option("--data", metavar="DIR", help="The data directory.")(command)
    return click.option("-c", "--config", metavar="FILE", help="The configuration file.")(with_data)


def as_json_option(command: Command) -> Command:
    """Add --json to a command."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)
