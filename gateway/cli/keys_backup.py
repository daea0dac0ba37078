"""`lapel keys backup -o DIR`: the wrapped keys in a file of their own, on the list of their copies."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway.backup.key_backups import forget, keep_newest, known, make, places
from gateway.cli import show
from gateway.cli.places import Places, as_json_option, of_store
from gateway.cli.places import places as store_places
from gateway.evidence_half import origin_of

KEPT = 2


class Given(msgspec.Struct, frozen=True):
    """The options."""

    folder: str | None
    keep: int
    listing: bool
    destroyed: str | None
    as_json: bool


@click.command("backup")
@of_store
@click.option("-o", "--output", "folder", type=click.Path(file_okay=False), help="Where the new file goes.")
@click.option("--keep", type=click.IntRange(min=1), default=KEPT, show_default=True, help="How many stay in DIR.")
@click.option("--list", "listing", is_flag=True, help="List the backups of keys that there are.")
@click.option("--destroyed", metavar="ID", help="Take a backup off the list whose medium was destroyed.")
@as_json_option
def keys_backup(config: str | None, data: str | None, **words: Any) -> None:  # noqa: ANN401 - as click has them
    """Back up the wrapped keys; the key-encryption keys that open them are not in it.

    Every backup is on the list of its store (key-backups.json), so that destroying a key reaches it.
    """
    given = msgspec.convert(words, Given)
    if sum((given.folder is not None, given.listing, given.destroyed is not None)) != 1:
        raise click.UsageError("give one of -o DIR, --list or --destroyed ID")
    store = store_places(config, data)
    if given.listing:
        _list(store.data, as_json=given.as_json)
    elif given.destroyed is not None:
        if not forget(store.data, given.destroyed):
            raise click.UsageError(f"{given.destroyed}: no such backup is on the list")
    elif given.folder is not None:
        _make(store, Path(given.folder), given.keep, as_json=given.as_json)


def _make(store: Places, folder: Path, keep: int, *, as_json: bool) -> None:
    made, file = make(store.data, origin_of(store.evidence), folder, datetime.now(UTC))
    removed = keep_newest(store.data, folder, keep)
    if as_json:
        gone = [each.id for each in removed]
        show.json({"v": 1, **msgspec.to_builtins(made), "keys": len(file.rows), "removed": gone})
    else:
        click.echo(f"{made.id}: {len(file.rows)} wrapped keys in {made.path}; {len(removed)} older removed")


def _list(store: Path, *, as_json: bool) -> None:
    found = [(each, place.reachable) for each, place in zip(known(store), places(store), strict=True)]
    if as_json:
        show.json({"v": 1, "backups": [{**msgspec.to_builtins(one), "reachable": near} for one, near in found]})
    else:
        lines = [(one.id, one.at, one.path, "yes" if near else "no") for one, near in found]
        show.rows(("id", "made", "file", "reachable"), lines)
