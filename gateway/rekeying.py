"""Keys changed for new ones, as acts on record: the log's key, key-encryption keys, certificates (docs/keys.md).

Every operation may be called again after a crash: it goes on from where it stopped.
"""

from __future__ import annotations

import base64
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.crypto.canonical import parse_canonical
from gateway.crypto.export_keys import certificates, fingerprint, prepare, stamping_files
from gateway.crypto.key_files import destroy
from gateway.crypto.keys import KeyStore
from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.crypto.signers import KeyFiles, key_files
from gateway.domain.evidence import Act
from gateway.errors import ConfigError, EvidenceError
from gateway.evidence_half import Records
from gateway.store.keyring import Keyring
from gateway.store.quarantine import QuarantineStore

KIND = "key_rotate"
SETTLED_S = 60.0
"""A KEK wraps nothing more this long after a newer one was made: every process looks before it wraps."""
ENTRIES_MAX = 100_000


class Turned(msgspec.Struct, frozen=True):
    """What took the place of what, in which entry, and how many secrets were wrapped anew, by where they lie."""

    what: str
    old: str
    new: str
    index: int
    rewrapped: dict[str, int] = {}


class Change(msgspec.Struct, frozen=True):
    """An entry about a key: its index, when, and what it says in clear."""

    index: int
    at: datetime
    facts: dict[str, Any]


class Holder(msgspec.Struct, frozen=True):
    """A place where secrets lie that are wrapped under KEKs."""

    name: str
    under: Callable[[], dict[str, int]]
    rewrap: Callable[[], int]


class Why(msgspec.Struct, frozen=True):
    """Who does it, and for what reason."""

    actor: str
    reason: str

    def act(self, facts: dict[str, Any], **detail: object) -> Act:
        """The act on record."""
        return Act(KIND, self.actor, facts=facts, detail={"reason": self.reason, **detail})


@contextlib.contextmanager
def holders(data: Path, keystore: KeyStore, copies: Sequence[Path] = ()) -> Iterator[list[Holder]]:
    """Everything that is wrapped under KEKs: keys.db, and its like at each copy; the journal's days; quarantine."""
    with contextlib.ExitStack() as stack:
        found = [_keyring(stack, "keys.db", data / "evidence" / "keys.db", keystore)]
        found += [_keyring(stack, str(path), path, keystore) for path in _copied(copies)]
        if (data / "journal" / "keys.db").exists():
            found.append(_keyring(stack, "journal", data / "journal" / "keys.db", keystore))
        if (data / "journal" / "quarantine.db").exists():
            kept = QuarantineStore(data / "journal" / "quarantine.db", keystore.wrap, keystore.unwrap)
            stack.callback(kept.close)
            found.append(Holder("quarantine", kept.under, kept.rewrap))
        yield found


def rotate_log(store: Records, why: Why, *, overlap: bool = False) -> Turned:
    """Hand the log over to a new key."""
    old = store.custody.vkey
    if store.keystore.log_keys.of(parse_vkey(old).public) is None:
        raise EvidenceError(f"the private key of {old} is not here: it cannot hand over")
    fresh = store.keystore.log_keys.fresh()
    recorded = store.custody.rotate_now(why.act({}), fresh, overlap=overlap)
    return Turned("log", old, str(parse_canonical(recorded.leaf)["new"]), recorded.index)


def rotate_kek(store: Records, held: Sequence[Holder], why: Why) -> Turned:
    """A new KEK wraps from now on, and everything is wrapped anew under it; on record when that is done."""
    keystore = store.keystore
    keystore.refresh()
    logged = [each.facts["new"] for each in changes(store, "kek") if "new" in each.facts]
    old, newest = logged[-1] if logged else keystore.kek_ids[0], keystore.kek_ids[-1]
    new = newest if newest != old else keystore.add_kek()  # one that is not on record: go on with it
    rewrapped = {each.name: each.rewrap() for each in held}
    facts = {"what": "kek", "old": old, "new": new}
    recorded = store.custody.record_now(why.act(facts, rewrapped=rewrapped))
    return Turned("kek", old, new, recorded.index, rewrapped)


