"""The whole: `verify_log` and `verify_store` re-derive everything from the files alone.

Safe beside a running gateway: the catalogue is copied before the checkpoint is read, so it
can't be ahead of it; what lies behind that checkpoint is left alone; and where something
differs while a writer moved the log, everything is read once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from sqlite3 import Connection

import msgspec

from gateway.evidence.verify.blobs import blob_path, check_blob, count_orphans
from gateway.evidence.verify.catalogue import NAME, CatalogueCheck, catalogue
from gateway.evidence.verify.derived import check_parents, under_way
from gateway.evidence.verify.details import Details
from gateway.evidence.verify.disposal import Erasures, check_gone, check_ways, judge_erasure
from gateway.evidence.verify.files import exists, walk
from gateway.evidence.verify.fold import Exhibit, fold
from gateway.evidence.verify.formerly import check_formerly
from gateway.evidence.verify.journal import check_journal
from gateway.evidence.verify.leaves import Chains, Leaf, parse_leaf
from gateway.evidence.verify.logfiles import LogFiles
from gateway.evidence.verify.report import Report, UnreadError, shown
from gateway.evidence.verify.rules import check_rules
from gateway.evidence.verify.second_places import Claims, Mark, check_copies, check_mark, read_mark
from gateway.evidence.verify.signature import check_signature
from gateway.evidence.verify.thumbnails import check_thumbnail
from gateway.evidence.verify.trust import Trust
from gateway.evidence.verify.unwrap import Keyring, log_key_publics, read_keyring

_TRIES = 3
_NOBODY = Trust()


class Beside(msgspec.Struct, frozen=True):
    """What is checked beside the store: copies (data directories of second places), the journal against its roots."""

    copies: tuple[Path, ...] = ()
    journal: bool = True


_ALONE = Beside()


def verify_log(evidence_dir: Path, origin: str | None = None, trust: Trust = _NOBODY) -> Report:
    """Checkpoint, entries, every hash tile, root, strays, `pending`, what it succeeds, who cosigned."""
    for attempt in range(_TRIES):
        run = _Run(Path(evidence_dir), Report("log"), None, trust)
        run.log(origin)
        if run.settled or attempt == _TRIES - 1:
            break
    return run.report


def verify_store(
    evidence_dir: Path,
    keys_dir: Path | None,
    exhibit: str | None = None,
    *,
    origin: str | None = None,
    trust: Trust = _NOBODY,
    beside: Beside = _ALONE,
) -> Report:
    """Log, chains, details, blobs, catalogue; of one exhibit, or of all, and then the journal beside it too.

    keys_dir None: nothing is decrypted, blobs are checked by their ciphertext hash.
    """
    for attempt in range(_TRIES):
        run = _Run(Path(evidence_dir), Report("store" if exhibit is None else f"exhibit {exhibit}"), exhibit, trust)
        run.copies = [Path(place) for place in beside.copies]
        run.store(Path(keys_dir) if keys_dir is not None else None, origin)
        if beside.journal and exhibit is None:
            run.journal(Path(keys_dir) if keys_dir is not None else None)
        if run.settled or attempt == _TRIES - 1:
            break
    return run.report


class _Run:
    """One pass over a store."""

    def __init__(self, evidence: Path, report: Report, only: str | None, trust: Trust) -> None:
        self.report = report
        self._trust = trust
        self._evidence = evidence
        self._only = only
        self._files = LogFiles(evidence, report)
        self._leaves: dict[int, Leaf] = {}
        self._chains = Chains()
        self._mark: Mark | None = None
        self.copies: list[Path] = []

    @property
    def settled(self) -> bool:
        """Nothing differs, or nobody wrote meanwhile."""
        return self.report.ok or not self._files.moved()

    def log(self, origin: str | None) -> None:
        """Verify the log alone."""
        with self.report.collecting():
            self._open(origin)
            self._files.scan(lambda _index, _raw: None)
            self._trust.check(self._files, self.report)

    def store(self, keys: Path | None, origin: str | None) -> None:
        """Verify everything that the log speaks of."""
        with self.report.collecting(), ExitStack() as stack:
            self._mark = read_mark(self._evidence)
            copy = self._catalogue(stack)
            with self.report.collecting():
                size = self._open(origin)
                self._files.scan(self._take)
                self._trust.check(self._files, self.report)
                folded = fold(self._leaves.values(), size)
                check_ways(self._wanted_leaves(), self.report)
                self._check_known(folded)
                self._check_contents(keys, folded)
                if copy is not None:
                    check = CatalogueCheck(copy, self._leaves, self.report, self._only)
                    check.run(size, self._details.found)

    def journal(self, keys: Path | None) -> None:
        """Verify the journal against its roots."""
        with self.report.collecting():
            check_journal(self._evidence, keys, self._leaves.values(), self.report)

    def _open(self, origin: str | None) -> int:
        checkpoint = self._files.open(origin)
        self.report.checkpoint = {
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": checkpoint.root.hex(),
        }
        return checkpoint.size

    def _catalogue(self, stack: ExitStack) -> Connection | None:
        if self._mark is not None and not exists(self._evidence / NAME):
            return None
        with self.report.collecting():
            return stack.enter_context(catalogue(self._evidence))
        return None

    def _take(self, index: int, raw: bytes) -> None:
        with self.report.collecting():
            leaf = parse_leaf(raw, index)
            self._leaves[index] = leaf
            if self._only in {None, leaf.exhibit}:
                self._chains.follow(leaf)

    def _check_known(self, folded: dict[str, Exhibit]) -> None:
        self.report.count("exhibits", len(folded) if self._only is None else int(self._only in folded))
        if self._only is not None and self._only not in folded:
            # Nobody lost it who never had it: where the catalogue has a row of it, that differs, and is said so.
            self.report.add(UnreadError(self._only, "entries in the log", "there is no such exhibit"))

    def _check_contents(self, keys: Path | None, folded: dict[str, Exhibit]) -> None:
        keyring = self._keyring(keys)
        self._check_details(keyring, folded)
        self._claims = Claims(self._leaves.values(), self._details.found)
        self._check_claims(folded)
        for name, exhibit in folded.items():
            if self._only in {None, name}:
                self._check_exhibit(name, exhibit, keyring)
                if exhibit.disposed is None and exhibit.said.get("thumbnail") is not None:
                    check_thumbnail(self._evidence, name, exhibit.said["thumbnail"], self.report)
        if self._only is None:
            check_rules(self._leaves.values(), self._details.found, self.report)
            check_parents(self._leaves.values(), self.report)
            named = {str(leaf.facts["blob"]) for leaf in self._leaves.values() if "blob" in leaf.facts}
            count_orphans(self._evidence, named, self.report)
            self._count_staging()
            self._judge_orphans()

    def _keyring(self, keys: Path | None) -> Keyring | None:
        if keys is None:
            self.report.note("no keys given: details and plaintexts not checked")
            return None
        with self.report.collecting():
            publics = log_key_publics(keys)
            if not publics:
                self.report.note("keys/log.key is elsewhere: not compared with log.vkey")
            elif self._files.vkey is not None and self._files.vkey.public not in publics:
                self.report.differs("keys/log.key", "the private key of log/log.vkey", "another")
        keyring = read_keyring(self._evidence, keys, self.report)
        if self._only is None:
            keyring.check(self.report)
        return keyring

    def _check_details(self, keyring: Keyring | None, folded: dict[str, Exhibit]) -> None:
        known = {leaf.hmac: self._only in {None, leaf.exhibit} for leaf in self._leaves.values()}
        if len(known) < len(self._leaves):
            self.report.differs("log", "an hmac of its own for each entry", "one hmac twice")
        self._details = Details(known, keyring, self.report)
        self._details.read(self._evidence / "details")
        self._judge_details(self._wanted_leaves(), folded)

    def _wanted_leaves(self) -> Iterable[Leaf]:
        return (leaf for leaf in self._leaves.values() if self._only in {None, leaf.exhibit})

    def _judge_details(self, leaves: Iterable[Leaf], folded: dict[str, Exhibit]) -> None:
        erasures = Erasures(folded)
        for leaf in leaves:
            self._compare_detail(leaf)
            if not self._details.has(leaf.hmac):
                self.report.differs(leaf.where, f"a detail with HMAC {leaf.hmac} in details/", "none")
            erased = leaf.hmac in self._details.erased
            if erased:
                self.report.count("erased_details")
            if self._mark is not None and not erased and erasures.must(leaf):
                self.report.count("still_to_go")  # from a copy, with its next turn
            else:
                judge_erasure(leaf, erased, erasures, self.report.differs)
            if leaf.hmac in self._details.half_erased:
                self._judge_half(leaf, erasures)

    def _judge_half(self, leaf: Leaf, erasures: Erasures) -> None:
        """Marked first, then emptied: between the two lies a crash, and the disposal goes on from there."""
        path = self._details.half_erased[leaf.hmac]
        if erasures.is_under_way(leaf):
            self.report.note(f"{path}: being erased: start the gateway")
        else:
            self.report.differs(path, "zeros in an erased record", "other bytes")

    def _compare_detail(self, leaf: Leaf) -> None:
        detail = self._details.found.get(leaf.hmac)
        if detail is None:
            return
        told = {name: detail.get(name) for name in ("v", "exhibit", "n")}
        said = {"v": 1, "exhibit": leaf.exhibit, "n": leaf.n}
        if told != said or not isinstance(detail.get("actor"), str):
            self.report.differs(leaf.where, f"a detail with actor and {shown(said)}", shown(told))
        check_signature(leaf, detail, self.report)
        check_formerly(leaf, detail, self._leaves, self.report)

    def _check_claims(self, folded: dict[str, Exhibit]) -> None:
        if self._mark is not None:
            check_mark(self._mark, self._files, self.report)
        if self._only is None:
            self._claims.check(folded, self.report)
        if self.copies:
            of = folded if self._only is None else {name: one for name, one in folded.items() if name == self._only}
            check_copies(self.copies, of, self._claims, self._files, self.report)

    def _is_not_copied(self, name: str, seal: Leaf) -> bool:
        """A copy lacks what no entry says that it holds; a first store lacks nothing."""
        if self._mark is None or exists(self._evidence / blob_path(str(seal.facts.get("blob")))):
            return False
        return self._claims.may_lack(name, self._mark.id)

    def _check_exhibit(self, name: str, exhibit: Exhibit, keyring: Keyring | None) -> None:
        if exhibit.seal is None:
            self.report.count("unsealed")
        elif exhibit.disposed is not None:
            check_gone(self._evidence, exhibit, keyring, self.report, is_copy=self._mark is not None)
        elif self._is_not_copied(name, exhibit.seal):
            self.report.count("not_copied")
        else:
            self.report.count("sealed")
            check_blob(self._evidence, exhibit.seal, keyring, self.report)

    def _count_staging(self) -> None:
        with self.report.collecting():
            staged = {name.split("/")[0] for name in walk(self._evidence / "staging", "staging")}
            # An import under way keeps its marker, as an upload its directory.
            staged |= {name for name in walk(self._evidence / "imports", "imports") if name.endswith(".json")}
            staged |= under_way(self._evidence / "derivatives")
            self.report.count("staging", len(staged))

    def _judge_orphans(self) -> None:
        """A seal under way keeps its staging directory until its entry is in the log: no blob is ever without both."""
        blobs, staged = (self.report.counts.get(name, 0) for name in ("orphan_blobs", "staging"))
        if blobs > staged and self._mark is not None:
            self.report.note("blobs that no entry names yet: they get to a copy before the log does")
        elif blobs > staged and self._files.moved():
            self.report.note("the log grew meanwhile: blobs that no entry names were counted, not judged")
        elif blobs > staged:
            self.report.differs("blobs", f"at most {staged} that no entry names, as many as lie in staging", str(blobs))
