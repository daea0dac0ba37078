"""One second place: its mark, its keys, its blobs. Every call blocks; turns come from one thread, purges from any."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import msgspec

from gateway.crypto.notes import VerifierKey
from gateway.evidence.copies.detail_files import DetailFiles
from gateway.evidence.copies.log_files import LogFiles, Look, look_at
from gateway.evidence.copies.mark import (
    AwayError,
    Mark,
    claimed,
    fresh_mark,
    is_empty,
    known_places,
    read_mark,
    remember_place,
    write_mark,
)
from gateway.evidence.copies.transfer import (
    CopyError,
    Pace,
    SourceError,
    bring,
    make_folders,
    sha256_of,
    size_of,
)
from gateway.evidence.rows import Exhibit
from gateway.evidence.vault.files import Files
from gateway.ports import Clock

MIB = 1 << 20


class Secrets(Protocol):
    """A keys.db."""

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret, durable on return."""
        ...

    def get(self, name: str) -> bytes | None:
        """The secret of this name, or None."""
        ...

    def forget(self, names: Collection[str]) -> bool:
        """Destroy secrets so that no byte of them is left; whether there was any."""
        ...

    def names(self, prefix: str = "") -> list[str]:
        """Names that begin so."""
        ...

    def rewrap(self) -> int:
        """Wrap every secret anew under the newest key."""
        ...

    def open(self) -> None:
        """Open or make the file."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class First(msgspec.Struct, frozen=True):
    """The first store, as its copies read it, and what they stand on."""

    evidence: Path
    key: VerifierKey
    keyring: Secrets
    keyring_at: Callable[[Path], Secrets]
    clock: Clock
    files: Files
    pace: Pace
    reserve_mb: int = 0


def blob_name(blob: str) -> str:
    """Where a blob lies below an evidence directory; ValueError for what is no blob-id."""
    if len(blob) != 32 or set(blob) - set("0123456789abcdef"):
        raise ValueError(f"{blob!r} is not a blob-id")
    return f"blobs/{blob[:2]}/{blob[2:4]}/{blob}.age"


def thumbnail_name(exhibit: str) -> str:
    """Where an exhibit's thumbnail lies below an evidence directory."""
    return f"thumbnails/{exhibit[-2:]}/{exhibit}.age"


