"""Makes a backup, or brings one up to date: contents, manifest, label, entry in the log, and what is not wanted goes.

The label names the backup that is complete, and is replaced whole: killed at any moment, the one before is still
complete, and what was copied already is not copied again.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from gateway.backup.checking import opened
from gateway.backup.ids import backup_id
from gateway.backup.manifest import (
    CURRENT,
    File,
    Gap,
    Head,
    Label,
    former_key,
    label_of,
    parse_manifest,
    print_manifest,
    read_current,
    read_label,
    sign_label,
)
from gateway.backup.moment import Moment, Wanted, moment, wanted
from gateway.backup.objects import SETTLED_NS, Kept, Objects, digest
from gateway.backup.survey import staged, survey
from gateway.crypto.notes import Signer
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.errors import ConfigError, IntegrityError, VerificationError
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.generations import generation_of
from gateway.evidence.log.known_keys import KnownKeys
from gateway.ports import Clock
from gateway.store.snapshot import snapshot

Note = Callable[[Act], object]


class Made(msgspec.Struct, frozen=True):
    """What a backup holds now, what was copied for it, and what is missing from the store."""

    backup: str
    origin: str
    size: int
    root: str
    manifest: str
    counts: dict[str, int]
    copied_bytes: int
    removed: int
    gaps: tuple[Gap, ...]


class Store(msgspec.Struct, frozen=True):
    """The store to back up: its data directory, where its keys lie, the log's signer, the clock, the build."""

    data: Path
    keys: Path
    signer: Signer
    clock: Clock
    build: str


@contextlib.contextmanager
def claimed(root: Path) -> Iterator[None]:
    """One backup at a time into a directory; ConfigError where another is under way."""
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as taken:
        raise ConfigError("", "another backup is under way", str(root)) from taken
    finally:
        os.close(descriptor)


