"""`lapel evidence import FILE… --from WHO --means TEXT`: footage of others, admitted like our own."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from gateway import settings as configuration
from gateway.cli import show
from gateway.cli.moments import Moment
from gateway.cli.places import as_json_option, of_store, places
from gateway.domain.ids import device_id
from gateway.errors import StoreBusyError
from gateway.evidence.importing import Imported, Refused, Store, Told, import_file, sweep, taking_turns
from gateway.evidence.settings import RetentionSection, StoreSection
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.room import Room
from gateway.evidence_half import records_at
from gateway.observe import SystemClock
from gateway.store.roster import RosterStore
from gateway.working import AgencyTerms, desk_of


@click.command("import")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@click.option("--from", "source", required=True, metavar="WHO", help="From whom the footage came.")
@click.option("--means", required=True, metavar="TEXT", help="How it came here: portal, disc, phone…")
@click.option("--device", metavar="ID", help="The device that recorded it, where it is one of ours.")
@click.option("--started-at", type=Moment(), help="When the recording began.")
@click.option("--ended-at", type=Moment(), help="When it ended.")
@of_store
@as_json_option
def import_(
    files: tuple[Path, ...],
    config: str | None,
    data: str | None,
    *,
    as_json: bool,
    **words: Any,  # noqa: ANN401 - click
) -> None:
    """Admit FILE… as exhibits: hashed, encrypted, sealed in the log with who brought them and how."""
    told, failed, done = _told(words), 0, []
    with _store(config, data) as store:
        for exhibit in sweep(store):
            click.echo(f"{exhibit}: an import that had not ended was taken back", err=True)
        for file in files:
            try:
                done.append(import_file(store, file, told))
                _say(done[-1], as_json=as_json)
            except (Refused, StoreBusyError) as wrong:
                failed += 1
                click.echo(str(wrong) if str(file) in str(wrong) else f"{file}: {wrong}", err=True)
    if as_json:
        show.json({"v": 1, "imported": done, "failed": failed})
    if failed:
        sys.exit(1)


def _say(done: Imported, *, as_json: bool) -> None:
    if not as_json:
        word = "was sealed before as" if done.already else "is"
        click.echo(f"{done.file} {word} {done.exhibit}, log entry {done.log_index}, sha256 {done.sha256}")


def _told(words: dict[str, Any]) -> Told:
    try:
        device = None if words["device"] is None else device_id(words["device"])
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--device") from wrong
    for name in ("source", "means"):
        if not words[name].strip():
            raise click.BadParameter("says nothing", param_hint=f"--{'from' if name == 'source' else name}")
    begun: datetime | None = words["started_at"]
    return Told(words["source"], words["means"], f"cli:{getpass.getuser()}", device, begun, words["ended_at"])


@contextlib.contextmanager
def _store(config: str | None, data: str | None) -> Iterator[Store]:
    found, clock = places(config, data), SystemClock()
    rules, limits = RetentionSection(), StoreSection()
    if config is not None:
        settings = configuration.load(config)
        rules, limits = settings.retention, settings.store
    if not found.evidence.is_dir():
        raise click.UsageError(f"{found.evidence}: there is no evidence store here")
    with contextlib.ExitStack() as stack:
        stack.enter_context(taking_turns(found.evidence))
        opened = stack.enter_context(records_at(found.evidence, found.keys, found.origin, found.signers))
        roster = RosterStore(found.data / "roster.db")
        stack.callback(roster.close)
        people, files = roster.roster(), DiskFiles()
        books = desk_of(rules, opened.custody, opened.catalogue, clock).books
        books.look()
        yield Store(
            root=found.evidence,
            files=files,
            room=Room(files, found.evidence, limits.reserve_mb << 20),
            keyring=opened.keyring,
            keks=opened.keystore,
            shelf=opened.catalogue,
            retention=AgencyTerms(people, books),
            record=lambda acts: asyncio.run(opened.custody.record_many(acts)),
            attribute=people.attribute,
            now=clock.now,
        )