class SecondPlace:
    """A disk or host path that holds the store once more (`gateway.evidence.purge.Place` as well)."""

    def __init__(self, path: Path, first: First) -> None:
        """Name the path; nothing happens yet."""
        self.path, self.evidence = path, path / "evidence"
        self.name = f"copy {path}"
        """What certificates and custody entries call it."""
        self.mark: Mark | None = None
        self._first = first
        self._guard = threading.RLock()
        self._forgotten: set[str] = set()
        self._mirrored: set[str] = set()
        self._open: Secrets | None = None
        ends = (first.files, first.pace)
        self._details = DetailFiles(
            first.evidence, self.evidence, ends, lambda name: first.keyring.get(f"details/{name}")
        )
        self._log = LogFiles(first.evidence, self.evidence, first.files)

    # --- may it be used ---------------------------------------------------------------------------------------

    @contextmanager
    def used(self) -> Iterator[Mark]:
        """Look whether it is there, ours, writable, and has room; hold it against others. CopyError says what not."""
        self.look()
        with claimed(self.path), ExitStack() as stack:
            stack.callback(self._details_known)
            if self.mark is None:
                self._begin()
            assert self.mark is not None
            free = self._first.files.free_bytes(self.path)
            if free < self._first.reserve_mb * MIB:
                raise CopyError(f"{self.path}: {free // MIB} MiB free, less than [store] reserve_mb")
            make_folders(self._first.files, self.path, self.evidence)
            with self.keys() as self._open:
                stack.callback(setattr, self, "_open", None)
                yield self.mark

    def look(self) -> Mark | None:
        """Whose it is; None where it is empty and new. AwayError where it is not there, CopyError where not ours."""
        if not self.path.is_dir():
            raise AwayError(f"{self.path} is not there: not mounted, or not made yet")
        if self._overlaps():
            raise CopyError(f"{self.path} and the first store lie within one another")
        before, self.mark = self.mark, read_mark(self.path)
        expected = known_places(self._first.evidence).get(str(self.path))
        if self.mark is None:
            self._must_be_new(expected)
        elif not self.mark.is_of(self._first.key) and not self._is_ours(self.mark):
            raise CopyError(f"{self.path} is a copy of another log: {self.mark.origin} (key {self.mark.key_id})")
        if before != self.mark:
            self.compare_anew()
        return self.mark

    def _is_ours(self, mark: Mark) -> bool:
        """Whether a mark with another key is of this log all the same: its key has changed since, its entries not."""
        if mark.origin != fresh_mark(self._first.key, self._first.clock.now().utc).origin:
            return False
        try:
            return self._log.held(look_at(self._first.evidence / "log")) > 0
        except CopyError:
            return False

    def _overlaps(self) -> bool:
        """Whether one lies within the other."""
        place, evidence = self.path.resolve(), self._first.evidence.resolve()
        return place in evidence.parents or evidence in (place, *place.parents)

    def compare_anew(self) -> None:
        """Take nothing for granted that was compared before: every details file and its key are looked at again."""
        self._details.forget()
        self._mirrored.clear()

    def _must_be_new(self, expected: str | None) -> None:
        if not is_empty(self.path):
            raise CopyError(f"{self.path} has no copy.json, and is not empty: it is nobody's copy")
        if expected is not None:
            raise AwayError(
                f"{self.path} is empty, and {expected} was there: not mounted? A new disk: lapel evidence copies --new"
            )

    def _begin(self) -> None:
        """Mark a new place, and remember that it is there."""
        mark = fresh_mark(self._first.key, self._first.clock.now().utc)
        write_mark(self.path, mark, self._first.files)
        self.mark = mark

    def _details_known(self) -> None:
        if self.mark is not None:
            with contextlib.suppress(OSError, CopyError):  # it only protects against an empty mount point
                remember_place(self._first.evidence, self.path, self.mark, self._first.files)

    @property
    def same_disk(self) -> bool:
        """Whether it lies on the file system of the first store: then one disk's end is both's."""
        try:
            return self.path.stat().st_dev == self._first.evidence.stat().st_dev
        except OSError:
            return False

    # --- exhibits ---------------------------------------------------------------------------------------------

    def has(self, row: Exhibit) -> bool:
        """Whether a blob of the right length lies here; nothing is read."""
        name = blob_name(str(row.blob))
        there = size_of(self.evidence / name)
        ours = size_of(self._first.evidence / name)
        return there is not None and ours in (None, there)

    def hash(self, row: Exhibit) -> str | None:
        """SHA-256 of the blob as it is here on the medium; None where there is none."""
        return sha256_of(self._first.files, self.evidence / blob_name(str(row.blob)), self._first.pace)

    def bring(self, row: Exhibit, *, counted: bool) -> None:
        """Make this place hold an exhibit: its wrapped key first, then blob and thumbnail, each read back.

        counted: the log says that the blob was verified here, so its being there is enough.
        """
        self._key(f"identity/{row.id}")
        name = blob_name(str(row.blob))
        if not (counted and self.has(row)) and self.hash(row) != row.blob_sha256:
            self.put(name, self._first.evidence, str(row.blob_sha256))
        if row.thumbnail is not None:
            self._thumbnail(thumbnail_name(row.id), row.thumbnail)

    def put(self, name: str, source: Path, sha256: str) -> None:
        """Copy one file from an evidence directory, in place of what is here."""

        def may_name() -> None:
            if name in self._forgotten:
                raise SourceError(f"{name} was disposed of meanwhile")

        first = self._first
        bring(source / name, self.evidence / name, sha256, self.path, (first.files, first.pace, may_name))
        if name in self._forgotten:
            self.forget_file(name)

    def give_back(self, name: str, sha256: str) -> None:
        """Bring a file of the first store back from here; SourceError where it is not whole here either."""
        first = self._first
        bring(self.evidence / name, first.evidence / name, sha256, first.evidence, (first.files, first.pace, _anything))

    def _thumbnail(self, name: str, sha256: str) -> None:
        """A thumbnail can be made again: one that is not what the log says is no reason to stop."""
        if size_of(self._first.evidence / name) is None or not self._differs(name):
            return
        with contextlib.suppress(SourceError):
            self.put(name, self._first.evidence, sha256)

    def _differs(self, name: str) -> bool:
        """Whether a thumbnail here is of another length than ours: each is encrypted once, and never by halves."""
        return size_of(self.evidence / name) != size_of(self._first.evidence / name)

    def drop(self, row: Exhibit) -> None:
        """Remove an exhibit that was disposed of; again is no error."""
        self.forget_key(f"identity/{row.id}")
        for name in (*((blob_name(row.blob),) if row.blob else ()), thumbnail_name(row.id)):
            self.forget_file(name)

    # --- log and details --------------------------------------------------------------------------------------

    def bring_log(self, look: Look) -> None:
        """Details, their keys, then the log to the checkpoint that was looked at; then what is erased is erased."""
        self._log.held(look)  # whatever is wrong with it is said before anything is written
        try:
            self.bring_details(erasing=False)
        except SourceError:  # of ours: the log, and what is sound of the details, does not wait for it
            self._log.bring(look)
            raise
        self._log.bring(look)
        self.bring_details(erasing=True)

    def bring_details(self, *, erasing: bool) -> None:
        """Details that changed, each file's key before it."""
        for name in self._details.names():
            if name not in self._mirrored:
                self._key(f"details/{name}")
                self._mirrored.add(name)
        self._details.bring(erasing=erasing)

    def held(self, look: Look) -> int:
        """How many entries of the log it has."""
        return self._log.held(look)

    # --- wrapped keys -----------------------------------------------------------------------------------------

    @contextmanager
    def keys(self) -> Iterator[Secrets]:
        """Its keys.db, open for a turn at most: a file held open would keep the disk from being taken away."""
        if self._open is not None:
            yield self._open
            return
        keyring = self._first.keyring_at(self.evidence / "keys.db")
        keyring.open()
        try:
            yield keyring
        finally:
            keyring.close()

    def _key(self, name: str) -> None:
        """Mirror one wrapped key; SourceError where the first store has none."""
        with self._guard, self.keys() as keys:
            secret = self._first.keyring.get(name)
            if secret is None or name in self._forgotten:
                raise SourceError(f"keys.db has no {name}")
            if keys.get(name) != secret:
                keys.put(name, secret)

    def rewrap(self) -> int:
        """Wrap every key anew under the newest key-encryption key; how many. OSError: not now."""
        if not self._is_there():
            return 0
        with self._guard, self.keys() as keys:
            return keys.rewrap()

    # --- purging ----------------------------------------------------------------------------------------------

    def forget_key(self, name: str) -> bool:
        """Destroy a wrapped key for good, whether there was one; OSError: not now."""
        if not self._is_there():
            return False
        with self._guard:
            self._forgotten.add(name)
            if not (self.evidence / "keys.db").exists():
                return False
            with self.keys() as keys:
                return keys.forget([name])

    def forget_file(self, relative: str) -> bool:
        """Remove a blob or thumbnail for good, whether there was one; OSError: not now."""
        if not self._is_there():
            return False
        self._forgotten.add(relative)
        path = self.evidence / relative
        there = path.exists()
        for each in (path, path.with_name(path.name + ".part")):
            self._first.files.remove_tree(each)
        if path.parent.is_dir():
            self._first.files.sync_directory(path.parent)
        return there

    def _is_there(self) -> bool:
        """Whether there is a copy at all; OSError where none can be seen: nothing can be said to be gone from it."""
        try:
            return self.look() is not None and self.evidence.is_dir()
        except CopyError as wrong:
            raise OSError(str(wrong)) from wrong


def _anything() -> None:
    """The first store may always have its own blob back."""
