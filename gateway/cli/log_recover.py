"""`lapel log recover`: a successor for a log that a witness has seen more of than there is."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
import msgspec

from gateway import settings as configuration
from gateway.claim import claim
from gateway.cli import show
from gateway.cli.places import as_json_option
from gateway.crypto.keys import KeyStore
from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.crypto.signers import key_files
from gateway.domain.evidence import Act
from gateway.errors import ConfigError, LinkError
from gateway.evidence.details import Details
from gateway.evidence.log.add_checkpoint import log_id
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.known_keys import KnownKeys
from gateway.evidence.log.witnessed import halted
from gateway.evidence.log.writer import LogWriter
from gateway.evidence.succession import (
    KIND,
    Begun,
    Former,
    Nobody,
    finish,
    former_of,
    former_without_key,
    interrupted,
    succeed,
)
from gateway.evidence_half import origin_of, records_at
from gateway.observe import SystemClock
from gateway.outlets.witness import WitnessClient
from gateway.settings import Settings
from gateway.store.catalogue import Catalogue
from gateway.store.keyring import Keyring


@click.command()
@click.option("-c", "--config", required=True, metavar="FILE", help="The configuration file.")
@click.option("--reason", required=True, help="What happened, for the record.")
@click.option("--checkpoint", type=click.Path(exists=True, dir_okay=False), help="What a witness saw, as a file.")
@click.option("--unproven-size", type=click.IntRange(min=1), help="A size that a witness told without a checkpoint.")
@click.option("--key-lost", is_flag=True, help="The log is whole, but its private key is gone: a new one signs on.")
@as_json_option
def recover(
    config: str, reason: str, checkpoint: str | None, unproven_size: int | None, *, key_lost: bool, as_json: bool
) -> None:
    """Start a successor log after a restore older than what a witness saw; it names what is missing.

    The witnessed checkpoint is taken from the halted log, from the configured witnesses, or from a file.
    The gateway must be stopped.
    """
    settings = configuration.load(config)
    descriptor = claim(settings.data)
    try:
        begun = _begun(settings, reason, checkpoint, unproven_size, key_lost=key_lost)
    finally:
        os.close(descriptor)
    if as_json:
        show.json({"v": 1, **msgspec.to_builtins(begun)})
        return
    missing = ", ".join(f"{start} to {end - 1}" for start, end in begun.missing) or "nothing"
    click.echo(f"successor {begun.origin} of {begun.former}: {begun.surviving} entries survive, missing: {missing}")
    click.echo(f"its verifier key, for every witness and everybody who pinned the old one:\n{begun.vkey}")


def _begun(
    settings: Settings, reason: str, checkpoint: str | None, unproven_size: int | None, *, key_lost: bool
) -> Begun:
    if key_lost:
        return _without_key(settings, reason)
    return _recovered(settings, reason, checkpoint, unproven_size)


def _recovered(settings: Settings, reason: str, checkpoint: str | None, unproven_size: int | None) -> Begun:
    evidence, disk = settings.data / "evidence", Disk()
    stopped = interrupted(evidence)
    if stopped is not None:
        finish(evidence, stopped, disk)
    vkey = evidence / "log" / "log.vkey"
    try:
        key = parse_vkey(vkey.read_text("utf-8").strip())
    except (OSError, ValueError) as wrong:
        raise ConfigError("", f"there is no log here: {wrong}", str(vkey)) from wrong
    if stopped is not None:
        return _caught_up(settings, Begun(str(key), key.name, stopped, -1, ()))
    keystore = KeyStore(settings.keys, settings.signers)
    keystore.load()
    known = KnownKeys(evidence / "log", key, keystore.log_keys.publics)
    witnessed = "" if unproven_size is not None else _witnessed(settings, known, checkpoint)
    writer = LogWriter(evidence / "log", key.name, keystore.log_keys, disk)
    return _succeeded(settings, keystore, writer, lambda: former_of(writer, witnessed, unproven_size), reason)


def _without_key(settings: Settings, reason: str) -> Begun:
    """The log's private key is gone: its successor has a new one, and no signature leads there."""
    evidence = settings.data / "evidence"
    known = KnownKeys(evidence / "log", VerifierKey(origin_of(evidence), bytes(32)))
    known.reload()
    key = known.current
    others = key_files(settings.log.signer, settings.keys).numbers
    keystore = KeyStore(settings.keys, settings.signers)
    keystore.load(create=True)
    if keystore.log_keys.of(key.public) is not None:
        raise ConfigError("", f"the private key of {key} is here: `lapel keys rotate log`", str(settings.keys))
    if others:
        keystore.log_keys.fresh()  # of those that are here nobody knows what they have signed
    writer = LogWriter(evidence / "log", key.name, Nobody(key.public), Disk())
    return _succeeded(settings, keystore, writer, lambda: former_without_key(writer), reason)


def _succeeded(
    settings: Settings, keystore: KeyStore, writer: LogWriter, former: Callable[[], Former], reason: str
) -> Begun:
    evidence = settings.data / "evidence"
    keyring, catalogue = Keyring(evidence / "keys.db", keystore), Catalogue(evidence / "evidence.db")
    keyring.open()
    catalogue.open()
    try:
        with writer.locked():
            found = former()
            act = Act(KIND, f"cli:{getpass.getuser()}", detail={"reason": reason})
            details = Details(evidence / "details", keyring, Disk())
            wanted = (act, SystemClock(), version("lapel"))
            begun = succeed(evidence, keystore.log_keys, (details, catalogue.clear), wanted, found)
    finally:
        catalogue.close()
        keyring.close()
    return _caught_up(settings, begun)


def _caught_up(settings: Settings, begun: Begun) -> Begun:
    """Opening the successor applies every entry to the catalogue."""
    store = (settings.data / "evidence", settings.keys, begun.origin, settings.signers)
    with records_at(*store, even_restored=True) as opened:
        surviving = opened.custody.size - 1
    return msgspec.structs.replace(begun, surviving=surviving)


def _witnessed(settings: Settings, known: KnownKeys, file: str | None) -> str:
    """The largest checkpoint of this log that anybody shows us; ConfigError where nobody does."""
    if file is not None:
        return Path(file).read_text("utf-8")
    why = halted(settings.data / "evidence" / "log")
    notes = [why.checkpoint] if why is not None and why.checkpoint else []
    notes += asyncio.run(_asked(settings, known.current))
    sized = [(size, note) for note in notes if (size := _size(note, known)) is not None]
    if not sized:
        raise ConfigError("log.witness", "no witness shows a checkpoint of this log (--checkpoint, --unproven-size)")
    return max(sized)[1]


def _size(note: str, known: KnownKeys) -> int | None:
    try:
        return known.shown(note.encode())[0].size
    except ValueError:
        return None


async def _asked(settings: Settings, key: VerifierKey) -> list[str]:
    notes = []
    for witness in settings.log.witness:
        client = WitnessClient(witness.url)
        await client.open()
        try:
            note = await client.latest(log_id(key.name))
            notes += [note.decode("utf-8", "replace")] if note else []
        except LinkError as problem:
            click.echo(f"witness {witness.name}: {problem}", err=True)
        finally:
            await client.close()
    return notes
