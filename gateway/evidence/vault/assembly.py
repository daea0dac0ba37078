"""From a complete (or abandoned) upload to one finished age file, and its place among the blobs."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import chain

import msgspec

from gateway.crypto.age import Identity
from gateway.domain.evidence import Range
from gateway.domain.ids import ExhibitId
from gateway.errors import StoreBusyError
from gateway.evidence.vault.blobs import BlobTree, Digests
from gateway.evidence.vault.staging import Staged, Vault, run_name, run_numbers

MISSING_LISTED = 1000
"""So many missing ranges are listed; their number is stated always."""

_ZEROS = bytes(256 * 1024)


class Intent(msgspec.Struct, frozen=True):
    """What is being sealed: written down before the blob is moved, so that a restart goes on with it."""

    blob: str
    source: str
    sha256: str
    blob_sha256: str
    size: int
    complete: bool
    missing: tuple[Range, ...] = ()
    missing_ranges: int = 0
    flags: tuple[str, ...] = ()
    manifest: str | None = None


class Ending(msgspec.Struct, frozen=True):
    """How an upload ends: as long as it is said to be, what the camera stated of it, flags, its manifest.

    abandoned: whatever came is sealed, and is called incomplete.
    """

    size: int
    stated: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    manifest: str | None = None
    abandoned: bool = False


def assemble(vault: Vault, staged: Staged, ending: Ending) -> Intent:
    """Finish the age file and write the intent down; both durable on return."""
    try:
        digests, source = _finished(vault, staged)
        intent = _intent(staged, ending, digests, source)
        staged.intend(msgspec.to_builtins(intent))
    except (OSError, StoreBusyError):
        staged.spoil()
        raise
    return intent


def _finished(vault: Vault, staged: Staged) -> tuple[Digests, str]:
    if staged.in_order:
        return staged.finish_blob(), "blob.age"
    return _rewrite(vault, staged, staged.durable.end), "sealed.age"


def _intent(staged: Staged, ending: Ending, digests: Digests, source: str) -> Intent:
    missing = tuple(staged.durable.gaps(0, max(ending.size, digests.size)))
    complete = not missing and not ending.abandoned
    wrong = complete and any(stated.lower() != digests.sha256 for stated in ending.stated)
    flags = [*staged.notes.flags, *ending.flags, *(["checksum_mismatch"] if wrong else [])]
    return Intent(
        blob=secrets.token_hex(16),
        source=source,
        sha256=digests.sha256,
        blob_sha256=digests.blob_sha256,
        size=digests.size,
        complete=complete,
        missing=missing[:MISSING_LISTED],
        missing_ranges=len(missing),
        flags=tuple(dict.fromkeys(flags)),
        manifest=ending.manifest,
    )


def intent_of(staged: Staged) -> Intent | None:
    """The intent that an earlier attempt wrote down."""
    return None if staged.notes.seal is None else msgspec.convert(staged.notes.seal, Intent)


def place(vault: Vault, exhibit: ExhibitId, intent: Intent) -> None:
    """Move the blob to where it stays, its identity with it; again is no error."""
    BlobTree(vault.root / "blobs", vault.files).place(vault.staging(exhibit) / intent.source, intent.blob)
    following = vault.keyring.get(next_identity(exhibit))
    if intent.source == "sealed.age" and following is not None:
        vault.keyring.put(f"identity/{exhibit}", following)
        vault.keyring.delete(next_identity(exhibit))


def clear(vault: Vault, exhibit: ExhibitId) -> None:
    """Remove what a sealed exhibit leaves: its run keys, then its staging directory; again is no error."""
    for name in _run_names(vault, exhibit):
        vault.keyring.delete(name)
    _remove(vault, exhibit)


def discard(vault: Vault, exhibit: ExhibitId) -> None:
    """Remove an upload of which nothing was kept, identity and all; again is no error.

    Files first: while they are there, so are the keys that tell that they hold nothing.
    """
    names = _run_names(vault, exhibit)
    _remove(vault, exhibit)
    for name in (*names, f"identity/{exhibit}", next_identity(exhibit)):
        vault.keyring.delete(name)


def _run_names(vault: Vault, exhibit: ExhibitId) -> list[str]:
    """The run keys: one a file, and perhaps one whose file could not be made."""
    numbers = run_numbers(vault.staging(exhibit))
    return [run_name(exhibit, number) for number in (*numbers, max(numbers, default=-1) + 1)]


def _remove(vault: Vault, exhibit: ExhibitId) -> None:
    directory = vault.staging(exhibit)
    vault.files.remove_tree(directory)
    vault.files.sync_directory(directory.parent)


def next_identity(exhibit: ExhibitId) -> str:
    """The keyring's name of the identity of a blob that is being written anew."""
    return f"identity/{exhibit}/next"


def _rewrite(vault: Vault, staged: Staged, size: int) -> Digests:
    """Encrypt the whole recording into a new file under a new identity (slow path); zeros where bytes are missing."""
    identity = Identity.fresh()
    vault.keyring.put(next_identity(staged.exhibit), identity.secret)
    path = staged.directory / "sealed.age"
    vault.files.remove_tree(path)
    writer = vault.begin_blob(path, identity)
    try:
        for part in _whole(staged, size):
            writer.feed(part)
            writer.wait()
        digests = writer.finish()
        writer.handle.datasync()
    finally:
        writer.handle.close()
    vault.files.sync_directory(staged.directory)
    return digests


def _whole(staged: Staged, size: int) -> Iterator[bytes | bytearray]:
    position = 0
    for start, end in chain(staged.durable.within(0, size), [(size, size)]):
        while position < start:
            yield _ZEROS[: start - position]
            position = min(start, position + len(_ZEROS))
        yield from staged.read(start, end)
        position = end
