"""One upload on disk: in-order chunks in blob.age, everything else in run files (docs/formats.md "staging").

A `Staged` is touched by one thread at a time: the committer's, or the sealer's once it is closed for pieces.
What was written counts only after `sync` and `settle`; where either fails, `spoil` forgets it, and nothing is
ever written to those files again: their last bytes are unknown, and their nonces are used up.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import msgspec

from gateway.crypto.age import CHUNK, AgeError, Cipher, Identity, chacha20poly1305, fresh_key
from gateway.domain.evidence import Range
from gateway.domain.ids import ExhibitId
from gateway.errors import IntegrityError, SegmentError
from gateway.evidence.needs import Keyring
from gateway.evidence.vault.blobs import BlobWriter, Chunks, Digests
from gateway.evidence.vault.files import Files
from gateway.evidence.vault.ranges import Ranges
from gateway.evidence.vault.records import Pieces, Placed, Record, RunFile

ABSORB_CAP = 8 * 1024 * 1024
"""How much that came out of order one batch moves into the blob, so that others do not wait for it."""


class Vault(msgspec.Struct, frozen=True):
    """What staging stands on: the evidence directory, file operations, the keyring, the AEAD, a thread for digests."""

    root: Path
    files: Files
    keyring: Keyring
    cipher: Cipher = chacha20poly1305
    hashing: Executor | None = None

    def begin_blob(self, path: Path, identity: Identity) -> BlobWriter:
        """Begin a new age file for an identity that has never had one."""
        return BlobWriter.create(self.files, path, identity, self.cipher, self.hashing)

    def staging(self, exhibit: ExhibitId) -> Path:
        """Where an exhibit's upload lies."""
        return self.root / "staging" / exhibit


class Notes(msgspec.Struct):
    """What an upload's notes say: the offer as last stated, flags, the exhibit it goes on from, the intent to seal."""

    offer: dict[str, Any] = msgspec.field(default_factory=dict)
    flags: list[str] = msgspec.field(default_factory=list)
    part: str | None = None
    seal: dict[str, Any] | None = None

    def take(self, note: dict[str, Any]) -> None:
        """Read one note; the latest offer and intent count, flags add up."""
        if note["note"] == "offer":
            self.offer = note["offer"]
        elif note["note"] == "flag" and note["flag"] not in self.flags:
            self.flags.append(note["flag"])
        elif note["note"] == "part":
            self.part = note["exhibit"]
        elif note["note"] == "seal":
            self.seal = note["seal"]


