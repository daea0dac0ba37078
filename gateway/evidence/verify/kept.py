"""Whether each thing that the log speaks of is there, without reading it whole: blobs, thumbnails, keys, details."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.agefile import CHUNK, TAG, file_key, read_header
from gateway.evidence.verify.blobs import BLOB, blob_path
from gateway.evidence.verify.details import FILE, Details
from gateway.evidence.verify.files import exists, opened, walk
from gateway.evidence.verify.fold import Exhibit
from gateway.evidence.verify.items import Reconciliation, state_of
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.thumbnails import check_thumbnail
from gateway.evidence.verify.unwrap import KEYS, Keyring

_KEY = re.compile(r"(?:identity|run)/([^/]+)(?:/.*)?")
_DETAILS_KEY = re.compile(r"details/([0-9]{6})")


class Seen(msgspec.Struct):
    """One look at a store: what the log says, what is on its way, and where the answer goes.

    skipped are exhibits of which entries could not be read: of them nothing can be said.
    """

    evidence: Path
    folded: dict[str, Exhibit]
    leaves: Mapping[int, Leaf]
    uploads: dict[str, set[str]]
    keyring: Keyring | None
    told: Reconciliation
    skipped: set[str] = msgspec.field(default_factory=set)

    def exhibits(self) -> Iterable[tuple[str, Exhibit]]:
        """Every exhibit that can be judged."""
        return ((name, each) for name, each in self.folded.items() if name not in self.skipped)

    def collected(self, report: Report) -> None:
        """Take over what a part of the verifier found."""
        self.told.take(report, self.leaves)


def age_size(plain: int) -> int:
    """How long an age v1 file with one X25519 recipient is (docs/formats.md, "blobs")."""
    return 22 + 54 + 44 + 48 + 16 + plain + TAG * max(1, -(-plain // CHUNK))


def judge_blobs(seen: Seen) -> None:
    """Every blob that the log names is there, as long as it was, and opened by its exhibit's key; no other is."""
    for _name, exhibit in seen.exhibits():
        seal = exhibit.seal
        if seal is None or not {"blob", "size"} <= set(seal.facts):
            continue
        if "disposed_at" in exhibit.said:
            _must_be_gone(seen, exhibit, blob_path(seal.facts["blob"]))
        elif "shredded_at" not in exhibit.said:
            _judge_blob(seen, exhibit, seal)
    _judge_orphans(seen)


def _judge_blob(seen: Seen, exhibit: Exhibit, seal: Leaf) -> None:
    name, report = blob_path(seal.facts["blob"]), Report("blob")
    seen.told.count("blobs_wanted")
    with report.collecting():
        _look(seen.evidence / name, name, seal, seen.keyring)
        seen.told.count("blobs_found")
        seen.told.count("bytes", seal.facts["size"])
    for finding in (*report.findings, *report.unread):
        state = "unread" if finding in report.unread else state_of(finding)
        why = f"{seal.where} (seal)" if state == "missing" else f"{seal.where} (seal): {finding.expected}"
        seen.told.add(state, name, exhibit.first.exhibit, known_from=why, found=finding.found)


def _look(path: Path, name: str, seal: Leaf, keyring: Keyring | None) -> None:
    key = f"identity/{seal.exhibit}"
    with opened(path, name) as file:
        size, wanted = os.fstat(file.fileno()).st_size, age_size(seal.facts["size"])
        if size != wanted:
            raise VerificationError(name, f"{wanted} bytes", f"{size} bytes")
        if keyring is not None and keyring.opens(key):
            file_key(read_header(file, name), keyring.open(key), name)


def _must_be_gone(seen: Seen, exhibit: Exhibit, name: str) -> None:
    if exhibit.disposed is not None and exists(seen.evidence / name):
        why = f"{exhibit.disposed.where} ({exhibit.disposed.kind}): it is gone"
        seen.told.add("surplus", name, exhibit.first.exhibit, known_from=why, found="it is there")


def _judge_orphans(seen: Seen) -> None:
    """A seal or import under way keeps its staging until its entry is in the log: no blob is ever without both."""
    named = {str(leaf.facts["blob"]) for leaf in seen.leaves.values() if "blob" in leaf.facts}
    report, orphans = Report("blobs"), []
    with report.collecting():
        for name in walk(seen.evidence / "blobs", "blobs"):
            match = BLOB.fullmatch(name)
            if match is not None and match[3] not in named:
                orphans.append(f"blobs/{name}")
    seen.collected(report)
    seen.told.count("blobs_of_no_entry", len(orphans))
    if len(orphans) > len(seen.uploads) and not seen.skipped:
        for name in orphans:
            why = f"no log entry, and {len(seen.uploads)} uploads on their way"
            seen.told.add("surplus", name, None, known_from=why, found="it is there")


def judge_thumbnails(seen: Seen) -> None:
    """Every thumbnail that the log names is there and is that one."""
    report = Report("thumbnails")
    for name, exhibit in seen.exhibits():
        place = f"thumbnails/{name[-2:]}/{name}.age"
        said = exhibit.said.get("thumbnail")
        if "disposed_at" in exhibit.said:
            _must_be_gone(seen, exhibit, place)
        elif said is not None and "shredded_at" not in exhibit.said:
            if exists(seen.evidence / place):
                check_thumbnail(seen.evidence, name, said, report)
            else:
                seen.told.missing(place, name, "its derive entry")
    seen.collected(report)


