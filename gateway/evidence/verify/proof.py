"""`.tlog-proof` of one entry, derived from the files (c2sp.org/tlog-proof@v1)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify import tree
from gateway.evidence.verify.leaves import entry
from gateway.evidence.verify.logfiles import LogFiles
from gateway.evidence.verify.report import Report

HEADER = "c2sp.org/tlog-proof@v1"


class Proven(msgspec.Struct, frozen=True):
    """An entry's exact bytes, and the text that proves it to be in the log."""

    index: int
    leaf: bytes
    text: str

    def as_json(self) -> str:
        """Print as one JSON object, the leaf in base64."""
        leaf = base64.b64encode(self.leaf).decode("ascii")
        return json.dumps({"v": 1, "index": self.index, "leaf": leaf, "proof": self.text}, ensure_ascii=False)


def prove(evidence_dir: Path, index: int, origin: str | None = None) -> Proven:
    """Prove an entry; the whole log is verified on the way.

    VerificationError when the log is damaged, ValueError when it has no such entry.
    """
    report = Report("log")
    files = LogFiles(Path(evidence_dir), report)
    checkpoint = files.open(origin)
    if not 0 <= index < checkpoint.size:
        message = f"no entry {index}: the log has {checkpoint.size}"
        raise ValueError(message)
    leaves: list[bytes] = []
    files.scan(lambda at, raw: leaves.append(raw) if at == index else None)
    report.raise_first()
    path = tree.inclusion_path(index, files.hashes)
    if tree.root_from_inclusion(index, checkpoint.size, tree.leaf_hash(leaves[0]), path) != checkpoint.root:
        raise VerificationError(entry(index), "a proof that leads to the root", "one that does not")
    lines = [HEADER, f"index {index}", *(base64.b64encode(one).decode("ascii") for one in path)]
    return Proven(index, leaves[0], "\n".join(lines) + "\n\n" + checkpoint.raw.decode())
