"""A package of somebody's position history, checked by code that did not write it: every frame, every root, the log."""

from __future__ import annotations

import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify.cosignatures import cosigned_at
from gateway.evidence.verify.exported_chain import HEADER
from gateway.evidence.verify.files import from_base64, opened, read_whole, walk
from gateway.evidence.verify.leaves import Leaf, canonical_object, is_count, parse_leaf
from gateway.evidence.verify.notes import Checkpoint, open_checkpoint, parse_note, parse_vkey
from gateway.evidence.verify.published import Published, parse_published
from gateway.evidence.verify.report import Report, shown
from gateway.evidence.verify.tree import leaf_hash, root_from_inclusion

SMALL, MANIFEST_MAX, LINE_MAX = 1 << 20, 1 << 24, 1 << 22
MANIFEST = "manifest-sha256.txt"
CHECKPOINT, VKEY, LINES = "trust/checkpoint", "trust/log.vkey", "trust/published.txt"
DISCLOSURE = tuple(f"disclosure.{part}" for part in ("leaf", "detail", "salt", "tlog-proof"))
BESIDE = frozenset({MANIFEST, "VERIFY.md", CHECKPOINT, VKEY, LINES, *DISCLOSURE})
_LINE = re.compile(r"([0-9a-f]{64})  ([a-z0-9./-]+)")
_ROOT = re.compile(r"roots/([0-9]{4,})\.leaf")


class Frame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of frames/<n>.jsonl."""

    v: int
    index: int
    row: str
    salt: str
    path: list[str]


def verify_history(folder: Path, published: Published | None = None) -> Report:
    """Check a package; without published keys its origin stays unknown."""
    report = Report(folder.name)
    with report.collecting():
        checkpoint = _checkpoint(folder, published, report)
        report.checkpoint = {"origin": checkpoint.origin, "size": checkpoint.size}
        disclosure = _disclosure(folder, checkpoint)
        named = _files(folder, disclosure, report)
        frames = 0
        for number in sorted(found[1] for name in named if (found := _ROOT.fullmatch(name))):
            with report.collecting():
                frames += _root(folder, number, checkpoint, report)
        report.count("frames", frames)
        if report.ok and frames != disclosure.facts.get("frames"):
            raise VerificationError("frames", f"{disclosure.facts.get('frames')} as on record", str(frames))
    return report


def _small(folder: Path, name: str) -> bytes:
    return read_whole(folder / name, SMALL, name)


def _checkpoint(folder: Path, published: Published | None, report: Report) -> Checkpoint:
    vkey = parse_vkey(_small(folder, VKEY), VKEY)
    if published is not None and vkey not in published.logs:
        report.differs(VKEY, "a log's key that was published", f"{vkey.name}+{vkey.key_id.hex()}")
    checkpoint = open_checkpoint(_small(folder, CHECKPOINT), vkey, CHECKPOINT)
    note = parse_note(checkpoint.raw, CHECKPOINT)
    said = parse_published(_small(folder, LINES).decode("utf-8", "replace"), LINES)
    for witness in (published or said).witnesses:
        if any((each.name, each.key_id) == (witness.vkey.name, witness.vkey.key_id) for each in note.signatures):
            cosigned_at(note, witness.vkey, CHECKPOINT)
            report.count("cosignatures")
        else:
            report.note(f"witness {witness.vkey.name} ({witness.operator}) has not cosigned")
    return checkpoint


def _disclosure(folder: Path, checkpoint: Checkpoint) -> Leaf:
    """The log's entry of this package, and that what it says of purpose and recipient is what was recorded."""
    leaf = _proved(folder, "disclosure", checkpoint)
    if (leaf.kind, leaf.facts.get("what")) != ("disclose", "history"):
        raise VerificationError("disclosure.leaf", "a disclosure of history", shown(leaf.kind))
    salt = _small(folder, "disclosure.salt").decode("ascii", "replace")
    if not re.fullmatch(r"[0-9a-f]{64}\n", salt):
        raise VerificationError("disclosure.salt", "32 bytes in hex", shown(salt))
    detail = _small(folder, "disclosure.detail")
    if hmac.digest(bytes.fromhex(salt), detail, "sha256").hex() != leaf.hmac:
        raise VerificationError("disclosure.detail", "what the entry commits to", "something else")
    canonical_object(detail, "disclosure.detail")
    return leaf


