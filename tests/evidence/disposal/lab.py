"""A store with sealed exhibits, a clock that is moved by hand, places that fail when told, and a desk over them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from gateway.crypto.age import Identity, chacha20poly1305
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.domain.time import Instant
from gateway.evidence.custody import CustodyLog
from gateway.evidence.disposal.desk import Asked, Desk
from gateway.evidence.disposal.execution import Execution
from gateway.evidence.disposal.record import Disposal
from gateway.evidence.log.disk import Disk
from gateway.evidence.purge import StorePlace
from gateway.evidence.vault.blobs import BlobTree, BlobWriter
from gateway.evidence.vault.files import DiskFiles, Files
from gateway.evidence.vault.thumbnails import Thumbnails
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.store import verify_store
from tests.evidence.log import lab as log_lab

AT = log_lab.AT
GRACE = timedelta(days=7)
FILM = b"the recording" * 1000


class HandClock:
    """A clock that is moved."""

    def __init__(self) -> None:
        self.utc: datetime = AT

    def now(self) -> Instant:
        """This moment."""
        return Instant(0.0, self.utc)

    def on(self, **words: float) -> None:
        """Let time pass."""
        self.utc += timedelta(**words)


class CopyPlace:
    """A second place: names of keys and files, and whether it can be reached."""

    def __init__(self, name: str = "second") -> None:
        self.name = name
        self.keys: set[str] = set()
        self.files: set[str] = set()
        self.gone = False

    def forget_key(self, name: str) -> bool:
        """As a Place."""
        self._reach()
        there = name in self.keys
        self.keys.discard(name)
        return there

    def forget_file(self, relative: str) -> bool:
        """As a Place."""
        self._reach()
        there = relative in self.files
        self.files.discard(relative)
        return there

    def _reach(self) -> None:
        if self.gone:
            raise OSError(5, "the disk does not answer")


class Lab(log_lab.Lab):
    """One store."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.clock = HandClock()
        self.key_backups: list[CopyPlace] = []
        self.custody: CustodyLog

    def log(self, disk: Disk | None = None, origin: str = log_lab.ORIGIN) -> CustodyLog:
        """A log by this clock, not yet open."""
        parts = (self.keystore, self.keyring, self.catalogue, self.clock, "0.1.0+test")
        return CustodyLog(self.evidence, origin, *parts, disk or Disk())

    @contextlib.contextmanager
    def opened(self, disk: Disk | None = None) -> Iterator[CustodyLog]:
        """The log, opened and closed."""
        with super().opened(disk) as log:
            self.custody = log
            yield log

    def seal(self, content: bytes = FILM, *, thumbnail: bool = True, detail: dict | None = None, **facts) -> str:
        """A sealed exhibit with blob, key, thumbnail and a run key left over; due in 31 days."""
        name = f"X-{secrets.token_hex(6).upper()}"
        identity, blob = Identity.fresh(), secrets.token_hex(16)
        self.keyring.put(f"identity/{name}", identity.secret)
        self.keyring.put(f"run/{name}/0", secrets.token_bytes(32))
        for folder in ("staging", "blobs"):
            (self.evidence / folder).mkdir(exist_ok=True)
        beside = self.evidence / "staging" / f"{name}.age"
        writer = BlobWriter.create(DiskFiles(), beside, identity, chacha20poly1305)
        writer.feed(content)
        digests = writer.finish()
        writer.handle.close()
        BlobTree(self.evidence / "blobs", DiskFiles()).place(beside, blob)
        said = {"controller": "PCC", "category": "uncategorised", "sha256": digests.sha256, "size": digests.size}
        said |= {"complete": True, "rule": "PCC/u@1", "due": "2026-12-22", "held": False, "key": "kek-1"}
        said |= {"blob": blob, "blob_sha256": digests.blob_sha256, **facts}
        told = {"device": "cam-1", "recording": f"r-{name}", "holder": "P-1", "flags": [], "device_signature": "absent"}
        told |= {"started_at": "2026-11-21T21:00:00Z", "ended_at": "2026-11-21T21:01:00Z", **(detail or {})}
        exhibit = ExhibitId(name)
        acts = [Act("receive", "system", exhibit, {"controller": "PCC"}), Act("seal", "system", exhibit, said, told)]
        self.custody.record_many_now(acts)
        if thumbnail:
            sha256 = Thumbnails(self.evidence, self.keyring).put(exhibit, b"picture")
            media = Act("derive", "system", exhibit, {"what": "media", "thumbnail": sha256}, {"playable": "playable"})
            self.custody.record_now(media)
        return name

    def desk(self) -> Desk:
        """A desk, as a new process would make it."""
        return Desk(self.catalogue, self.custody, self.clock, GRACE)

    def execution(self, desk: Desk, *copies: CopyPlace, files: Files | None = None, keyring=None) -> Execution:
        """What carries out, as a new process would make it."""
        keyring = keyring or self.keyring
        place = StorePlace(self.evidence, keyring, files or DiskFiles())
        offline = CopyPlace("keys-2026-11-20 (offline)")
        offline.gone = True
        return Execution(desk, place, keyring, lambda: copies, lambda: [*self.key_backups, offline])

    def ready(self, *exhibits: str, **words) -> Disposal:
        """A disposal that is approved and whose grace is over."""
        desk = self.desk()
        one = desk.request(asked(*exhibits, **words))
        desk.approve(one.id, "boss")
        self.clock.on(days=8)
        return desk.one(one.id)

    def kinds(self, exhibit: str) -> list[str]:
        """The kinds of its entries."""
        return [entry.kind for entry in self.catalogue.custody(exhibit)]

    def files(self) -> list[Path]:
        """Every blob and thumbnail."""
        return sorted([*(self.evidence / "blobs").rglob("*.age"), *(self.evidence / "thumbnails").rglob("*.age")])

    def verified(self) -> Report:
        """The whole store, by code that did not write it; it must be as written."""
        report = verify_store(self.evidence, self.directory / "keys")
        assert report.ok, report
        return report


def asked(*exhibits: str, ground: str = "order", **words) -> Asked:
    """A request by `officer`."""
    return Asked(
        tuple(exhibits), ground, words.pop("reason", "court order 7"), words.pop("requester", "officer"), **words
    )