def judge_keys(seen: Seen) -> None:
    """Every exhibit that was not disposed of has its key; no key is back that was destroyed."""
    keyring = seen.keyring
    if keyring is None:
        return
    names = keyring.names
    seen.told.count("wrapped_keys", len(names))
    for name, exhibit in seen.exhibits():
        if exhibit.seal is not None and exhibit.disposed is None and f"identity/{name}" not in names:
            seen.told.missing(f"{KEYS} identity/{name}", name, f"{exhibit.seal.where} (seal)")
    for name in names:
        match = _KEY.fullmatch(name)
        if match is not None and match[1] not in seen.skipped:
            _judge_key(seen, name, match[1])
    _judge_keks(seen, keyring)
    _judge_staged(seen, names)


def _judge_staged(seen: Seen, names: Mapping[str, str]) -> None:
    """Footage on its way has the keys that it was written under."""
    for owner, keys in seen.uploads.items():
        sealed = owner in seen.folded and seen.folded[owner].seal is not None
        for name in sorted(keys - set(names)):
            if not sealed and exists(seen.evidence / "staging" / owner):
                seen.told.missing(f"{KEYS} {name}", owner, f"staging/{owner}")


def _judge_key(seen: Seen, name: str, owner: str) -> None:
    """A key that is there: whether an entry says that it is gone."""
    exhibit = seen.folded.get(owner)
    if owner in seen.uploads:
        return
    if exhibit is None or (exhibit.seal is None and exhibit.disposed is None):
        seen.told.count("keys_of_no_seal")  # of an upload that became nothing: its files go first
    elif exhibit.disposed is not None:
        why = f"{exhibit.disposed.where} ({exhibit.disposed.kind}): it was destroyed"
        seen.told.add("surplus", f"{KEYS} {name}", owner, known_from=why, found="it is there")
    elif exhibit.seal is not None and name != f"identity/{owner}":
        why = f"{exhibit.seal.where} (seal): it was deleted"
        seen.told.add("surplus", f"{KEYS} {name}", owner, known_from=why, found="it is there")


def _judge_keks(seen: Seen, keyring: Keyring) -> None:
    """A key-encryption key that is not there is named once; a key that its own does not open is named itself."""
    under: dict[str, int] = {}
    for name, kek in keyring.names.items():
        under[kek] = under.get(kek, 0) + 1
        if keyring.has_kek(kek) and not keyring.opens(name):
            why = f"keys/{kek}.key"
            match = _KEY.fullmatch(name)
            owner = match[1] if match else None
            seen.told.add("differs", f"{KEYS} {name}", owner, known_from=why, found="it does not open")
    for kek, number in under.items():
        if not keyring.has_kek(kek):
            seen.told.missing(f"keys/{kek}.key", None, f"{number} keys wrapped under it")


def judge_uploads(seen: Seen) -> None:
    """What was received and neither sealed nor given up is on its way."""
    empty = nothing_came(seen.leaves)
    for name, exhibit in seen.exhibits():
        if exhibit.seal is None and exhibit.disposed is None and name not in empty and name not in seen.uploads:
            seen.told.missing(f"staging/{name}", name, f"{exhibit.first.where} ({exhibit.first.kind})")


def nothing_came(leaves: Mapping[int, Leaf]) -> set[str]:
    """Exhibits of whose upload no byte ever came, which the log says."""
    amended = (leaf for leaf in leaves.values() if leaf.kind == "amend" and leaf.facts.get("size") == 0)
    return {leaf.exhibit for leaf in amended if leaf.exhibit is not None}


def judge_details(seen: Seen, details: Details) -> None:
    """Every entry has its detail; a whole file that is not there is named, else each entry without one."""
    lacking = [leaf for leaf in seen.leaves.values() if not details.has(leaf.hmac)]
    top, keys = seen.evidence / "details", () if seen.keyring is None else seen.keyring.names
    present = {name.removesuffix(".dtl") for name in walk(top, "details") if FILE.fullmatch(name)}
    keyed = {match[1] for name in keys if (match := _DETAILS_KEY.fullmatch(name))}
    if not lacking:
        return
    seen.told.count("details_missing", len(lacking))
    files = sorted(keyed - present)
    for number in files:
        why = f"its key in {KEYS}; {len(lacking)} entries have no detail ({lacking[0].index} to {lacking[-1].index})"
        seen.told.missing(f"details/{number}.dtl", None, why)
    for leaf in () if files else lacking:
        seen.told.missing(f"detail of {leaf.where}", leaf.exhibit, f"{leaf.where} ({leaf.kind})")


def judge_erased(seen: Seen, details: Details) -> None:
    """A detail is erased only of an exhibit that was disposed of."""
    for leaf in seen.leaves.values():
        if leaf.hmac in details.erased:
            seen.told.count("details_erased")
            exhibit = seen.folded.get(leaf.exhibit or "")
            if exhibit is None or exhibit.disposed is None:
                why = f"{leaf.where} ({leaf.kind}), of what was not disposed of"
                seen.told.add("missing", f"detail of {leaf.where}", leaf.exhibit, known_from=why, found="it is erased")
