"""Whether a backup is what its label says: signature, manifest, and every content hashed anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from gateway.backup.manifest import (
    CURRENT,
    File,
    Gap,
    Label,
    Manifest,
    former_key,
    parse_manifest,
    read_current,
    read_label,
)
from gateway.backup.objects import Objects, digest
from gateway.crypto.notes import VerifierKey, parse_note, parse_vkey
from gateway.errors import ConfigError, VerificationError
from gateway.evidence.log.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.known_keys import Line
from gateway.evidence.log.rotation import Rotation, open_rotation

VKEY, CHAIN = "evidence/log/log.vkey", "evidence/log/keys.jsonl"


class Opened(msgspec.Struct, frozen=True):
    """A backup whose label and manifest are what the log's key signed."""

    root: Path
    key: VerifierKey
    label: Label
    manifest: Manifest
    rotations: tuple[Rotation, ...] = ()

    def checkpoint(self, raw: bytes) -> Checkpoint:
        """Verify a checkpoint of this log by the key that counted at its size; ValueError otherwise."""
        size = parse_checkpoint(parse_note(raw).text).size
        return open_checkpoint(raw, next((each.old for each in self.rotations if size <= each.size), self.key))

    def path(self, file: File) -> Path:
        """Where a file's content lies."""
        return Objects(self.root, Disk()).path(file.sha256)

    def judge(self, file: File) -> Gap | None:
        """What is wrong with a file's content; None where nothing is."""
        try:
            found = digest(self.path(file))
        except FileNotFoundError:
            return Gap(file.path, "missing from the backup")
        except OSError as wrong:
            return Gap(file.path, f"cannot be read: {wrong.strerror}")
        if (found.sha256, found.size) == (file.sha256, file.size):
            return None
        return Gap(file.path, f"damaged in the backup: {found.sha256}, not {file.sha256}")

    def judged(self) -> Iterator[Gap]:
        """Every file whose content is missing or damaged."""
        for file in self.manifest.files.values():
            gap = self.judge(file)
            if gap is not None:
                yield gap


class Checked(msgspec.Struct, frozen=True):
    """What a check found."""

    backup: str
    origin: str
    size: int
    files: int
    bytes: int
    pinned: bool
    gaps: tuple[Gap, ...]


def opened(root: Path, pinned: VerifierKey | None = None) -> Opened:
    """Read label and manifest; VerificationError where they are not what was signed, ConfigError where none is here.

    Without a pinned key it is the key that lies in the backup itself: then the backup agrees with itself.
    """
    raw = read_current(root)
    if raw is None:
        raise ConfigError("", "there is no complete backup here", str(root))
    where = str(root / CURRENT)
    manifest_sha256 = raw.split(b"\n")[5].decode("ascii", "replace") if raw.count(b"\n") > 6 else ""
    objects = Objects(root, Disk())
    if len(manifest_sha256) != 64 or not manifest_sha256.isalnum():
        raise VerificationError(where, "the label of a backup", "something else")
    manifest = _manifest(objects, manifest_sha256)
    key = _key(objects, manifest) if pinned is None else _present(objects, manifest, former_key(raw, pinned))
    label = read_label(raw, key, where)
    head = manifest.head
    told = (head.backup, head.origin, head.size, head.root, head.at)
    if told != (label.backup, label.origin, label.size, label.root.hex(), label.at):
        raise VerificationError(manifest_sha256, f"the manifest of {label.backup}", head.backup)
    led = [each for each in _rotations(objects, manifest) if each.old.name == key.name]
    return Opened(root, key, label, manifest, tuple(led))


def check(root: Path, pinned: VerifierKey | None = None) -> Checked:
    """Hash everything anew."""
    found = opened(root, pinned)
    files = found.manifest.files.values()
    gaps = (*found.manifest.head.gaps, *found.judged())
    size = sum(file.size for file in files)
    label = found.label
    return Checked(label.backup, label.origin, label.size, len(files), size, pinned is not None, gaps)


def _manifest(objects: Objects, sha256: str) -> Manifest:
    path = objects.path(sha256)
    try:
        found = digest(path)
        raw = path.read_bytes()
    except OSError as wrong:
        raise VerificationError(f"manifest {sha256}", "a file", wrong.strerror or "none") from wrong
    if found.sha256 != sha256:
        raise VerificationError(f"manifest {sha256}", "its own SHA-256", found.sha256)
    return parse_manifest(raw, f"manifest {sha256}")


def _present(objects: Objects, manifest: Manifest, pinned: VerifierKey) -> VerifierKey:
    """The key that the pinned one led to by the time of the backup, each step signed by the key before it."""
    key = pinned
    if key != _key(objects, manifest):
        for rotation in _rotations(objects, manifest):
            key = rotation.new if rotation.old == key else key
    return key


def _rotations(objects: Objects, manifest: Manifest) -> list[Rotation]:
    """The changes of the log's key that the backup holds, each by both keys."""
    held = manifest.files.get(CHAIN)
    if held is None:
        return []
    try:
        lines = objects.path(held.sha256).read_bytes().splitlines()
        return [open_rotation(msgspec.json.decode(line, type=Line).note) for line in lines]
    except (OSError, ValueError) as wrong:  # msgspec's errors are ValueErrors
        raise VerificationError(CHAIN, "the changes of the log's key", str(wrong)) from wrong


def _key(objects: Objects, manifest: Manifest) -> VerifierKey:
    """The key that the backup holds: whoever wants more pins the one that was published."""
    try:
        return parse_vkey(objects.path(manifest.files[VKEY].sha256).read_text("utf-8").strip())
    except (KeyError, OSError, ValueError) as wrong:
        raise VerificationError(VKEY, "the log's verifier key", str(wrong)) from wrong