def _proved(folder: Path, name: str, checkpoint: Checkpoint) -> Leaf:
    raw, proof = _small(folder, f"{name}.leaf"), _small(folder, f"{name}.tlog-proof")
    head, _, note = proof.partition(b"\n\n")
    lines = head.decode("utf-8", "replace").split("\n")
    where = f"{name}.tlog-proof"
    if note != checkpoint.raw:
        raise VerificationError(where, f"a proof under {CHECKPOINT}", "one under another")
    index = re.fullmatch(r"index (0|[1-9][0-9]{0,17})", lines[1]) if len(lines) > 1 else None
    if lines[0] != HEADER or index is None:
        raise VerificationError(where, f"{HEADER} with its index", shown(lines[:2]))
    path = [from_base64(each, 32, where, "a hash") for each in lines[2:]]
    if root_from_inclusion(int(index[1]), checkpoint.size, leaf_hash(raw), path) != checkpoint.root:
        raise VerificationError(f"{name}.leaf", "an entry of the log", "one that is not in it")
    return parse_leaf(raw, int(index[1]))


def _files(folder: Path, disclosure: Leaf, report: Report) -> set[str]:
    """The manifest is the one on record, every file is as it says, and no other lies here."""
    raw = read_whole(folder / MANIFEST, MANIFEST_MAX, MANIFEST)
    if hashlib.sha256(raw).hexdigest() != disclosure.facts.get("sha256"):
        raise VerificationError(MANIFEST, "the manifest that was put on record", "another")
    named: dict[str, str] = {}
    for line in raw.decode("utf-8", "replace").splitlines():
        found = _LINE.fullmatch(line)
        if found is None or ".." in found[2] or found[2].startswith("/"):
            raise VerificationError(MANIFEST, "a digest and a name", shown(line))
        named[found[2]] = found[1]
    proofs = {name.replace(".leaf", ".tlog-proof") for name in named if _ROOT.fullmatch(name)}
    there = set(walk(folder, folder.name))
    for name in sorted(there ^ (set(named) | proofs | BESIDE)):
        report.differs(name, "a file of the package" if name not in there else "no such file", "none or another")
    for name in sorted(set(named) & there):
        with report.collecting():
            _compare(folder, name, named[name])
    report.count("files", len(there))
    return set(named) & there


def _compare(folder: Path, name: str, digest: str) -> None:
    sha = hashlib.sha256()
    with opened(folder / name, name) as file:
        while piece := file.read(SMALL):
            sha.update(piece)
    if sha.hexdigest() != digest:
        raise VerificationError(name, "the file that was disclosed", "another")


def _root(folder: Path, number: str, checkpoint: Checkpoint, report: Report) -> int:
    """One hour: its root in the log, each frame in the root; how many frames."""
    leaf = _proved(folder, f"roots/{number}", checkpoint)
    size, root = leaf.facts.get("frames"), leaf.facts.get("root")
    if leaf.kind != "journal_root" or not isinstance(root, str) or not isinstance(size, int) or not is_count(size):
        raise VerificationError(f"roots/{number}.leaf", "the root of an hour", shown(leaf.kind))
    report.count("roots")
    name, before, count = f"frames/{number}.jsonl", -1, 0
    with opened(folder / name, name) as file:
        while raw := file.readline(LINE_MAX + 1):
            count += 1
            before = _frame(_line(raw, f"{name} line {count}"), (size, root, before), f"{name} line {count}")
    return count


def _line(raw: bytes, where: str) -> Frame:
    said: dict[str, Any] = canonical_object(raw.removesuffix(b"\n"), where)
    try:
        return msgspec.convert(said, Frame)
    except msgspec.ValidationError as wrong:
        raise VerificationError(where, "v, index, row, salt and path", shown(wrong)) from None


def _frame(frame: Frame, tree: tuple[int, str, int], where: str) -> int:
    size, root, before = tree
    if frame.v != 1 or frame.index <= before:
        raise VerificationError(where, f"v 1 and an index above {before}", f"v {frame.v} and index {frame.index}")
    row, salt = from_base64(frame.row, None, where, "a row"), from_base64(frame.salt, 32, where, "a salt")
    path = [from_base64(each, 32, where, "a hash") for each in frame.path]
    leaf = leaf_hash(hmac.digest(salt, row, "sha256"))
    found = root_from_inclusion(frame.index, size, leaf, path)
    if found is None or found.hex() != root:
        raise VerificationError(where, "a frame of its hour's root", "one that is not in it")
    canonical_object(row, where)
    return frame.index
