"""Position history put together: what proves it, what destroys it, from a store, for a command."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.backup.journal_keys import BackedUpKeys
from gateway.crypto.journal_keys import JournalKeys
from gateway.errors import EvidenceError
from gateway.evidence.log.disk import Disk
from gateway.evidence.settings import LogSection
from gateway.evidence.verify.history import verify_history
from gateway.evidence_half import Records
from gateway.exporting import cosigned_note, published
from gateway.history.erasing import Eraser
from gateway.history.finding import Sought
from gateway.history.package import Asked, Decode, Package, Source, collect, gone
from gateway.history_half import entries_of
from gateway.outlets.settings import TimestampSettings
from gateway.pipeline.journal import hour_of
from gateway.store.keyring import Keyring


class Disclosed(msgspec.Struct, frozen=True):
    """A package that was made: its id, folder, frames and hours, the log's entry of it."""

    disclosure: str
    path: str
    frames: int
    roots: int
    entry: int


@contextlib.contextmanager
def journal_keys(store: Records) -> Iterator[tuple[Path, BackedUpKeys]]:
    """The journal beside a store, and what opens it; EvidenceError where there is none."""
    directory = store.custody.directory.parent / "journal"
    if not (directory / "keys.db").exists():
        raise EvidenceError(f"{directory}: there is no journal with keys here")
    keyring = Keyring(directory / "keys.db", store.keystore)
    keyring.open()
    try:
        yield directory, BackedUpKeys(keyring, directory.parent)
    finally:
        keyring.close()


def disclose(
    store: Records, log: LogSection, asked: Asked, sought: Sequence[Sought], target: Path, terms: tuple[Decode, float]
) -> Disclosed:
    """Write the package to target: frames, on record, proved under a cosigned checkpoint, verified, then named."""
    decode, patience_s = terms
    custody, part = store.custody, target.with_name(target.name + ".part")
    if target.exists():
        raise EvidenceError(f"{target} is there already")
    shutil.rmtree(part, ignore_errors=True)
    with journal_keys(store) as (directory, keys):
        logged = lambda: entries_of(custody, store.catalogue, "journal_root")  # noqa: E731
        source = Source(directory, keys, decode, logged, custody.leaf)
        package = Package(part, source)
        rooted = collect(source, sought)
        if not rooted:
            raise EvidenceError(nothing(directory, asked.whose, sought))
        package.write_frames(rooted, asked, sought)
    recorded = custody.record_now(package.act(asked, sought))
    note = asyncio.run(cosigned_note(store, log, recorded.index, patience_s))
    sealed = custody.detail(recorded.index)
    if sealed is None:
        raise EvidenceError(f"entry {recorded.index}: its detail was erased already")
    package.put_trust(custody.vkey, published(store, log, TimestampSettings()).lines())
    package.finish(recorded.index, note, lambda index: custody.proof_under(index, note), sealed)
    verify_history(part).raise_first()
    disk = Disk()
    disk.rename(part, target)
    disk.fsync(target.parent)
    return Disclosed(asked.id, str(target), package.frames, len(rooted), recorded.index)


def nothing(directory: Path, whose: str, sought: Sequence[Sought]) -> str:
    """That there are no frames to prove; and whether there may have been any in files that are there no more."""
    missing = len(gone(directory, sought))
    went = f"; {missing} journal files of these hours are there no more (lapel evidence verify says why)"
    return f"there are no frames of {whose} in this span: nothing is written{went if missing else ''}"


def erase(
    store: Records, disposal: str, sought: Sequence[Sought], why: dict[str, Any], by: tuple[str, datetime]
) -> tuple[int, list[str]]:
    """Destroy frames and salts for good, on record, their keys in every backup too; how many, what was not reached."""
    actor, now = by
    with journal_keys(store) as (directory, keys):
        frames = eraser_of(store, directory, keys).erase(disposal, sought, why, actor, hour_of(now)[:10])
        return frames, sorted(keys.missed)


def eraser_of(store: Records, directory: Path, keys: JournalKeys) -> Eraser:
    """What destroys frames of this store's journal."""
    custody = store.custody
    return Eraser(directory, keys, custody.record_now, lambda: entries_of(custody, store.catalogue, "dispose"))
