"""Second places: a copy read as the store that it is, and what the log claims of copies held against where they lie."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.blobs import blob_path
from gateway.evidence.verify.files import exists, read_whole
from gateway.evidence.verify.fold import Exhibit
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.logfiles import LogFiles
from gateway.evidence.verify.notes import open_checkpoint, parse_vkey
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.successor import first_origin
from gateway.evidence.verify.tree import root

MARK = "copy.json"
MARK_MAX = 4096
_ID = re.compile(r"C-[0-9A-Z]{12}")
Details = Mapping[str, Mapping[str, Any]]


class Mark(msgspec.Struct, frozen=True):
    """A second place: its id, and the first origin of the log that it is a copy of."""

    id: str
    origin: str


def read_mark(evidence: Path) -> Mark | None:
    """The mark of the place that this evidence directory lies in; None for a first store."""
    path = evidence.parent / MARK
    if not exists(path):
        return None
    try:
        found = json.loads(read_whole(path, MARK_MAX, MARK))
        mark = Mark(found["id"], found["origin"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise VerificationError(MARK, "a JSON object with id and origin", "something else") from None
    if not (isinstance(mark.id, str) and isinstance(mark.origin, str) and _ID.fullmatch(mark.id)):
        raise VerificationError(MARK, "an id C-… and an origin", shown(f"{mark.id} {mark.origin}"))
    return mark


def check_mark(mark: Mark, files: LogFiles, report: Report) -> None:
    """A place holds the log that its mark names, or one that succeeds it."""
    report.note(f"a copy ({mark.id}): it has no catalogue, and may lack what has not been copied yet")
    if files.vkey is not None and first_origin(files.vkey.name) != first_origin(mark.origin):
        report.differs(MARK, f"origin {shown(files.vkey.name)}", shown(mark.origin))


class Claims:
    """What `copy_verified` entries say: which places hold which exhibit; the newest entry of each counts."""

    def __init__(self, leaves: Iterable[Leaf], found: Details) -> None:
        """Take all leaves in order, and those details that were opened."""
        self._newest = {str(leaf.exhibit): leaf for leaf in leaves if leaf.kind == "copy_verified"}
        self._found = found

    def number(self, exhibit: str) -> int:
        """How many copies are claimed in all, the first included."""
        leaf = self._newest.get(exhibit)
        copies = 1 if leaf is None else leaf.facts.get("copies")
        return copies if type(copies) is int else 1

    def names(self, exhibit: str) -> list[str] | None:
        """Ids of the places named; None where that cannot be read."""
        leaf = self._newest.get(exhibit)
        if leaf is None:
            return []
        detail = self._found.get(leaf.hmac)
        places = None if detail is None else detail.get("places")
        return [str(name) for name in places] if isinstance(places, list) else None

    def may_lack(self, exhibit: str, place: str) -> bool:
        """Whether no entry says that this place holds the exhibit's blob."""
        names = self.names(exhibit)
        return self.number(exhibit) < 2 if names is None else place not in names

    def check(self, folded: Mapping[str, Exhibit], report: Report) -> None:
        """Each entry is of the blob that was sealed, and names as many places as it counts."""
        for name, leaf in self._newest.items():
            seal = folded[name].seal if name in folded else None
            sealed = None if seal is None else seal.facts.get("blob_sha256")
            if leaf.facts.get("blob_sha256") != sealed:
                report.differs(
                    leaf.where, f"blob_sha256 {sealed} of the seal", shown(str(leaf.facts.get("blob_sha256")))
                )
            names = self.names(name)
            if names is not None and len(set(names)) + 1 != self.number(name):
                report.differs(leaf.where, f"{self.number(name) - 1} places beside the first", str(len(set(names))))


def check_copies(
    places: Iterable[Path], folded: Mapping[str, Exhibit], claims: Claims, files: LogFiles, report: Report
) -> None:
    """Hold the claims against the places that we are told of; what lies there is verified place by place."""
    known: dict[str, Path] = {}
    for place in places:
        with report.collecting():
            mark = read_mark(place / "evidence")
            if mark is None:
                raise VerificationError(f"{place}/{MARK}", "a copy's mark", "none")
            known[mark.id] = place / "evidence"
            _check_prefix(place, files)
    for name, exhibit in folded.items():
        if exhibit.seal is not None and exhibit.disposed is None:
            with report.collecting():
                _check_claim(name, str(exhibit.seal.facts.get("blob")), known, claims, report)


def _check_claim(name: str, blob: str, known: Mapping[str, Path], claims: Claims, report: Report) -> None:
    names = claims.names(name)
    there = {place for place, evidence in known.items() if exists(evidence / blob_path(blob))}
    report.count("copies_claimed", claims.number(name) - 1)
    report.count("copies_there", len(there))
    if names is None:
        if len(there) < min(claims.number(name) - 1, len(known)):
            raise VerificationError(f"exhibit {name}", f"{claims.number(name) - 1} copies", str(len(there)))
        return
    report.count("copies_elsewhere", len(set(names) - set(known)))
    for place in sorted(set(names) & set(known)):
        if place not in there:
            raise VerificationError(f"{known[place]}/{blob_path(blob)}", f"a copy of exhibit {name}", "none")


def _check_prefix(place: Path, files: LogFiles) -> None:
    """The copy's log is the beginning of this one."""
    log = place / "evidence" / "log"
    vkey = parse_vkey(read_whole(log / "log.vkey", 1 << 18, f"{place}: log.vkey"), f"{place}: log.vkey")
    theirs = open_checkpoint(
        read_whole(log / "checkpoint", 1 << 18, f"{place}: checkpoint"), vkey, f"{place}: checkpoint"
    )
    if files.vkey is None or vkey.name != files.vkey.name:
        return  # the copy still has the log that this one succeeds
    if theirs.size > len(files.hashes):
        raise VerificationError(f"{place}: checkpoint", f"at most {len(files.hashes)} entries", str(theirs.size))
    if root(files.hashes[: theirs.size]) != theirs.root:
        raise VerificationError(f"{place}: checkpoint", f"the root of our first {theirs.size} entries", "another")
