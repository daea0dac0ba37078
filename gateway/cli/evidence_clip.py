"""`lapel evidence clip ID --from --to --purpose`, `lapel evidence derive ID --recipe`: new exhibits of a master."""

from __future__ import annotations

import asyncio
import getpass
import time
from typing import Any

import click

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.places import as_json_option, of_store, places
from gateway.deriving import deriver
from gateway.errors import StoreBusyError
from gateway.evidence.derived.deriver import Deriver
from gateway.evidence.derived.wish import DeriveJob, Recipe, Wish, WishError
from gateway.evidence.rows import Exhibit
from gateway.evidence.settings import StoreSection
from gateway.evidence_half import Records, records_at
from gateway.media.settings import MediaSettings
from gateway.observe import SystemClock

PATIENCE_S = 60.0
AGAIN_S = 1.0


@click.command()
@click.argument("exhibit")
@click.option("--from", "from_s", type=float, required=True, metavar="S", help="Second of the recording.")
@click.option("--to", "to_s", type=float, required=True, metavar="S", help="Second of the recording.")
@click.option("--purpose", required=True, help="What it is for; on record.")
@click.option("--exact", is_flag=True, help="To the picture, encoded anew; else whole groups of pictures as they are.")
@of_store
@as_json_option
def clip(exhibit: str, config: str | None, data: str | None, *, as_json: bool, **words: Any) -> None:  # noqa: ANN401
    """Cut a clip out of EXHIBIT: a new exhibit; the master is only read."""
    recipe: Recipe = "clip_exact" if words["exact"] else "clip_copy"
    wish = Wish(exhibit, recipe, words["purpose"], _actor(), words["from_s"], words["to_s"])
    _made(wish, config, data, as_json=as_json)


@click.command()
@click.argument("exhibit")
@click.option("--recipe", type=click.Choice(["h264_copy", "still", "audio"]), required=True)
@click.option("--at", "at_s", type=float, metavar="S", help="Of a still: second of the recording.")
@click.option("--purpose", required=True, help="What it is for; on record.")
@of_store
@as_json_option
def derive(exhibit: str, config: str | None, data: str | None, *, as_json: bool, **words: Any) -> None:  # noqa: ANN401
    """Make a copy of EXHIBIT that plays everywhere, a still of it, or its sound: a new exhibit."""
    wish = Wish(exhibit, words["recipe"], words["purpose"], _actor(), at_s=words["at_s"])
    _made(wish, config, data, as_json=as_json)


def _actor() -> str:
    return f"cli:{getpass.getuser()}"


def _made(wish: Wish, config: str | None, data: str | None, *, as_json: bool) -> None:
    """Make it now; exit 1 with the reason where it cannot be made."""
    found = places(config, data)
    media, limits = MediaSettings(), StoreSection()
    if config is not None:
        settings = configuration.load(config)
        media, limits = settings.media, settings.store
    with records_at(found.evidence, found.keys, found.origin, found.signers) as store:
        deriving = deriver(store, media, limits, SystemClock())
        try:
            job = _finished(deriving, deriving.ask(wish))
        except (WishError, StoreBusyError) as wrong:
            raise click.ClickException(str(wrong)) from wrong
        _say(store, job, as_json=as_json)


def _finished(deriving: Deriver, job: DeriveJob) -> DeriveJob:
    """The job at its end; a running gateway may make another, or this very one, meanwhile."""
    ends_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            return asyncio.run(deriving.finish(job.exhibit))
        except StoreBusyError:
            if time.monotonic() > ends_s:
                raise
            time.sleep(AGAIN_S)


def _say(store: Records, job: DeriveJob, *, as_json: bool) -> None:
    if job.state == "failed":
        raise click.ClickException(f"{job.wish.master}: {job.reason}")
    row: Exhibit | None = store.catalogue.exhibit(job.exhibit)
    assert row is not None, "it was sealed"
    if as_json:
        show.json({"v": 1, "exhibit": row, "recipe": job.wish.recipe})
    else:
        click.echo(f"{row.id}: {row.name}, {row.size} bytes, log entry {row.log_index}, made of {row.parent}")
