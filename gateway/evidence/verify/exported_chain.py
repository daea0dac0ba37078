"""custody.jsonl of one exported exhibit: each entry in the log, in order, each detail the one that was logged."""

from __future__ import annotations

import csv
import hmac
import io
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.files import from_base64, opened, read_whole
from gateway.evidence.verify.leaves import Leaf, canonical_object, parse_leaf
from gateway.evidence.verify.notes import Checkpoint
from gateway.evidence.verify.report import shown
from gateway.evidence.verify.tree import leaf_hash, root_from_inclusion

HEADER = "c2sp.org/tlog-proof@v1"
LINE_BYTES_MAX = 4 << 20
CSV_BYTES_MAX = 1 << 30


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line as it stands."""

    v: int
    index: int
    leaf: str
    detail: str | None
    salt: str | None
    proof: str


class Proved(msgspec.Struct, frozen=True):
    """One entry that is in the log, and its detail (None: erased)."""

    leaf: Leaf
    detail: dict[str, Any] | None

    @property
    def facts(self) -> dict[str, Any]:
        """What the entry says in clear."""
        return self.leaf.facts


def read_chain(path: Path, exhibit: str, checkpoint: Checkpoint, name: str) -> list[Proved]:
    """Every entry of one exhibit, proved under this checkpoint; VerificationError for the first that is not."""
    chain: list[Proved] = []
    before: str | None = None
    with opened(path, name) as file:
        while raw := file.readline(LINE_BYTES_MAX + 1):
            where = f"{name} line {len(chain) + 1}"
            proved = _proved(_line(raw, where), checkpoint, where)
            place = (proved.leaf.exhibit, proved.leaf.n, proved.leaf.prev)
            wanted = (exhibit, len(chain) + 1, before)
            if place != wanted:
                raise VerificationError(where, shown(wanted), shown(place))
            before = proved.leaf.sha256
            chain.append(proved)
    return chain


def _line(raw: bytes, where: str) -> Line:
    if len(raw) > LINE_BYTES_MAX or not raw.endswith(b"\n"):
        raise VerificationError(where, f"a line of at most {LINE_BYTES_MAX} bytes with its end", "another")
    try:
        line = msgspec.json.decode(raw, type=Line)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise VerificationError(where, "v, index, leaf, detail, salt and proof", shown(problem)) from None
    if line.v != 1:
        raise VerificationError(where, "v 1", shown(line.v))
    return line


def _proved(line: Line, checkpoint: Checkpoint, where: str) -> Proved:
    raw = from_base64(line.leaf, None, where, "a leaf")
    check_proof(from_base64(line.proof, None, where, "a proof"), line.index, raw, checkpoint, where)
    leaf = parse_leaf(raw, line.index)
    if line.detail is None or line.salt is None:
        if line.detail != line.salt:
            raise VerificationError(where, "detail and salt, or neither", "one of them")
        return Proved(leaf, None)
    detail, salt = from_base64(line.detail, None, where, "a detail"), from_base64(line.salt, 32, where, "a salt")
    if hmac.digest(salt, detail, "sha256").hex() != leaf.hmac:
        raise VerificationError(where, "the detail that its entry commits to", "another")
    return Proved(leaf, canonical_object(detail, where))


def check_proof(raw: bytes, index: int, leaf: bytes, checkpoint: Checkpoint, where: str) -> None:
    """Whether a `.tlog-proof` leads from this entry to this checkpoint; VerificationError where it does not."""
    head, _, note = raw.partition(b"\n\n")
    if note != checkpoint.raw:
        raise VerificationError(where, "a proof under the checkpoint", "one under another")
    lines = head.decode("utf-8", "replace").split("\n")
    if lines[:2] != [HEADER, f"index {index}"]:
        raise VerificationError(where, f"{HEADER} of index {index}", shown(lines[:2]))
    path = [from_base64(each, 32, where, "a hash") for each in lines[2:]]
    if root_from_inclusion(index, checkpoint.size, leaf_hash(leaf), path) != checkpoint.root:
        raise VerificationError(where, "an entry of the log", "one that is not in it")


def check_csv(path: Path, chain: list[Proved], name: str) -> None:
    """The reading copy has the same acts in the same order."""
    text = read_whole(path, CSV_BYTES_MAX, name).decode("utf-8", "replace")
    rows = [tuple(row[:4]) for row in csv.reader(io.StringIO(text, newline=""))][1:]
    wanted = [(str(each.leaf.n), str(each.leaf.index), each.leaf.at, each.leaf.kind) for each in chain]
    if rows != wanted:
        raise VerificationError(name, "the acts of custody.jsonl", "others")
