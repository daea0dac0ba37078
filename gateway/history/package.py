"""A package that proves one officer's track: frames, salts, paths to each hour's root, and what the log says of those.

Nothing in it says anything of anybody else: a tree's other leaves are hashes of salted frames (docs/formats.md).
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import msgspec

from gateway.crypto.canonical import canonical
from gateway.crypto.journal_keys import JournalKeys
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.errors import EvidenceError
from gateway.evidence.log.disk import Disk
from gateway.history.files import Kept
from gateway.history.finding import Sought, found
from gateway.history.reading import Position, gpx, table
from gateway.history.rooting import leaves_files
from gateway.history.tree import LeavesFile

MANIFEST = "manifest-sha256.txt"
Decode = Callable[[str, bytes], Iterable[dict[str, Any]]]


class Asked(msgspec.Struct, frozen=True):
    """Whose track is to be proved, in the words of whoever asks; why, for whom, by what right, by whom."""

    id: str
    whose: str
    purpose: str
    recipient: str
    legal_gateway: str
    actor: str


class Rooted(msgspec.Struct, frozen=True):
    """One tree with the frames that it proves, by their index in it."""

    tree: LeavesFile
    frames: tuple[tuple[int, Kept], ...]


class Source(msgspec.Struct, frozen=True):
    """Where the frames lie, what opens them, how payloads are read, and what the log's roots say (newest first)."""

    directory: Path
    keys: JournalKeys
    decode: Decode
    logged: Callable[[], Iterable[dict[str, Any]]]
    leaf: Callable[[int], bytes]


def collect(source: Source, sought: Sequence[Sought]) -> list[Rooted]:
    """Every frame sought, by tree; EvidenceError where some have no root yet: their hour is not over."""
    rooted: dict[Path, list[tuple[int, Kept]]] = {}
    trees: dict[Path, LeavesFile] = {}
    for path, kept in found(source.directory, source.keys, sought):
        tree = next((each for each in leaves_files(source.directory, [path.stem[:13]]) if each.covers(path.stem)), None)
        if tree is None:
            raise EvidenceError(f"{len(kept)} frames of {path.stem[:13]} have no root yet: when that hour is over")
        first = tree.first_of(path.stem)
        trees[tree.path] = tree
        rooted.setdefault(tree.path, []).extend((first + each.number, each) for each in kept)
    return [Rooted(trees[path], tuple(sorted(rooted[path], key=lambda each: each[0]))) for path in sorted(rooted)]


def gone(directory: Path, sought: Sequence[Sought]) -> list[list[Any]]:
    """Journal files of those hours that a root covers and that are there no more, with their frames, whosever."""
    if not sought:
        return []
    first = min(each.since for each in sought).strftime("%Y-%m-%dT%H")
    last = max(each.until for each in sought).strftime("%Y-%m-%dT%H")
    trees = (LeavesFile(path) for path in sorted(directory.glob("*.leaves")) if first <= path.stem[:13] <= last)
    listed = (each for tree in trees for each in tree.covered.files)
    return [[name, frames] for name, frames in listed if not (directory / f"{name}.jrn").exists()]