class Staged:
    """One upload's files, and what of the recording is in them."""

    def __init__(self, vault: Vault, exhibit: ExhibitId) -> None:
        """Name the exhibit; `create` or recovery fills in the rest."""
        self.exhibit, self.directory = exhibit, vault.staging(exhibit)
        self.notes = Notes()
        self.durable, self._known = Ranges(), Ranges()
        self.closed = False
        self._vault = vault
        self._front: BlobWriter | None = None
        self._chunks: Chunks | None = None
        self._settled_chunks = 0
        self._run: RunFile | None = None
        self._runs: dict[int, RunFile] = {}
        self._settled_records: dict[int, int] = {}
        self._pieces = Pieces()
        self._absorbable = ABSORB_CAP
        self._pending: list[Range] = []
        self._pending_notes: list[dict[str, Any]] = []

    @classmethod
    def create(
        cls,
        vault: Vault,
        exhibit: ExhibitId,
        offer: dict[str, Any],
        flags: tuple[str, ...] = (),
        part: ExhibitId | None = None,
    ) -> Staged:
        """Make the files of a new upload, keys first; part: the exhibit it goes on from. Durable on return."""
        staged = cls(vault, exhibit)
        identity = Identity.fresh()
        vault.keyring.put(f"identity/{exhibit}", identity.secret)
        vault.files.make_directory(staged.directory)
        try:
            staged._front = vault.begin_blob(staged.directory / "blob.age", identity)
            staged._chunks = staged._front.stored
            staged._begin_run({"v": 1, "note": "offer", "offer": offer})
            for flag in flags:
                staged.flag(flag)
            if part is not None:
                staged.note({"v": 1, "note": "part", "exhibit": part})
            staged.sync()
            staged.settle()
        finally:
            staged.rest()
        vault.files.sync_directory(staged.directory.parent)
        return staged

    def adopt(self, chunks: Chunks | None, count: int, runs: dict[int, RunFile], records: dict[int, int]) -> None:
        """Take up what an earlier process left (recovery): its chunks, its run files, how much of each counts."""
        self._chunks, self._settled_chunks = chunks, count
        self._runs, self._settled_records = runs, records
        self._adopted(0, count * CHUNK)

    def adopt_record(self, run: int, record: Record) -> None:
        """Take up one record of an earlier process."""
        self._pieces.add(run, record)
        self._adopted(record.offset, record.offset + record.octets)

    def _adopted(self, start: int, end: int) -> None:
        self._known.add(start, end)
        self.durable.add(start, end)

    # --- pieces -----------------------------------------------------------------------------------------------

    def keep(self, offset: int, content: bytes) -> None:
        """Write what of this segment is new; SegmentError where it differs from what is there."""
        end = offset + len(content)
        self._compare(offset, end, content)
        view = memoryview(content)
        for start, stop in self._known.gaps(offset, end):
            self._place(start, view[start - offset : stop - offset])
            self._known.add(start, stop)
            self._pending.append((start, stop))
        self.absorb(max(0, self._absorbable))

    def _compare(self, offset: int, end: int, content: bytes) -> None:
        for start, stop in self._known.within(offset, end):
            position = start
            for part in self.read(start, stop):
                if part != content[position - offset : position - offset + len(part)]:
                    self.flag("segment_conflict")
                    raise SegmentError("segment_conflict")
                position += len(part)

    def _place(self, start: int, view: memoryview) -> None:
        if self._front is not None and start == self._front.size:
            self._front.feed(view)
        else:
            self._record(start, view)

    def absorb(self, cap: int | None = None) -> None:
        """Move what came out of order and is next in line from run files into the blob."""
        front, moved = self._front, 0
        while front is not None and (placed := self._pieces.holding(front.size)):
            if cap is not None and moved >= cap:
                return
            try:
                part = self._content(placed, front.size)
            except AgeError:
                return  # what came now is kept all the same; the seal says what is wrong
            front.feed(part)
            moved += len(part)
            self._absorbable -= len(part)
            if moved % ABSORB_CAP < len(part):
                front.wait()  # what is fed is in memory until it is hashed

    def flag(self, flag: str) -> None:
        """Note something odd about the upload, once."""
        if flag not in self.notes.flags:
            self.note({"v": 1, "note": "flag", "flag": flag})

    def note(self, note: dict[str, Any]) -> None:
        """Write a note; it counts after `sync`."""
        self._running().append_note(note)
        self._pending_notes.append(note)

    def _record(self, start: int, content: bytes | memoryview) -> None:
        run = self._running()
        self._pieces.add(run.name, run.append(start, content))

    # --- making it durable ------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Write the in-order bytes that make no chunk yet as records: the end of a batch."""
        front = self._front
        if front is None:
            return
        for start, end in self._pieces.gaps(front.chunked, front.size):
            self._record(start, bytes(front.tail[start - front.chunked : end - front.chunked]))

    def sync(self) -> None:
        """Return once all that was written is on disk."""
        if self._front is not None:
            self._front.handle.datasync()
        if self._run is not None:
            self._run.datasync()
        if self._front is not None:
            self._front.wait()

    def settle(self) -> None:
        """Count what was written as durable; call after `sync`."""
        durable = self.durable.copy()  # the event loop reads the old one meanwhile
        for start, end in self._pending:
            durable.add(start, end)
        self.durable = durable
        self._pending.clear()
        for note in self._pending_notes:
            self.notes.take(note)
        self._pending_notes.clear()
        self._absorbable = ABSORB_CAP
        if self._front is not None:
            self._settled_chunks = self._front.chunks
            self._pieces.drop_below(self._front.chunked)
        if self._run is not None:
            self._settled_records[self._run.name] = self._run.records
        self.rest()

    def spoil(self) -> None:
        """A write or sync failed: forget what was not durable, and never write to these files again."""
        self._pending.clear()
        self._pending_notes.clear()
        self._known = self.durable.copy()
        self._pieces.retain(self._settled_records)
        self._front = self._run = None
        self.rest()

    def rest(self) -> None:
        """Give descriptors back until they are needed again."""
        if self._chunks is not None:
            self._chunks.handle.close()
        for run in self._runs.values():
            run.close()

    def _running(self) -> RunFile:
        if self._run is None:
            chunks, records = self._settled_chunks, {str(k): n for k, n in self._settled_records.items()}
            self._begin_run({"v": 1, "note": "run", "chunks": chunks, "records": records})
        assert self._run is not None
        return self._run

    def _begin_run(self, note: dict[str, Any]) -> None:
        """Begin the next run file under a key of its own; a number is never used twice, even by a failed attempt."""
        number = max(run_numbers(self.directory), default=-1) + 1
        key = fresh_key()
        self._vault.keyring.put(run_name(self.exhibit, number), key)
        path = self.directory / f"run-{number}.rec"
        run = RunFile.create(self._vault.files, path, key, self._vault.cipher)
        try:
            run.append_note(note)
            run.datasync()
            self._vault.files.sync_directory(self.directory)
        except OSError:
            run.close()
            raise
        self._run = self._runs[number] = run
        self._settled_records[number] = run.records
        self.notes.take(note)

    # --- reading back -----------------------------------------------------------------------------------------

    def read(self, start: int, end: int) -> Iterator[bytes | bytearray]:
        """Bytes [start, end), all of which must be there; IntegrityError where one does not open."""
        while start < end:
            try:
                part = self._part(start)[: end - start]
            except AgeError as error:
                raise IntegrityError(f"staging of {self.exhibit} at {start}: {error}") from error
            yield part
            start += len(part)

    def _part(self, start: int) -> bytes | bytearray:
        """Some bytes from start on, from wherever they are."""
        front = self._front
        chunks = front.chunks if front is not None else self._settled_chunks
        if start < chunks * CHUNK and self._chunks is not None:
            return self._chunks.chunk(start // CHUNK)[start % CHUNK :]
        if front is not None and start < front.size:
            return front.tail[start - front.chunked :]
        placed = self._pieces.holding(start)
        if placed is None:
            raise IntegrityError(f"staging of {self.exhibit}: nothing at {start}")
        return self._content(placed, start)

    def _content(self, placed: Placed, start: int) -> bytes:
        """What a record holds from an offset of the recording on."""
        content = self._runs[placed.run].piece(placed.record)
        return content[start - placed.record.offset : placed.end - placed.record.offset]

    # --- the end ----------------------------------------------------------------------------------------------

    @property
    def in_order(self) -> bool:
        """Whether blob.age can be finished as it is: all of this process's making, nothing missing."""
        return self._front is not None and self.durable.covers(0, self.durable.end)

    def finish_blob(self) -> Digests:
        """Write the last chunk of blob.age and make it durable (fast path)."""
        front = self._front
        assert front is not None
        self.absorb()
        self.sync()
        self.settle()
        if front.size != self.durable.end:
            raise IntegrityError(f"staging of {self.exhibit}: a record does not open")
        self._front = None  # nothing is ever added behind a last chunk, whatever becomes of it
        try:
            digests = front.finish()
            front.handle.datasync()
        finally:
            front.handle.close()
        return digests

    def intend(self, seal: dict[str, Any]) -> None:
        """Write down what is being sealed; durable on return. From here on a restart goes on with the seal."""
        self.note({"v": 1, "note": "seal", "seal": seal})
        self.sync()
        self.settle()


def run_name(exhibit: ExhibitId, number: int) -> str:
    """The keyring's name of a run file's key."""
    return f"run/{exhibit}/{number}"


def run_numbers(directory: Path) -> list[int]:
    """The run files of a staging directory, oldest first."""
    return sorted(int(path.stem.removeprefix("run-")) for path in directory.glob("run-*.rec"))
