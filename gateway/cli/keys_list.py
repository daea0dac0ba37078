"""`lapel keys list`: every key of a store, what it is, since when, who may read it, and what is wrapped under it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from gateway.cli import show
from gateway.cli.places import Places, as_json_option, of_store, places
from gateway.crypto.export_keys import certificates, fingerprint, stamping_files
from gateway.crypto.notes import VerifierKey
from gateway.crypto.signers import KeyFiles, key_files
from gateway.domain.time import rfc3339
from gateway.evidence_half import Records, records_at
from gateway.rekeying import Holder, changes, holders

AUTHORITY = ("device-ca", "site-ca", "gateway", "broker", "lapel-probe")


class Listed(msgspec.Struct, frozen=True):
    """One key. since: when its file was made; state: what it is for now; wraps: secrets by where they lie."""

    id: str
    kind: str
    state: str
    since: str | None
    mode: str | None
    wraps: dict[str, int] = {}
    public: str | None = None


@click.command("list")
@of_store
@as_json_option
def list_(config: str | None, data: str | None, *, as_json: bool) -> None:
    """List the keys: ids, kinds, states, since when, permissions, and how much is wrapped under each KEK."""
    found = places(config, data)
    with (
        records_at(found.evidence, found.keys, found.origin, found.signers) as store,
        holders(found.data, store.keystore, found.copy_places) as held,
    ):
        keys = [*_keks(store, held), *_log(store), *_certified(store), *_authority(found)]
    if as_json:
        show.json({"v": 1, "keys": keys})
        return
    lines = [(key.id, key.kind, key.state, key.since, key.mode, _wraps(key.wraps), key.public) for key in keys]
    show.rows(("id", "kind", "state", "since", "mode", "wraps", "public"), lines)


def _wraps(counts: dict[str, int]) -> str | None:
    return ", ".join(f"{number} in {name}" for name, number in counts.items()) or None


def _file(path: Path) -> tuple[str | None, str | None]:
    """(since, mode) of a key file; nothing of one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return None, None
    return rfc3339(datetime.fromtimestamp(found.st_mtime, UTC)), f"{found.st_mode & 0o7777:04o}"


def _keks(store: Records, held: Sequence[Holder]) -> list[Listed]:
    keystore = store.keystore
    counted = {each.name: each.under() for each in held}
    ids = dict.fromkeys((*keystore.kek_ids, *(kek for under in counted.values() for kek in under)))
    keys = []
    for kek in ids:
        wraps = {name: under[kek] for name, under in counted.items() if under.get(kek)}
        state = "wraps" if kek == keystore.kek_ids[-1] else "former" if kek in keystore.kek_ids else "MISSING"
        keys.append(Listed(kek, "key-encryption", state, *_file(keystore.directory / f"{kek}.key"), wraps))
    return keys


def _log(store: Records) -> list[Listed]:
    """The private keys that are here, and those of the chain that are not any more."""
    keystore = store.keystore
    former = {each.facts["old"] for each in changes(store, "log") if "old" in each.facts}
    keys = []
    for name, public in keystore.log_keys.listed():
        vkey = str(VerifierKey(store.custody.vkey.split("+", 1)[0], public))
        state = "signs" if vkey == store.custody.vkey else "former" if vkey in former else "never used"
        path = key_files(keystore.uris.log, keystore.directory).first.with_name(name)
        keys.append(Listed(path.stem, "log", state, *_file(path), public=vkey))
    return keys


def _certified(store: Records) -> list[Listed]:
    keystore = store.keystore
    families: list[tuple[str, KeyFiles]] = [
        ("export", key_files(keystore.uris.export, keystore.directory)),
        ("time-stamp", stamping_files(keystore.directory)),
    ]
    keys = []
    for kind, files in families:
        found = certificates(files)
        for name, pem in found:
            path = files.first.with_name(name).with_suffix(".key")
            state = "signs" if (name, pem) == found[-1] else "former"
            keys.append(Listed(path.stem, kind, state, *_file(path), public=f"sha256:{fingerprint(pem)}"))
    return keys


def _authority(found: Places) -> list[Listed]:
    folder = found.authority
    paths = [folder / f"{name}.key" for name in AUTHORITY]
    return [Listed(path.stem, "device authority", "here", *_file(path)) for path in paths if path.exists()]