class Package:
    """One package being written into a folder of its own."""

    def __init__(self, folder: Path, source: Source, disk: Disk | None = None) -> None:
        self._folder, self._source, self._disk = folder, source, disk or Disk()
        self._digests: dict[str, str] = {}
        self.entries: list[int] = []
        self.frames = 0

    def write_frames(self, rooted: Sequence[Rooted], asked: Asked, sought: Sequence[Sought]) -> None:
        """Frames with their paths, the entries of their roots, and the copies to be read."""
        entries = self._entries(rooted)
        positions: list[Position] = []
        for number, each in enumerate(rooted, 1):
            self.frames += len(each.frames)
            self._put(f"frames/{number:04d}.jsonl", _lines(each))
            self._put(f"roots/{number:04d}.leaf", self._source.leaf(entries[number - 1]))
            for index, kept in each.frames:
                positions.extend(self._positions(number, index, kept))
        self.entries = entries
        self._put("positions.csv", table(positions))
        self._put("track.gpx", gpx(positions, asked.whose))
        about = _about(asked, sought, rooted, self.frames) | {"files_gone": gone(self._source.directory, sought)}
        self._put("about.json", _printed(about))

    def act(self, asked: Asked, sought: Sequence[Sought]) -> Act:
        """The disclosure, to be put on record: it commits to every file of the package so far."""
        self._put(MANIFEST, "".join(f"{digest}  {name}\n" for name, digest in sorted(self._digests.items())).encode())
        facts = {"what": "history", "disclosure": asked.id, "frames": self.frames, "sha256": self._digests[MANIFEST]}
        said = {name: getattr(asked, name) for name in ("whose", "purpose", "recipient", "legal_gateway")}
        return Act("disclose", asked.actor, facts=facts, detail={**said, "spans": _spans(sought)})

    def finish(self, index: int, note: str, proof: Callable[[int], str], sealed: tuple[dict[str, Any], bytes]) -> None:
        """Proofs of every entry under one checkpoint, and the entry of this very package."""
        detail, salt = sealed
        for number, entry in enumerate(self.entries, 1):
            self._put(f"roots/{number:04d}.tlog-proof", proof(entry).encode())
        self._put("disclosure.leaf", self._source.leaf(index))
        self._put("disclosure.detail", canonical(detail))
        self._put("disclosure.salt", salt.hex().encode() + b"\n")
        self._put("disclosure.tlog-proof", proof(index).encode())
        self._put("trust/checkpoint", note.encode())
        self._put("VERIFY.md", resources("gateway.history").joinpath("steps.md").read_bytes())

    def put_trust(self, vkey: str, lines: Sequence[str]) -> None:
        """The log's key, and what the operator publishes elsewhere, to be compared."""
        self._put("trust/log.vkey", f"{vkey}\n".encode())
        self._put("trust/published.txt", "".join(f"{line}\n" for line in lines).encode())

    def _entries(self, rooted: Sequence[Rooted]) -> list[int]:
        wanted = {json.dumps(each.tree.covered.facts(), sort_keys=True): -1 for each in rooted}
        left = len(wanted)
        for said in self._source.logged():
            facts = {name: said.get(name) for name in ("from", "to", "frames", "root", "files")}
            key = json.dumps(facts, sort_keys=True)
            if wanted.get(key) == -1:
                wanted[key], left = said["index"], left - 1
            if not left:
                break
        for name, index in wanted.items():
            if index == -1:
                raise EvidenceError(f"the log has no entry for the root {json.loads(name)['root']}")
        return list(wanted.values())

    def _positions(self, number: int, index: int, kept: Kept) -> Iterable[Position]:
        _via, channel, device, issi, arrived, kind, payload = kept.row
        who = device or (str(issi) if issi is not None else "")
        if kind != "raw":
            return [Position(number, index, rfc3339(arrived), who, kind)]
        known = [
            Position.of(number, index, rfc3339(arrived), who, each) for each in self._source.decode(channel, payload)
        ]
        return known or [Position(number, index, rfc3339(arrived), who, kind)]

    def _put(self, name: str, content: bytes) -> None:
        path = self._folder / name
        self._disk.ensure(path.parent)
        self._disk.write(path, content)
        self._disk.fsync(path)
        self._digests[name] = hashlib.sha256(content).hexdigest()


def _lines(rooted: Rooted) -> bytes:
    proofs = rooted.tree.proofs(index for index, _ in rooted.frames)
    lines = []
    for (index, kept), (leaf, path) in zip(rooted.frames, proofs, strict=True):
        if leaf != kept.leaf:
            raise EvidenceError(f"{rooted.tree.path.name}: frame {index} has another leaf than the journal")
        said = {
            "index": index,
            "path": [_b64(step) for step in path],
            "row": _b64(kept.printed),
            "salt": _b64(kept.salt),
            "v": 1,
        }
        lines.append(canonical(said) + b"\n")
    return b"".join(lines)


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _spans(sought: Sequence[Sought]) -> list[list[str]]:
    return [[each.owner, rfc3339(each.since), rfc3339(each.until)] for each in sought]


def _about(asked: Asked, sought: Sequence[Sought], rooted: Sequence[Rooted], frames: int) -> dict[str, Any]:
    return {
        "v": 1,
        "disclosure": asked.id,
        "whose": asked.whose,
        "spans": _spans(sought),
        "purpose": asked.purpose,
        "recipient": asked.recipient,
        "legal_gateway": asked.legal_gateway,
        "frames": frames,
        "roots": [
            {"number": number, "from": each.tree.covered.from_, "to": each.tree.covered.to, "frames": len(each.frames)}
            for number, each in enumerate(rooted, 1)
        ],
    }


def _printed(body: object) -> bytes:
    return json.dumps(body, ensure_ascii=False, indent=1).encode() + b"\n"
