"""What a backup holds: one canonical JSON object a line, hashed; and the signed note that makes it the current one."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from gateway.crypto.canonical import canonical, parse_canonical
from gateway.crypto.notes import Signer, VerifierKey, sign_note, strict_base64, strict_int, verify_note
from gateway.errors import VerificationError
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.generations import generation_of

FIRST = "lapel backup v1"
CURRENT = "current"
NOTE_MAX = 1 << 16


class File(msgspec.Struct, frozen=True):
    """One file of the store: where it lay, what it held, and its time where that may be trusted (ns, in digits)."""

    path: str
    sha256: str
    size: int
    mtime_ns: str | None = None


class Gap(msgspec.Struct, frozen=True):
    """A file that should be here and is not, and why."""

    path: str
    why: str


class Head(msgspec.Struct, frozen=True):
    """The first line: which backup, of which log at which size, and what it could not take along."""

    backup: str
    origin: str
    size: int
    root: str
    at: str
    build: str
    counts: dict[str, int]
    gaps: tuple[Gap, ...] = ()
    v: int = 1


class Manifest(msgspec.Struct, frozen=True):
    """A whole manifest."""

    head: Head
    files: dict[str, File]


class Label(msgspec.Struct, frozen=True):
    """What the signed note says."""

    backup: str
    origin: str
    size: int
    root: bytes
    manifest: str
    at: str

    @property
    def text(self) -> str:
        """The note's text."""
        lines = (FIRST, self.backup, self.origin, str(self.size), base64.b64encode(self.root).decode())
        return "\n".join((*lines, self.manifest, self.at)) + "\n"


def print_manifest(head: Head, files: Iterable[File]) -> bytes:
    """Print it, files by their path."""
    lines = [canonical(msgspec.to_builtins(head))]
    lines += [canonical(msgspec.to_builtins(file)) for file in sorted(files, key=lambda file: file.path)]
    return b"\n".join(lines) + b"\n"


def parse_manifest(raw: bytes, name: str) -> Manifest:
    """Read it; VerificationError names the line that is none."""
    lines = raw.split(b"\n")
    if lines.pop() != b"":
        raise VerificationError(name, "a newline at its end", "none")
    try:
        head = msgspec.convert(parse_canonical(lines[0]), Head)
    except (ValueError, IndexError) as wrong:
        raise VerificationError(f"{name} line 1", "the head of a manifest", str(wrong)) from wrong
    return Manifest(head, {file.path: file for file in _files(lines[1:], name)})


def _files(lines: list[bytes], name: str) -> Iterator[File]:
    for number, line in enumerate(lines, 2):
        try:
            file = msgspec.convert(json.loads(line), File)
        except (ValueError, RecursionError) as wrong:
            raise VerificationError(f"{name} line {number}", "a file", str(wrong)) from wrong
        if not is_below(file.path) or len(file.sha256) != 64 or not set(file.sha256) <= set("0123456789abcdef"):
            raise VerificationError(f"{name} line {number}", "a path below the store and a SHA-256", file.path[:200])
        yield file


def is_below(path: str) -> bool:
    """Whether a relative path stays where it is put."""
    return bool(path) and "\0" not in path and all(part not in {"", ".", ".."} for part in path.split("/"))


def sign_label(label: Label, signer: Signer) -> bytes:
    """The signed note: the key is the log's, the text cannot be taken for a checkpoint."""
    return sign_note(label.text, label.origin, signer).encode()


def read_label(raw: bytes, key: VerifierKey, name: str) -> Label:
    """Verify the note and read it; VerificationError otherwise."""
    try:
        return _label(verify_note(raw, key).split("\n"), key.name)
    except ValueError as wrong:
        raise VerificationError(name, "the label of a backup, signed by the log's key", str(wrong)) from wrong


def _label(lines: list[str], origin: str) -> Label:
    if len(lines) != 8 or lines[0] != FIRST or lines[2] != origin:
        raise ValueError("it is not a backup's label of this log")
    return Label(lines[1], lines[2], strict_int(lines[3]), strict_base64(lines[4]), lines[5], lines[6])


def former_key(raw: bytes, key: VerifierKey) -> VerifierKey:
    """The key under which this label is to be verified: the log's own, or that of a log which it succeeds."""
    lines = raw.split(b"\n")
    origin = lines[2].decode("utf-8", "replace") if len(lines) > 2 else ""
    first, number = generation_of(origin)
    mine = generation_of(key.name)
    return VerifierKey(origin, key.public) if first == mine[0] and number < mine[1] else key


def label_of(head: Head, checkpoint: Checkpoint, sha256: str) -> Label:
    """The label of a manifest."""
    return Label(head.backup, head.origin, head.size, checkpoint.root, sha256, head.at)


def read_current(root: Path) -> bytes | None:
    """The label of the backup that is complete; None where there is none yet."""
    try:
        with (root / CURRENT).open("rb") as file:
            return file.read(NOTE_MAX)
    except FileNotFoundError:
        return None
