"""Reconciliation: blobs, catalogue, log, keys, details and thumbnails against one another; names what is not there.

It goes over names, sizes and headers; whether each blob's bytes are still those that were sealed, the scrub and
`verify_store` say. The log's word counts; where the log itself is short, the catalogue's. Safe beside a running
gateway: what differs while the log grew is looked at once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from sqlite3 import Connection

from gateway.evidence.verify.catalogue import NAME, CatalogueCheck, Custody, acts, applied_size, catalogue
from gateway.evidence.verify.copies import judge_copies
from gateway.evidence.verify.details import Details
from gateway.evidence.verify.fold import Exhibit, fold
from gateway.evidence.verify.items import Reconciliation
from gateway.evidence.verify.kept import (
    Seen,
    judge_blobs,
    judge_details,
    judge_erased,
    judge_keys,
    judge_thumbnails,
    judge_uploads,
    nothing_came,
)
from gateway.evidence.verify.leaves import Leaf, parse_leaf
from gateway.evidence.verify.logfiles import CHECKPOINT, LogFiles
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.unwrap import KEYS, Keyring, log_key_publics, read_keyring
from gateway.evidence.verify.uploads import uploads

TRIES = 3


def reconcile(
    evidence: Path, keys: Path | None, *, origin: str | None = None, copies: Sequence[Path] = ()
) -> Reconciliation:
    """How many there are of everything, and which of them are missing, stale or surplus."""
    for attempt in range(TRIES):
        run = _Run(Path(evidence), Path(keys) if keys is not None else None, tuple(copies))
        run.run(origin)
        if run.told.ok or not run.log_moved or attempt == TRIES - 1:
            break
    return run.told


class _Run:
    """One pass."""

    def __init__(self, evidence: Path, keys: Path | None, copies: Sequence[Path]) -> None:
        self.told = Reconciliation()
        self._evidence, self._keys, self._copies = evidence, keys, copies
        self._report = Report("log")
        self._files = LogFiles(evidence, self._report)
        self._leaves: dict[int, Leaf] = {}
        self._size = -1

    @property
    def log_moved(self) -> bool:
        """Whether somebody wrote meanwhile."""
        return self._files.moved()

    def run(self, origin: str | None) -> None:
        """Look at everything once."""
        with ExitStack() as stack:
            # Before the log, which only grows: so it is never ahead of it by what was written meanwhile.
            copy = self._catalogue(stack)
            under_way = uploads(self._evidence, self._report)
            self._read_log(origin)
            found = uploads(self._evidence, self._report)
            for name, keys in under_way.items():
                found.setdefault(name, keys)
            keyring = self._keyring()
            self._take_log()
            if self._size < 0:
                return
            seen = Seen(
                self._evidence, fold(self._leaves.values(), self._size), self._leaves, found, keyring, self.told
            )
            custody = self._ahead(copy, seen)
            details = self._details(seen)
            for judge in (judge_blobs, judge_thumbnails, judge_keys, judge_uploads):
                judge(seen)
            judge_copies(seen, self._copies)
            if copy is not None and not custody:
                self._compare(copy, details, seen)
            self._look_again()
            _count_states(seen, self.told)

    def _look_again(self) -> None:
        """A key that is being destroyed now is not one that came back."""
        surplus = [item for item in self.told.items if item.state == "surplus" and item.thing == "key"]
        if surplus and self._keys is not None:
            names = {f"{KEYS} {name}" for name in read_keyring(self._evidence, self._keys, Report("keys")).names}
            self.told.items = [item for item in self.told.items if item not in surplus or item.name in names]

    def _read_log(self, origin: str | None) -> None:
        with self._report.collecting():
            checkpoint = self._files.open(origin)
            self.told.checkpoint = {
                "origin": checkpoint.origin,
                "size": checkpoint.size,
                "root": checkpoint.root.hex(),
            }
            self._size = checkpoint.size
            self._files.scan(self._keep)
            with self._report.collecting():
                self._files.cosigned()

    def _keep(self, index: int, raw: bytes) -> None:
        with self._report.collecting():
            self._leaves[index] = parse_leaf(raw, index)

    def _take_log(self) -> None:
        told = Reconciliation()
        told.take(self._report, self._leaves)
        for item in told.items:
            behind = item.name == CHECKPOINT and item.known_from.startswith("at least")
            self.told.add(
                "stale" if behind else item.state, item.name, item.exhibit, known_from=item.known_from, found=item.found
            )
        self.told.counts |= told.counts
        self.told.notes += told.notes

    def _keyring(self) -> Keyring | None:
        if self._keys is None:
            self.told.notes.append("no keys given: keys and details were not opened")
            return None
        with self._report.collecting():
            publics = log_key_publics(self._keys)
            if publics and self._files.vkey is not None and self._files.vkey.public not in publics:
                self._report.differs("keys/log.key", "the private key of log/log.vkey", "another")
        before = len(self._report.findings) + len(self._report.unread)
        keyring = read_keyring(self._evidence, self._keys, self._report)
        # A keys.db that can't be read is one thing that is missing, not every key that was in it.
        return keyring if len(self._report.findings) + len(self._report.unread) == before else None

    def _catalogue(self, stack: ExitStack) -> Connection | None:
        with self._report.collecting():
            return stack.enter_context(catalogue(self._evidence))
        return None

    def _lag(self) -> int:
        """From which entry on the catalogue lacks what no batch under way explains; the log's size: nothing."""
        batch = self._files.being_applied()
        owed = self._size if batch is None else min(self._size, batch)
        with catalogue(self._evidence) as copy:
            applied = self._applied(copy)
        return self._size if applied >= owed else applied

    def _details(self, seen: Seen) -> Details:
        report = Report("details")
        details = Details({leaf.hmac: True for leaf in self._leaves.values()}, seen.keyring, report, owed=False)
        details.read(self._evidence / "details")
        # A key that is there and does not open is named with the other keys.
        keys = {f"{KEYS} {name}" for name in (seen.keyring.names if seen.keyring else ())}
        report.findings = [finding for finding in report.findings if finding.path not in keys]
        seen.collected(report)
        judge_details(seen, details)
        judge_erased(seen, details)
        return details

    def _ahead(self, copy: Connection | None, seen: Seen) -> list[Custody]:
        """What the catalogue knows of entries that this log has not, or that could not be read."""
        if copy is None:
            return []
        report, listed = Report("catalogue"), list[Custody]()
        with report.collecting():
            listed = list(acts(copy))
        seen.collected(report)
        unknown = [act for act in listed if act.log_index not in self._leaves]
        seen.skipped |= {act.exhibit for act in unknown if act.exhibit is not None}
        beyond = [act for act in unknown if act.log_index >= self._size]
        if beyond:
            last = max(act.log_index for act in beyond)
            found = f"{self._size} entries: {last + 1 - self._size} behind"
            self.told.add("stale", CHECKPOINT, None, known_from=f"{NAME}: {last + 1} entries", found=found)
            for act in beyond:
                self.told.missing(f"log entry {act.log_index}", act.exhibit, f"{NAME} custody ({act.kind})")
        if len(self._leaves) < self._size:
            names = ", ".join(sorted(seen.skipped)) or "none"
            self.told.notes.append(f"{self._size - len(self._leaves)} entries were not read; not judged: {names}")
            return unknown or listed
        return beyond

    def _applied(self, copy: Connection) -> int:
        """How many entries it has applied; where that row alone is gone, how many it lists."""
        applied, listed = applied_size(copy), max((act.log_index + 1 for act in acts(copy)), default=0)
        if applied == 0 and listed:
            self.told.missing(f"{NAME} meta applied_size", None, f"{NAME} custody: {listed} entries")
            return listed
        return applied

    def _compare(self, copy: Connection, details: Details, seen: Seen) -> None:
        """Every row of the catalogue against what log and details say."""
        report = Report("catalogue")
        with report.collecting():
            applied = self._applied(copy)
            if applied < self._size and (lag := self._lag()) < self._size:
                behind = [self._leaves[index] for index in range(lag, self._size)]
                names = sorted({leaf.exhibit for leaf in behind if leaf.exhibit is not None})
                about = f": {', '.join(names[:20])}" + (" …" if len(names) > 20 else "") if names else ""
                found = f"{lag} entries: {len(behind)} behind{about}"
                self.told.add("stale", NAME, None, known_from=f"{CHECKPOINT}: {self._size} entries", found=found)
            CatalogueCheck(copy, self._leaves, report, None).compare(applied, details.found)
            seen.told.count("rows", sum(1 for _ in copy.execute("SELECT 1 FROM exhibit")))
        seen.collected(report)


