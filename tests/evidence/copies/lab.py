"""A real store with sealed exhibits and real second places beside it, and copies that can be waited for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

from gateway.crypto.age import Identity, chacha20poly1305
from gateway.crypto.notes import parse_vkey
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.copies import copies as module
from gateway.evidence.copies.copies import Copies
from gateway.evidence.copies.second import First, SecondPlace
from gateway.evidence.copies.transfer import Pace
from gateway.evidence.vault.blobs import BlobTree, BlobWriter
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.thumbnails import Thumbnails
from gateway.evidence.verify.report import Report
from gateway.evidence.verify.store import verify_store
from gateway.store.keyring import Keyring
from tests.evidence.log.lab import Lab

PATIENCE_S = 20.0


def noise(octets: int, seed: int) -> bytes:
    """Bytes that repeat nowhere."""
    return random.Random(seed).randbytes(octets)


class Store(Lab):
    """One store, its log open, with two places for copies."""

    def __init__(self, root: Path, places: int = 1, wanted: int | None = None) -> None:
        super().__init__(root / "data")
        self.custody = self.log()
        self.custody.open_now()
        self.paths = [root / f"second-{number}" for number in range(places)]
        for path in self.paths:
            path.mkdir()
        self.wanted = wanted or places + 1
        self.files = DiskFiles()
        self.mb_s = 0.0

    def close(self) -> None:
        """End."""
        self.custody.close_now()
        super().close()

    def seal(self, number: int, octets: int = 200_000) -> str:
        """One sealed exhibit."""
        name, content = f"X-{number:012d}", noise(octets, number)
        identity = Identity.fresh()
        self.keyring.put(f"identity/{name}", identity.secret)
        staging = self.evidence / "staging" / name
        staging.mkdir(parents=True)
        writer = BlobWriter.create(DiskFiles(), staging / "blob.age", identity, chacha20poly1305)
        writer.feed(content)
        digests = writer.finish()
        writer.handle.datasync()
        writer.handle.close()
        blob = hashlib.sha256(name.encode()).hexdigest()[:32]
        BlobTree(self.evidence / "blobs", DiskFiles()).place(staging / "blob.age", blob)
        named = {"device": "cam-1", "recording": f"r-{number}"}
        self.custody.record_now(Act("receive", "system", ExhibitId(name), {"controller": "PCC"}, named))
        facts = {
            "controller": "PCC",
            "category": "uncategorised",
            "sha256": digests.sha256,
            "size": digests.size,
            "complete": True,
            "rule": "PCC/uncategorised@1",
            "due": "2026-12-22",
            "held": False,
            "blob": blob,
            "blob_sha256": digests.blob_sha256,
            "key": "kek-1",
        }
        detail = {**named, "started_at": "2026-11-21T21:05:03Z", "flags": [], "device_signature": "absent"}
        self.custody.record_now(Act("seal", "system", ExhibitId(name), facts, detail))
        staging.rmdir()
        return name

    def picture(self, name: str) -> None:
        """A thumbnail of it."""
        sha256 = Thumbnails(self.evidence, self.keyring).put(ExhibitId(name), b"picture of " + name.encode())
        facts = {"what": "media", "thumbnail": sha256}
        self.custody.record_now(Act("derive", "system", ExhibitId(name), facts, {"playable": "playable"}))

    def blob(self, name: str, evidence: Path | None = None) -> Path:
        """Where its blob lies."""
        blob = self.catalogue.exhibit(name).blob
        return (evidence or self.evidence) / f"blobs/{blob[:2]}/{blob[2:4]}/{blob}.age"

    def first(self) -> First:
        """The store, as its copies read it."""
        return First(
            evidence=self.evidence,
            key=parse_vkey(self.custody.vkey),
            keyring=self.keyring,
            keyring_at=lambda path: Keyring(path, self.keystore),
            clock=self.custody.clock,
            files=self.files,
            pace=Pace(self.mb_s),
        )

    def place(self, number: int = 0) -> SecondPlace:
        """One place, as a new process would see it."""
        return SecondPlace(self.paths[number], self.first())

    def copies(self) -> Copies:
        """The copies, as a new process would make them."""
        return Copies(self.first(), self.wanted, self.paths, self.catalogue, self.custody)

    @contextlib.asynccontextmanager
    async def copying(self):
        """Copies at work."""
        copies = self.copies()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(copies.run())
            try:
                yield copies
            finally:
                task.cancel()

    def copied(self, copies: Copies) -> bool:
        """Whether everything is at every place, and said so."""
        rows = [row for row in self.catalogue.exhibits() if row.sealed_at and not (row.shredded_at or row.disposed_at)]
        every = all(row.copies == 1 + len(self.paths) for row in rows)
        return every and all(s.state == "ok" for s in copies.states()) and not copies.ledger.waiting and self.level()

    def level(self) -> bool:
        """Whether each place has the whole log."""
        ours = (self.evidence / "log/checkpoint").read_bytes()
        theirs = [path / "evidence/log/checkpoint" for path in self.paths]
        return all(path.exists() and path.read_bytes() == ours for path in theirs)

    def verified(self, number: int | None = None) -> Report:
        """What the verifier says of the store, or of one place."""
        evidence = self.evidence if number is None else self.paths[number] / "evidence"
        return verify_store(evidence, self.directory / "keys")

    def kinds(self, name: str) -> list[str]:
        """Its chain."""
        return [entry.kind for entry in self.catalogue.custody(name)]

    def detail(self, name: str, kind: str) -> dict:
        """The newest detail of a kind."""
        entry = [each for each in self.catalogue.custody(name) if each.kind == kind][-1]
        return self.custody.detail(entry.log_index)[0]

    def facts(self, name: str, kind: str) -> dict:
        """The newest facts of a kind."""
        import json

        entry = [each for each in self.catalogue.custody(name) if each.kind == kind][-1]
        return json.loads(self.custody.leaf(entry.log_index))


def quick(monkeypatch) -> None:
    """Turns in quick succession."""
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.05)


async def until(condition, *arguments) -> None:
    """Wait for a condition, but not for ever."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition(*arguments):
            await asyncio.sleep(0.02)


def now() -> datetime:
    """This moment."""
    return datetime.now(UTC)
