"""After a restart: what of an upload is on disk and opens (docs/formats.md "staging").

What opens was perhaps never called durable, but it is made so here before it counts.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.crypto.age import HEADER_CAP, STREAM_NONCE, AgeError, Identity, read_header
from gateway.domain.ids import ExhibitId
from gateway.errors import StoreBusyError
from gateway.evidence.needs import Shelf
from gateway.evidence.vault.assembly import clear, discard
from gateway.evidence.vault.blobs import Chunks
from gateway.evidence.vault.files import Handle
from gateway.evidence.vault.records import MAGIC, NOTE, Record, RunFile, torn_at_first
from gateway.evidence.vault.staging import Staged, Vault, run_name, run_numbers

_log = structlog.get_logger()


class _Found(msgspec.Struct):
    """One run file as found: its records, and its notes by record number."""

    run: RunFile
    records: list[Record] = msgspec.field(default_factory=list)
    notes: dict[int, dict[str, object]] = msgspec.field(default_factory=dict)


class Left(msgspec.Struct):
    """What an earlier process left in staging: uploads, when each was last written, its offer; what does not open."""

    uploads: list[tuple[ExhibitId, datetime, dict[str, Any]]] = msgspec.field(default_factory=list)
    unreadable: list[ExhibitId] = msgspec.field(default_factory=list)


def look_over(vault: Vault, shelf: Shelf) -> Left:
    """Make the vault's directories, clear what is sealed or never began, and name the rest, oldest first.

    Of an upload only its offer is opened here: how much of it there is, `recover` finds out when it is its turn.
    """
    for directory in (vault.root, vault.root / "staging", vault.root / "blobs"):
        vault.files.make_directory(directory)
        vault.files.sync_directory(directory.parent)
    left = Left()
    for directory in sorted((vault.root / "staging").iterdir()):
        exhibit = ExhibitId(directory.name)
        try:
            _look(vault, shelf, exhibit, left)
        except (OSError, StoreBusyError):
            raise
        except Exception as error:  # noqa: BLE001 - one upload that can't be read must not shut the vault to all others
            left.unreadable.append(exhibit)
            _log.error("staging_unreadable", exhibit=exhibit, problem=f"{type(error).__name__}: {error}")
    return left


def _look(vault: Vault, shelf: Shelf, exhibit: ExhibitId, left: Left) -> None:
    directory, row = vault.staging(exhibit), shelf.exhibit(exhibit)
    if row is not None and row.sealed_at is not None:
        clear(vault, exhibit)  # what was left of a seal that is done: its identity is the blob's
        return
    if _never_began(directory):
        (discard if row is None else clear)(vault, exhibit)
        return
    offer = _first_offer(vault, exhibit)
    if offer is None:
        # Left where it is: with its keys back it may open.
        left.unreadable.append(exhibit)
        _log.error("staging_unreadable", exhibit=exhibit, problem="its offer does not open")
    else:
        left.uploads.append((exhibit, _last_written(directory), offer))


def _first_offer(vault: Vault, exhibit: ExhibitId) -> dict[str, Any] | None:
    """The offer that the first record holds; later ones may add to it, but its recording stays the same."""
    key = vault.keyring.get(run_name(exhibit, 0))
    if key is None:
        return None
    run = RunFile.read_only(vault.files, vault.staging(exhibit) / "run-0.rec", key, vault.cipher)
    try:
        for _, content in run.scan():
            note: dict[str, Any] = json.loads(content)
            return note.get("offer")
        return None
    finally:
        run.close()


def recover(vault: Vault, exhibit: ExhibitId) -> Staged | None:
    """Take an upload up again; None where not even its offer opens (then nothing of it was acknowledged)."""
    staged = Staged(vault, exhibit)
    found = _runs(vault, staged)
    chunk_limit, limits = _limits(found)
    for number, file in found.items():
        limit = limits.get(str(number), len(file.records))
        file.records = file.records[:limit]
        for place in sorted(file.notes):
            if place < limit:
                staged.notes.take(file.notes[place])
    if not staged.notes.offer:
        return None
    chunks = _chunks(vault, staged) if staged.notes.seal is None else None
    count = 0 if chunks is None else chunks.count_opening()
    count = count if chunk_limit is None else min(count, chunk_limit)
    vault.files.sync_directory(staged.directory)
    counts = {number: len(file.records) for number, file in found.items()}
    staged.adopt(chunks, count, {number: file.run for number, file in found.items()}, counts)
    for number, file in found.items():
        for record in file.records:
            if record.offset != NOTE:
                staged.adopt_record(number, record)
    staged.rest()
    return staged


def _never_began(directory: Path) -> bool:
    """Whether the process died before the offer was whole on disk: then nothing was ever acknowledged."""
    first = directory / "run-0.rec"
    if not first.exists():
        return len(run_numbers(directory)) == 0
    with first.open("rb") as file:
        return torn_at_first(file.read(len(MAGIC) + 12), first.stat().st_size)


def _last_written(directory: Path) -> datetime:
    """When something was last written to a staging directory."""
    times = [path.stat().st_mtime for path in (directory, *directory.iterdir())]
    return datetime.fromtimestamp(max(times), UTC)


def _runs(vault: Vault, staged: Staged) -> dict[int, _Found]:
    found: dict[int, _Found] = {}
    for number in run_numbers(staged.directory):
        key = vault.keyring.get(run_name(staged.exhibit, number))
        if key is None:
            _log.error("staging_key_missing", exhibit=staged.exhibit, run=number)
            continue
        run = RunFile.read_only(vault.files, staged.directory / f"run-{number}.rec", key, vault.cipher)
        file = _Found(run)
        for record, content in run.scan():
            file.records.append(record)
            if record.offset == NOTE:
                file.notes[record.number] = json.loads(content)
        if 0 in file.notes:  # else its first sync never returned, and nothing in it counts
            run.datasync(always=True)
            found[number] = file
        run.close()
    return found


def _limits(found: dict[int, _Found]) -> tuple[int | None, dict[str, int]]:
    """How much of the earlier files counts: what the newest run file says of them."""
    for number in sorted(found, reverse=True):
        note = found[number].notes[0]
        if note["note"] == "run":
            limits = msgspec.convert(note, _RunNote)
            return limits.chunks, limits.records
    return None, {}


class _RunNote(msgspec.Struct):
    """The first note of run-1 and later."""

    chunks: int
    records: dict[str, int]


def _chunks(vault: Vault, staged: Staged) -> Chunks | None:
    secret = vault.keyring.get(f"identity/{staged.exhibit}")
    path = staged.directory / "blob.age"
    if secret is None or not path.exists():
        _log.error("staging_blob_missing", exhibit=staged.exhibit)
        return None
    handle = Handle(vault.files, path)
    try:
        start, payload = read_header(handle.read(HEADER_CAP + STREAM_NONCE, 0), Identity(secret), vault.cipher)
    except AgeError:
        _log.error("staging_blob_unreadable", exhibit=staged.exhibit)
        handle.close()
        return None
    handle.datasync(always=True)
    return Chunks(handle, payload, start)
