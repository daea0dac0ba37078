"""The journal against the roots that the log has of it: every file, every leaf, what was destroyed and by which act.

What a deletion leaves of a frame is its leaf. `<file>.leaves` are kept for good; journal files go when they are due.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from struct import unpack
from typing import BinaryIO

import msgspec

from gateway.errors import VerificationError
from gateway.evidence.verify import tree
from gateway.evidence.verify.files import exists, opened, walk
from gateway.evidence.verify.journal_keys import JournalKeys, read_journal_keys
from gateway.evidence.verify.leaves import Leaf, canonical_object, is_count
from gateway.evidence.verify.report import Report, shown

MAGIC, LEAVES_MAGIC = b"LAPELJRN2\n", b"LAPELLVS1\n"
FILE_HEAD, BATCH_HEAD, FRAME_HEAD = 22, 40, 49
FRAMES_MAX = 1 << 20
FACTS_MAX = 1 << 16
_NAME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}-[0-9a-f]{16}")
_HEX = re.compile(r"[0-9a-f]{64}")


class Root(msgspec.Struct, frozen=True):
    """One `journal_root` entry: the tree's root, how many frames, of which files."""

    where: str
    root: bytes
    frames: int
    files: tuple[tuple[str, int], ...]
    hours: tuple[object, object]


class Batch(msgspec.Struct, frozen=True):
    """One batch's columns, and where its sealed rows begin."""

    start: int
    flags: bytes
    slots: list[bytes]
    lengths: tuple[int, ...]
    leaves: bytes


def check_journal(evidence: Path, keys: Path | None, leaves: Iterable[Leaf], report: Report) -> None:
    """Check the journal that lies beside an evidence directory, where there is one."""
    journal, known = evidence.parent / "journal", list(leaves)
    if not exists(journal):
        if any(leaf.kind == "journal_root" for leaf in known):
            report.note("there is no journal here: its roots were compared with nothing")
        return
    opener = read_journal_keys(journal, keys, report) if keys is not None and exists(journal / "keys.db") else None
    if opener is None:
        report.note("no keys of the journal: its frames were compared by their leaves alone")
    JournalCheck(journal, opener, report).run(known)


class JournalCheck:
    """One reading of a journal; kept: frames still there by day, covered: frames in roots by day."""

    def __init__(self, directory: Path, keys: JournalKeys | None, report: Report) -> None:
        self._directory, self._keys, self._report = directory, keys, report
        self._kept: Counter[str] = Counter()
        self._covered: Counter[str] = Counter()
        self._seen: dict[str, str] = {}

    def run(self, leaves: list[Leaf]) -> None:
        """Compare every root of the log with what lies there, then what is gone with the acts that destroyed it."""
        for leaf in leaves:
            if leaf.kind == "journal_root":
                with self._report.collecting():
                    self._check_root(_root(leaf))
        with self._report.collecting():
            self._strays()
        self._compare(_destroyed(leaves))

    def _check_root(self, root: Root) -> None:
        self._report.count("journal_roots")
        self._report.count("journal_frames", root.frames)
        for name, frames in root.files:
            if name in self._seen:
                raise VerificationError(root.where, f"{name} in one root", f"in {self._seen[name]} too")
            self._seen[name] = root.where
            self._covered[name[:10]] += frames
        first = f"{root.files[0][0]}.leaves"
        with opened(self._directory / first, f"journal/{first}") as file:
            stored = _stored(file, root, f"journal/{first}")
        at = 0
        for name, frames in root.files:
            with self._report.collecting():
                self._check_file(name, stored[at * 32 : (at + frames) * 32], frames)
            at += frames

    def _check_file(self, name: str, leaves: bytes, frames: int) -> None:
        where, at = f"journal/{name}.jrn", 0
        if not exists(self._directory / f"{name}.jrn"):
            self._report.count("journal_files_gone")
            return
        with opened(self._directory / f"{name}.jrn", where) as file:
            for batch in _batches(file, where):
                if leaves[at * 32 : (at + len(batch.lengths)) * 32] != batch.leaves:
                    raise VerificationError(where, "the leaves of its root", f"others from frame {at} on")
                self._check_frames(file, batch, at, where)
                at += len(batch.lengths)
        if at != frames:
            raise VerificationError(where, f"the {frames} frames of its root", str(at))
        self._report.count("journal_files")

    def _check_frames(self, file: BinaryIO, batch: Batch, before: int, where: str) -> None:
        file.seek(0)
        head, at, day = file.read(FILE_HEAD), batch.start, where[8:18]
        first = int.from_bytes(head[18:], "big") + before
        for place, (flag, length) in enumerate(zip(batch.flags, batch.lengths, strict=True)):
            file.seek(at)
            sealed, leaf = file.read(length), batch.leaves[place * 32 : (place + 1) * 32]
            at += length
            if flag == ord("E"):
                if any(sealed):
                    self._report.differs(f"{where} frame {before + place}", "zeros, as it was erased", "bytes")
                continue
            self._kept[day] += 1
            nonce = head[10:18] + (first + place).to_bytes(4, "big")
            if self._keys is not None and _leaf(self._keys.open(day, batch.slots[place], nonce, sealed, leaf)) != leaf:
                self._report.differs(f"{where} frame {before + place}", "a row that its leaf commits to", "none")

    def _strays(self) -> None:
        """Files that no root covers yet belong to the last hours; of those of a `.leaves` there must be an entry."""
        for name in walk(self._directory, "journal"):
            stem, _, suffix = name.partition(".")
            if not _NAME.fullmatch(stem) or stem in self._seen:
                continue
            if suffix == "jrn":
                self._report.count("journal_files_without_root")
            elif suffix == "leaves":
                self._report.differs(f"journal/{name}", "an entry journal_root that covers it", "none")

    def _compare(self, destroyed: Counter[str]) -> None:
        """By day: what the roots have and the files no longer do was destroyed on record, no more and no less."""
        unfinished = any(name.endswith(".json") for name in walk(self._directory / "disposals", "journal/disposals"))
        for day in sorted(self._covered):
            gone = self._covered[day] - self._kept[day]
            self._report.count("journal_frames_destroyed", gone)
            if gone < destroyed[day] and unfinished:
                self._report.note(f"journal/{day}: a deletion is not finished")
            elif gone != destroyed[day]:
                wanted = f"{destroyed[day]} frames destroyed, as the log says"
                self._report.differs(f"journal/{day}", wanted, f"{gone} are gone")


