"""`lapel restore BACKUP -o DATA`: puts a backup back, and proves that it is all there, or names what is not."""

from __future__ import annotations

import asyncio
import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from gateway import settings as configuration
from gateway.backup.checking import Opened, opened
from gateway.backup.key_backups import enlist
from gateway.backup.keys_file import read_keys
from gateway.backup.known import Known, judge
from gateway.backup.restored import Restored
from gateway.backup.restoring import Put, restore
from gateway.cli import show
from gateway.cli.backup import pinned_key
from gateway.cli.places import as_json_option
from gateway.domain.time import rfc3339
from gateway.errors import LinkError
from gateway.evidence.log.add_checkpoint import log_id
from gateway.outlets.witness import WitnessClient
from gateway.settings import Settings

INTEGRITY = 3
SHOWN = 50


class Given(msgspec.Struct, frozen=True):
    """The options."""

    keys_backup: str | None
    keys: str | None
    config: str | None
    checkpoint: str | None
    vkey: str | None
    as_json: bool


@click.command("restore")
@click.argument("backup", type=click.Path(exists=True, file_okay=False))
@click.option("-o", "--output", "target", required=True, type=click.Path(), help="The new data directory, empty.")
@click.option(
    "--keys-backup", type=click.Path(exists=True, dir_okay=False), help="The wrapped keys (lapel keys backup)."
)
@click.option(
    "--keys", type=click.Path(exists=True, file_okay=False), help="The keys directory, so that all is opened."
)
@click.option("-c", "--config", metavar="FILE", help="The configuration: its witnesses are asked what they saw.")
@click.option("--checkpoint", type=click.Path(exists=True, dir_okay=False), help="A later checkpoint of this log.")
@click.option("--vkey", metavar="VKEY", help="The log's verifier key as published elsewhere.")
@as_json_option
def restore_command(backup: str, target: str, **words: Any) -> None:  # noqa: ANN401 - the options, as click has them
    """Put BACKUP back into an empty directory, whole or not at all, and say what is there and what is missing.

    Everything is verified before it is put in place. Exit 3 where anything is missing or differs: it is named.
    """
    given = msgspec.convert(words, Given)
    found = opened(Path(backup), pinned_key(given.vkey))
    settings = configuration.load(given.config) if given.config is not None else None
    known = judge(found, _notes(found, settings, given.checkpoint))
    keys = None if given.keys_backup is None else read_keys(Path(given.keys_backup))
    mark = _mark(found, known)
    put = restore(found, Path(target), keys, _kek_folder(given.keys, settings), mark)
    if given.keys_backup is not None and keys is not None:
        enlist(Path(target), Path(given.keys_backup).absolute(), keys.head)
    if given.as_json:
        _as_json(put, known)
    else:
        _tell(put, known)
    sys.exit(0 if put.whole and not known.missing and not known.unjudged else INTEGRITY)


def _mark(found: Opened, known: Known) -> Restored:
    head, by = found.manifest.head, f"cli:{getpass.getuser()}"
    now = rfc3339(datetime.now(UTC))
    return Restored(head.backup, head.origin, head.size, head.root, known.size, now, by, head.counts)


def _kek_folder(given: str | None, settings: Settings | None) -> Path | None:
    folder = Path(given) if given is not None else settings.keys if settings is not None else None
    return folder if folder is not None and folder.is_dir() else None


def _notes(found: Opened, settings: Settings | None, file: str | None) -> list[tuple[str, bytes]]:
    """Whatever checkpoints of this log somebody else shows, and who does."""
    notes = [] if file is None else [(file, Path(file).read_bytes())]
    if settings is not None:
        notes += asyncio.run(_asked(settings, found.key.name))
    return notes


async def _asked(settings: Settings, origin: str) -> list[tuple[str, bytes]]:
    notes = []
    for witness in settings.log.witness:
        client = WitnessClient(witness.url)
        await client.open()
        try:
            note = await client.latest(log_id(origin))
            notes += [(f"witness {witness.name}", note)] if note else []
        except LinkError as problem:
            click.echo(f"witness {witness.name}: {problem}", err=True)
        finally:
            await client.close()
    return notes


def _as_json(put: Put, known: Known) -> None:
    body = {
        "v": 1,
        "whole": put.whole and not known.missing and not known.unjudged,
        "restored": msgspec.to_builtins(put.restored),
        "known": msgspec.to_builtins(known),
        "completeness": msgspec.to_builtins(put.found),
        "gaps": msgspec.to_builtins(put.gaps),
        "verified": {"ok": put.report.ok, **msgspec.to_builtins(put.report)},
    }
    show.json(body)


def _tell(put: Put, known: Known) -> None:
    """The proof of completeness, for a person."""
    mark, found = put.restored, put.found
    click.echo(f"{mark.backup} of {mark.origin}: log size {mark.size} of {known.size} entries (known from {known.who})")
    if found is not None:
        with_both = f"{found.blobs} have their blob and {found.keys} their key"
        rest = f"{found.ended} ended; {found.under_way} not sealed; {found.staged} uploads under way"
        click.echo(f"{found.exhibits} exhibits: {found.sealed} sealed, of which {with_both}; {rest}")
    missing = _missing(put, known)
    for line in missing[:SHOWN]:
        click.echo(line, err=True)
    if len(missing) > SHOWN:
        click.echo(f"and {len(missing) - SHOWN} more (--json names all)", err=True)
    since = [] if found is None else found.sealed_since
    notes = [f"upload {name}: sealed after this backup, before that of the keys: its camera has it" for name in since]
    for note in [*notes, *put.report.notes]:
        click.echo(f"note: {note}")
    if known.missing:
        spans = ", ".join(f"{start} to {end - 1}" for start, end in known.missing)
        click.echo(f"older than what {known.who} saw: entries {spans} are missing", err=True)
        click.echo("before the gateway starts: lapel log recover; its successor log will name them", err=True)
    if not missing and not known.missing:
        click.echo("complete: everything that the log speaks of is here")


def _missing(put: Put, known: Known) -> list[str]:
    """Whatever is not there or not as it should be, a line each."""
    lines = [f"not compared: {problem}" for problem in known.unjudged]
    lines += [f"{gap.path}: {gap.why}" for gap in put.gaps]
    if put.found is not None:
        lines += [f"blob of {name}: missing" for name in put.found.missing_blobs]
        lines += [f"key {name}: missing" for name in put.found.missing_keys]
        lines += [f"key {name}: destroyed, and yet there" for name in put.found.ended_keys]
    lines += [f"{each.path}: expected {each.expected}, found {each.found}" for each in put.report.findings]
    return lines + [f"{each.path}: not read: {each.found}" for each in put.report.unread]
