"""`lapel backup -o DIR`: a backup of a running store, whole or what has changed; `--verify` hashes one anew."""

from __future__ import annotations

import getpass
import sys
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from gateway.backup.checking import check
from gateway.backup.making import Store, make
from gateway.backup.manifest import Gap
from gateway.cli import show
from gateway.cli.places import Places, as_json_option, of_store, places
from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.domain.evidence import Act
from gateway.evidence_half import records_at
from gateway.observe import SystemClock

INTEGRITY = 3


@click.command()
@of_store
@click.option("-o", "--output", "folder", required=True, type=click.Path(file_okay=False), help="The backup's own.")
@click.option("--verify", is_flag=True, help="Hash the backup there anew; nothing is written.")
@click.option("--vkey", metavar="VKEY", help="With --verify: the log's verifier key as published elsewhere.")
@as_json_option
def backup(config: str | None, data: str | None, *, folder: str, verify: bool, vkey: str | None, as_json: bool) -> None:
    """Back up the store into DIR, or bring the backup there up to date; the gateway may run.

    Keys are not in it: see `lapel keys backup`. Exit 3 where something that should be in the store is missing.
    """
    if verify:
        sys.exit(_verify(Path(folder), vkey, as_json=as_json))
    found = places(config, data)
    sys.exit(_make(found, Path(folder), as_json=as_json))


def _make(found: Places, folder: Path, *, as_json: bool) -> int:
    with records_at(found.evidence, found.keys, found.origin, found.signers) as records:
        store = Store(found.data, found.keys, records.keystore.log_signer, SystemClock(), version("lapel"))
        actor = f"cli:{getpass.getuser()}"

        def note(act: Act) -> None:
            records.custody.record_now(msgspec.structs.replace(act, actor=actor))

        made = make(store, folder, note)
    if as_json:
        show.json({"v": 1, **msgspec.to_builtins(made)})
    else:
        counts = made.counts
        click.echo(
            f"{made.backup}: {made.size} entries, {counts['blobs']} blobs of {counts['exhibits']} exhibits "
            f"({counts['ended']} ended), {counts['files']} files, {counts['bytes']} bytes; "
            f"{made.copied_bytes} copied, {made.removed} removed"
        )
    return _named(made.gaps)


def _verify(folder: Path, vkey: str | None, *, as_json: bool) -> int:
    found = check(folder, pinned_key(vkey))
    if as_json:
        show.json({"v": 1, "ok": not found.gaps, **msgspec.to_builtins(found)})
    else:
        whose = "the pinned key" if found.pinned else "the key in it (--vkey to pin another)"
        click.echo(f"{found.backup}: {found.files} files, {found.bytes} bytes hashed; signed by {whose}")
    return _named(found.gaps)


def pinned_key(vkey: str | None) -> VerifierKey | None:
    """A verifier key as somebody typed it; a usage error where it is none."""
    try:
        return None if vkey is None else parse_vkey(vkey)
    except ValueError as wrong:
        raise click.UsageError(f"--vkey: {wrong}") from None


def _named(gaps: tuple[Gap, ...]) -> int:
    for gap in gaps:
        click.echo(f"{gap.path}: {gap.why}", err=True)
    return INTEGRITY if gaps else 0