def _root(leaf: Leaf) -> Root:
    facts = leaf.facts
    files, root, frames = facts.get("files"), facts.get("root"), facts.get("frames")
    if not isinstance(root, str) or not _HEX.fullmatch(root) or not is_count(frames) or not isinstance(files, list):
        raise VerificationError(leaf.where, "root, frames and files", "something else")
    listed = []
    for each in files:
        if not isinstance(each, list) or len(each) != 2 or not _is_file(each[0]) or not is_count(each[1]):
            raise VerificationError(leaf.where, "journal files with their frames", shown(each))
        listed.append((str(each[0]), int(each[1])))
    if not listed or sum(count for _, count in listed) != frames:
        raise VerificationError(leaf.where, f"files that have {frames} frames together", "others")
    return Root(
        leaf.where,
        bytes.fromhex(root),
        sum(count for _, count in listed),
        tuple(listed),
        (facts.get("from"), facts.get("to")),
    )


def _is_file(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _stored(file: BinaryIO, root: Root, where: str) -> bytes:
    """The leaf hashes of a `.leaves` file, which must be those of the entry's root and say what it says."""
    levels = [root.frames, root.frames >> 8, root.frames >> 16]
    raw = file.read(32 * sum(levels) + FACTS_MAX + 64)
    end = raw[32 * sum(levels) :]
    length = int.from_bytes(end[-14:-10], "big")
    if end[-10:] != LEAVES_MAGIC or length != len(end) - 14:
        raise VerificationError(where, f"hashes over {root.frames} frames and what they cover", "something else")
    said = canonical_object(end[:length], where)
    told = {"from": root.hours[0], "to": root.hours[1], "frames": root.frames, "root": root.root.hex()}
    if said != {**told, "v": 1, "files": [list(each) for each in root.files]}:
        raise VerificationError(where, f"what {root.where} says", "something else")
    rows = [[raw[at : at + 32] for at in range(0, 32 * levels[0], 32)]]
    for level in (1, 2):
        rows.append(tree.level_above(rows[-1]))
        start = 32 * sum(levels[:level])
        if b"".join(rows[-1]) != raw[start : start + 32 * levels[level]]:
            raise VerificationError(where, f"the hashes over each {256**level} leaves", "others")
    if tree.root(rows[0]) != root.root:
        raise VerificationError(where, f"leaves with the root of {root.where}", "leaves with another")
    return raw[: 32 * root.frames]


def _batches(file: BinaryIO, where: str) -> Iterator[Batch]:
    """Every whole batch; one that is not whole ends the file, and the root says whether it should."""
    head = file.read(FILE_HEAD)
    if len(head) != FILE_HEAD or not head.startswith(MAGIC) or head[10:18].hex() != where[-20:-4]:
        return
    at = FILE_HEAD
    while True:
        file.seek(at)
        head = file.read(BATCH_HEAD)
        count = int.from_bytes(head[4:8], "big")
        if len(head) < BATCH_HEAD or not 0 < count <= FRAMES_MAX:
            return
        batch = _batch(head, file.read(count * FRAME_HEAD), at)
        if batch is None:
            return
        yield batch
        at = batch.start + sum(batch.lengths)


def _batch(head: bytes, columns: bytes, at: int) -> Batch | None:
    count = int.from_bytes(head[4:8], "big")
    flags, rest = columns[:count], columns[count:]
    if hashlib.sha256(head[4:8] + rest).digest() != head[8:] or set(flags) - set(b"FE"):
        return None
    lengths = unpack(f">{count}I", rest[8 * count : 12 * count])
    if int.from_bytes(head[:4], "big") != BATCH_HEAD - 4 + len(columns) + sum(lengths):
        return None
    slots = [rest[8 * each : 8 * each + 8] for each in range(count)]
    return Batch(at + BATCH_HEAD + len(columns), flags, slots, lengths, rest[12 * count : 44 * count])


def _leaf(content: bytes | None) -> bytes | None:
    """SHA-256(0x00 ‖ HMAC-SHA256(salt, row))."""
    return None if content is None else tree.leaf_hash(hmac.digest(content[:32], content[32:], "sha256"))


def _destroyed(leaves: Iterable[Leaf]) -> Counter[str]:
    """Frames by day that entries say were destroyed."""
    days: Counter[str] = Counter()
    for leaf in leaves:
        listed = leaf.facts.get("days")
        if leaf.kind != "dispose" or leaf.facts.get("what") != "history" or not isinstance(listed, list):
            continue
        for each in listed:
            if isinstance(each, list) and len(each) == 2 and isinstance(each[0], str) and is_count(each[1]):
                days[each[0]] += each[1]
    return days