class Making:
    """One run."""

    def __init__(self, store: Store, root: Path, disk: Disk) -> None:
        self._store, self._root, self._disk = store, root, disk
        self._evidence = store.data / "evidence"
        self._objects = Objects(root, disk)
        self._files: dict[str, File] = {}
        self._gaps: list[Gap] = []
        self._before: dict[str, File] = {}

    def run(self, note: Note) -> Made:
        """Do it all; `note` records the entry once the backup is complete. Blocks."""
        began = self._store.clock.now().utc
        taken = moment(self._evidence)
        if self._store.signer.public != taken.key.public:
            raise ConfigError("keys", f"the key that signs is not that of {taken.key}")
        self._before = self._known(taken)
        self._log(taken)
        self._details(taken)
        asked = wanted(self._evidence, taken.checkpoint.size)
        self._vault(asked)
        self._rest()
        self._staging()
        self._judge_gaps(taken)
        self._objects.settle()
        size, root = taken.checkpoint.size, taken.checkpoint.root.hex()
        name, origin = backup_id(began), taken.key.name
        counts = self._counts(asked)
        head = Head(name, origin, size, root, rfc3339(began), self._store.build, counts, tuple(self._gaps))
        manifest = self._objects.keep(print_manifest(head, self._files.values()))
        self._objects.settle()
        label = label_of(head, taken.checkpoint, manifest.sha256)
        self._disk.replace(self._root / CURRENT, sign_label(label, self._store.signer))
        facts = {"backup": name, "size": size, "root": root, "manifest": manifest.sha256, "counts": counts}
        note(Act("backup", "", None, facts, {"where": str(self._root)}))
        kept = {file.sha256 for file in self._files.values()} | {manifest.sha256}
        removed = self._objects.sweep(kept)
        gaps = tuple(self._gaps)
        return Made(name, origin, size, root, manifest.sha256, counts, self._objects.copied, removed, gaps)

    def _known(self, taken: Moment) -> dict[str, File]:
        """What the complete backup here holds: of this log, no newer than it is now. IntegrityError otherwise."""
        raw = read_current(self._root)
        if raw is None:
            return {}
        label = self._label(raw, taken)
        if label.origin == taken.key.name and label.size > taken.checkpoint.size:
            raise IntegrityError(
                f"{self._root} holds {label.size} entries of this log, which has {taken.checkpoint.size}: "
                "it was rolled back; keep that backup, and begin another"
            )
        try:
            return parse_manifest(self._objects.path(label.manifest).read_bytes(), label.manifest).files
        except (OSError, VerificationError):
            return {}  # all is read anew: the backup mends itself

    def _label(self, raw: bytes, taken: Moment) -> Label:
        """The label of the backup here: by the log's key, or by one that it had before, which lies in that backup."""
        try:
            return read_label(raw, former_key(raw, taken.key), str(self._root / CURRENT))
        except VerificationError:
            label = opened(self._root).label
            if generation_of(label.origin)[0] != generation_of(taken.key.name)[0]:
                raise
            return label

    def _log(self, taken: Moment) -> None:
        for path, content in taken.small.items():
            self._enter(f"evidence/{path}", self._objects.keep(content))
        for path in taken.full_tiles():
            try:
                self._copy(f"evidence/log/{path}")
            except FileNotFoundError:
                self._gaps.append(Gap(f"evidence/log/{path}", "missing from the store"))

    def _details(self, taken: Moment) -> None:
        """Erasing writes into a file without making it longer: a file of details is read each time."""
        for name, octets in taken.details.items():
            path = f"evidence/details/{name}"
            kept = digest(self._store.data / path, octets)
            if not self._objects.has(kept):
                kept = self._objects.keep_file(self._store.data / path, octets)
            self._enter(path, kept)

    def _vault(self, asked: Wanted) -> None:
        for blob, (_, sha256) in asked.blobs.items():
            self._sealed(f"evidence/blobs/{blob[:2]}/{blob[2:4]}/{blob}.age", sha256)
        for exhibit, sha256 in asked.thumbnails.items():
            self._sealed(f"evidence/thumbnails/{exhibit[-2:]}/{exhibit}.age", sha256)

    def _sealed(self, path: str, sha256: str) -> None:
        """A file whose hash the log has: what is here already is not read again, what differs is not taken."""
        source = self._store.data / path
        try:
            octets = source.stat().st_size
            kept = Kept(sha256, octets)
            if not self._objects.has(kept):
                kept = self._objects.keep_file(source, octets)
        except FileNotFoundError:
            self._lacking(path, sha256, "missing from the store")
            return
        if kept.sha256 == sha256:
            self._enter(path, kept)
        else:
            self._lacking(path, sha256, f"not what was sealed: {kept.sha256}, not {sha256}")

    def _lacking(self, path: str, sha256: str, why: str) -> None:
        """The store does not have it any more; an earlier backup may have it yet, and then keeps it."""
        old = self._before.get(path)
        if old is not None and old.sha256 == sha256 and self._objects.has(Kept(sha256, old.size)):
            self._files[path] = old
        self._gaps.append(Gap(path, why))

    def _rest(self) -> None:
        for found in survey(self._store.data, (self._store.keys, self._root)):
            if found.why:
                self._gaps.append(Gap(found.path, found.why))
            elif found.is_database:
                part = self._objects.scratch()
                snapshot(self._store.data / found.path, part)
                self._enter(found.path, self._objects.keep_made(part))
            else:
                with contextlib.suppress(FileNotFoundError):  # gone since: what is deleted does not come along
                    self._copy(found.path)

    def _staging(self) -> None:
        """An upload that ends while it is copied is left out: its camera has no receipt from before this moment."""
        for files in staged(self._evidence):
            try:
                taken = [self._file(source.relative_to(self._store.data).as_posix()) for source in files]
            except FileNotFoundError:
                continue
            if all(source.exists() for source in files):
                self._files |= {file.path: file for file in taken}

    def _copy(self, path: str) -> None:
        self._files[path] = self._file(path)

    def _file(self, path: str) -> File:
        """Take a file along; one that is as it was last time is not read again."""
        source = self._store.data / path
        found = source.stat()
        old = self._before.get(path)
        unchanged = old is not None and (old.size, old.mtime_ns) == (found.st_size, str(found.st_mtime_ns))
        if old is not None and unchanged and self._objects.has(Kept(old.sha256, old.size)):
            return old
        kept = self._objects.keep_file(source)
        settled = self._store.clock.now().utc.timestamp() * 1e9 - found.st_mtime_ns > SETTLED_NS
        same = settled and source.stat().st_mtime_ns == found.st_mtime_ns
        return File(path, kept.sha256, kept.size, str(found.st_mtime_ns) if same else None)

    def _enter(self, path: str, kept: Kept) -> None:
        self._files[path] = File(path, kept.sha256, kept.size)

    def _judge_gaps(self, taken: Moment) -> None:
        """What was disposed of since the moment is not missing; nor is a thumbnail, which can be made again."""
        if not self._gaps:
            return
        log = self._evidence / "log"
        size = KnownKeys(log, taken.key).open((log / "checkpoint").read_bytes()).size
        still = wanted(self._evidence, size)
        paths = {f"evidence/blobs/{blob[:2]}/{blob[2:4]}/{blob}.age" for blob in still.blobs}
        gone = [gap for gap in self._gaps if gap.path.startswith("evidence/blobs/") and gap.path not in paths]
        for gap in gone:
            self._files.pop(gap.path, None)
        self._gaps = [gap for gap in self._gaps if gap not in gone and not gap.path.startswith("evidence/thumbnails/")]

    def _counts(self, asked: Wanted) -> dict[str, int]:
        return {
            "files": len(self._files),
            "bytes": sum(file.size for file in self._files.values()),
            "exhibits": asked.exhibits,
            "ended": len(asked.ended),
            "blobs": sum(path.startswith("evidence/blobs/") for path in self._files),
            "missing": len(self._gaps),
        }


def make(store: Store, root: Path, note: Note, disk: Disk | None = None) -> Made:
    """Back up the store into a directory of its own; safe beside a running gateway."""
    if root.resolve() == store.data.resolve() or store.data.resolve() in root.resolve().parents:
        raise ConfigError("-o", f"{root} lies in the store that it is to save")
    with claimed(root):
        return Making(store, root, disk or Disk()).run(note)