def _count_states(seen: Seen, told: Reconciliation) -> None:
    """How many exhibits, and how they stand; one that is held or superseded is counted so beside its state."""
    told.count("exhibits", len(seen.folded))
    empty = nothing_came(seen.leaves)
    for name, exhibit in seen.folded.items():
        told.count(_state(exhibit, empty=name in empty))
        for word in ("held", "superseded_by", "disposal"):
            if exhibit.said.get(word) and exhibit.disposed is None:
                told.count({"superseded_by": "superseded", "disposal": "to_be_disposed"}.get(word, word))
    told.count("uploads", len(seen.uploads))
    _count_missing(told)


def _count_missing(told: Reconciliation) -> None:
    for item in told.items:
        told.count(f"{item.state}_{item.thing.replace(' ', '_')}")
    lost = {item.exhibit for item in told.items if item.thing == "blob" and item.state in {"missing", "differs"}}
    told.count("lost_exhibits", len(lost))


def _state(exhibit: Exhibit, *, empty: bool) -> str:
    said: Mapping[str, object] = exhibit.said
    if "disposed_at" in said:
        return "disposed"
    if "shredded_at" in said:
        return "shredded"
    if exhibit.seal is None:
        return "nothing_received" if empty else "receiving"
    return "sealed" if said.get("complete") else "incomplete"