def retire_kek(
    store: Records, held: Sequence[Holder], kek: str, why: Why, now: Callable[[], float] = time.time
) -> None:
    """Destroy a KEK that nothing is wrapped under any more; EvidenceError says what is."""
    keystore = store.keystore
    keystore.refresh()
    if kek not in keystore.kek_ids:
        raise ConfigError("", f"there is no {kek} here", str(keystore.directory))
    if kek == keystore.kek_ids[-1]:
        raise EvidenceError(f"{kek} is the newest, and wraps: `lapel keys rotate kek` first")
    age_s = now() - keystore.kek_made_at(keystore.kek_ids[-1])
    if age_s < SETTLED_S:
        raise EvidenceError(f"{keystore.kek_ids[-1]} is {age_s:.0f} s old: again in {SETTLED_S - age_s:.0f} s")
    left = {each.name: number for each in held if (number := each.under().get(kek, 0))}
    if left:
        told = ", ".join(f"{number} in {name}" for name, number in left.items())
        raise EvidenceError(f"{kek} still wraps {told}: `lapel keys rotate kek` wraps them anew")
    _on_record(store, "kek", kek, why)
    keystore.retire_kek(kek)


def retire_log(store: Records, name: str, why: Why) -> None:
    """Destroy the private key of the log that was rotated away; EvidenceError for the one that signs."""
    keys = store.keystore.log_keys
    listed = {Path(file).stem: public for file, public in keys.listed()}
    if name not in listed:
        raise ConfigError("", f"there is no {name} among {', '.join(listed)}", str(store.keystore.directory))
    vkey = VerifierKey(store.custody.origin, listed[name])
    if str(vkey) == store.custody.vkey:
        raise EvidenceError(f"{name} signs the log: `lapel keys rotate log` first")
    _on_record(store, "log", str(vkey), why)
    keys.forget(listed[name])


def rotate_certificate(store: Records, what: str, why: Why, now: datetime) -> Turned:
    """A new key and certificate for exports, or for our own time-stamps; it counts from when that is on record."""
    origin, keystore = store.custody.origin, store.keystore
    files, name = (
        (key_files(keystore.uris.export, keystore.directory), f"Exports of {origin}")
        if what == "export"
        else (stamping_files(keystore.directory), f"Time-stamps of {origin}")
    )
    following = prepare(files, name, now, stamping=what == "tsa")
    old, new = (f"sha256:{fingerprint(pem)}" for pem in (following.old_pem, following.pem))
    known = [row for row in changes(store, what) if row.facts.get("new") == new]
    signed = base64.b64encode(following.signed).decode()
    facts = {"what": what, "old": old, "new": new, "signed": signed, "certificate": following.pem.decode()}
    index = known[-1].index if known else store.custody.record_now(why.act(facts)).index
    following.activate()
    return Turned(what, old, new, index)


def retire_certificate(store: Records, files: KeyFiles, name: str, why: Why) -> None:
    """Destroy the private key of a former certificate, which stays; EvidenceError for the one that signs."""
    named = {Path(file).stem: pem for file, pem in certificates(files)}
    if name == list(named)[-1]:
        raise EvidenceError(f"{name} signs: `lapel keys rotate {files.first.stem}` first")
    what = "tsa" if files.first.stem == "tsa" else "export"
    _on_record(store, what, f"sha256:{fingerprint(named[name])}", why)
    destroy(files.first.with_name(f"{name}.key"))


def changes(store: Records, what: str) -> list[Change]:
    """Every change of one kind of key that is on record, oldest first."""
    since, until = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
    rows = store.catalogue.of_kinds((KIND,), since, until, ENTRIES_MAX)
    found = [Change(row.log_index, row.at, parse_canonical(store.custody.leaf(row.log_index))) for row in rows]
    return [each for each in found if each.facts.get("what") == what]


def _on_record(store: Records, what: str, retired: str, why: Why) -> None:
    """Once: a crash before the key's file was gone does not make a second entry."""
    if all(each.facts.get("retired") != retired for each in changes(store, what)):
        store.custody.record_now(why.act({"what": what, "retired": retired}))


def _copied(copies: Sequence[Path]) -> list[Path]:
    """The wrapped keys at each copy; EvidenceError for a copy that is not there now: its keys would be left behind."""
    for place in copies:
        if not place.is_dir():
            raise EvidenceError(f"{place}: the copy cannot be reached, and holds wrapped keys")
    return [path for place in copies if (path := place / "keys.db").exists()]


def _keyring(stack: contextlib.ExitStack, name: str, path: Path, keystore: KeyStore) -> Holder:
    keyring = Keyring(path, keystore)
    keyring.open()
    stack.callback(keyring.close)
    return Holder(name, keyring.under, keyring.rewrap)
