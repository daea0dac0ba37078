"""One batch of acts, from chain to catalogue, under the log's lock (docs/formats.md, "log")."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec
import structlog

from gateway.crypto.canonical import parse_canonical
from gateway.crypto.notes import Signer, VerifierKey
from gateway.domain.evidence import Act, Recorded
from gateway.errors import IntegrityError, OverruledError, StoreBusyError
from gateway.evidence.details import Details
from gateway.evidence.disposal.law import judged, refusal
from gateway.evidence.leaf import Composed, compose, fresh_salt
from gateway.evidence.log.merkle import inclusion_proof
from gateway.evidence.log.proof import print_proof
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.writer import Head, LogWriter
from gateway.evidence.rows import CataloguePlug, Chain, Entry

REAPPLY_BATCH = 1024
_log = structlog.get_logger()


class Batches:
    """Writes batches; every call in one thread at a time."""

    def __init__(self, writer: LogWriter, details: Details, catalogue: CataloguePlug, build: str) -> None:
        self.details = details
        self._writer, self._catalogue, self._build = writer, catalogue, build

    def settle(self) -> None:
        """Bring everything to the state that the newest commit on disk says."""
        with self._writer.locked():
            self._settle()

    def write(self, acts: Sequence[tuple[Act, datetime]]) -> list[Recorded]:
        """Record a batch; OSError, StoreBusyError or OverruledError: none of it was."""
        with self._writer.locked():
            self._settle()
            self._judge(acts)
            return self._write(self._compose(acts))

    def rotate(self, act: Act, at: datetime, fresh_key: Signer, *, overlap: bool) -> Recorded:
        """Hand the log over to a fresh key: the last entry under the old one. OSError or StoreBusyError: it was not.

        Whatever happens after its checkpoint has its name, the next batch or start completes it.
        """
        with self._writer.locked():
            self._settle()
            old, new = self._writer.key, VerifierKey(self._writer.key.name, fresh_key.public)
            note = self._writer.rotation(fresh_key, overlap=overlap)
            facts = {"what": "log", "old": str(old), "new": str(new), "signed": note}
            act = msgspec.structs.replace(act, facts=facts)
            return self._write(self._compose([(act, at)]), fresh_key)[0]

    def _write(self, composed: Sequence[Composed], fresh_key: Signer | None = None) -> list[Recorded]:
        size = self._writer.head.edge.size
        self.details.append(composed)
        settled = self._writer.append([one.leaf for one in composed], fresh_key)
        if fresh_key is not None and settled:
            settled = self._turned_over()
        self._apply([Entry(at, one.leaf, one.facts, one.detail) for at, one in enumerate(composed, size)], settled)
        head = self._writer.head
        proofs = prove(self._writer.tiles, head, range(size, head.edge.size))
        return [
            Recorded(at, one.leaf, proof) for at, (one, proof) in enumerate(zip(composed, proofs, strict=True), size)
        ]

    def _judge(self, acts: Sequence[tuple[Act, datetime]]) -> None:
        """Refuse what the log as it is now forbids: every entry so far is applied, and nobody else can write."""
        for act, at in acts:
            if act.exhibit is not None and judged(act):
                problem = refusal(act, at, self._catalogue.exhibit(act.exhibit))
                if problem is not None:
                    raise OverruledError(problem)

    def _turned_over(self) -> bool:
        """The rotation is in the log for good; what the disk refuses now is done before the next batch."""
        try:
            self._writer.turn_over()
        except OSError as problem:
            _log.warning("rotation_unfinished", problem=str(problem))
            return False
        return True

    def _settle(self) -> None:
        self._writer.refresh()
        before = self._writer.head.edge.size
        self._writer.recover()
        self._writer.turn_over()
        size, applied = self._writer.head.edge.size, self._catalogue.applied_size
        if applied > size:
            raise IntegrityError(f"the catalogue has {applied} entries, the log only {size}")
        if applied < size:
            for entries in self._unapplied(applied, size):
                self._catalogue.apply(entries)
        self._finish(before)

    def _unapplied(self, applied: int, size: int) -> Iterator[list[Entry]]:
        entries: list[Entry] = []
        for index, leaf in self._writer.tiles.leaves(applied, size):
            entries.append(self._entry(index, leaf))
            if len(entries) == REAPPLY_BATCH:
                yield entries
                entries = []
        if entries:
            yield entries

    def _entry(self, index: int, leaf: bytes) -> Entry:
        try:
            facts = parse_canonical(leaf)
            found = self.details.read(bytes.fromhex(facts["hmac"]), index)
        except (ValueError, KeyError) as problem:
            raise IntegrityError(f"entry {index} is not a leaf: {problem}") from problem
        return Entry(index, leaf, facts, None if found is None else found[0])

    def _compose(self, acts: Sequence[tuple[Act, datetime]]) -> list[Composed]:
        names = {act.exhibit for act, _ in acts if act.exhibit is not None}
        chains = {name: Chain(*newest) for name, newest in self._catalogue.chains(names).items()}
        composed = []
        for act, at in acts:
            chain = chains.get(act.exhibit or "", Chain())
            composed.append(compose(act, at, self._build, chain, fresh_salt()))
            if act.exhibit is not None:
                chains[act.exhibit] = Chain(chain.n + 1, hashlib.sha256(composed[-1].leaf).hexdigest())
        return composed

    def _apply(self, entries: Sequence[Entry], settled: bool) -> None:  # noqa: FBT001 - the writer's word
        """Apply a published batch; it is in the log for good, so a catalogue that lags is no refusal."""
        try:
            self._catalogue.apply(entries)
        except StoreBusyError as problem:
            # `pending` stays, and the next batch or start applies it before anything else.
            _log.warning("catalogue_behind", entries=len(entries), problem=str(problem))
            return
        if settled:
            self._finish(entries[0].index)

    def _finish(self, old_size: int) -> None:
        """Tidy up; what cannot be removed now is removed by the next batch."""
        try:
            self._writer.clear()
            self._writer.prune(old_size)
        except OSError as problem:
            _log.warning("log_not_tidied", problem=str(problem))


def compose_alone(act: Act, at: datetime, build: str) -> Composed:
    """Compose an act on no exhibit, outside any batch."""
    return compose(act, at, build, Chain(), fresh_salt())


def prove(tiles: TileReader, head: Head, indexes: Sequence[int]) -> list[str]:
    """`.tlog-proof` texts of entries against one head."""
    size = head.edge.size
    node = tiles.node(size)
    return [print_proof(index, inclusion_proof(index, size, node), head.note) for index in indexes]
