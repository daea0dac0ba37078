"""A small store with sealed exhibits, made quickly; blobs are noise whose hash the log has."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from gateway.backup.making import Made, Store, make
from gateway.crypto.keys import KeyStore
from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.log.disk import Disk
from gateway.observe import SystemClock
from gateway.store.roster import RosterStore
from tests.evidence.log.lab import FaultyDisk, Lab

__all__ = ["FaultyDisk", "Small"]


class Small:
    """Its data directory, and what can happen to it."""

    def __init__(self, folder: Path, *, roster: bool = False) -> None:
        self.folder, self.data = folder, folder / "store"
        self.lab = Lab(self.data)
        if roster:
            roster_store = RosterStore(self.data / "roster.db")
            roster_store.roster()
            roster_store.close()
        (self.data / "journal").mkdir()
        (self.data / "journal/2026-11-21.key").write_bytes(b"wrapped")
        (self.data / "journal/2026-11-21-0001.jrn").write_bytes(b"LAPELJRN1\n0001")

    @property
    def evidence(self) -> Path:
        """The evidence directory."""
        return self.data / "evidence"

    def blob(self, exhibit: str) -> Path:
        """Where an exhibit's blob lies."""
        name = hashlib.sha256(exhibit.encode()).hexdigest()[:32]
        return self.evidence / "blobs" / name[:2] / name[2:4] / f"{name}.age"

    def seal(self, exhibit: str, octets: int = 4096) -> None:
        """An exhibit with its blob, thumbnail and key."""
        content = random.Random(exhibit).randbytes(octets)
        path = self.blob(exhibit)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        thumbnail = self.evidence / "thumbnails" / exhibit[-2:] / f"{exhibit}.age"
        thumbnail.parent.mkdir(parents=True, exist_ok=True)
        thumbnail.write_bytes(exhibit.encode())
        self.lab.keyring.put(f"identity/{exhibit}", hashlib.sha256(exhibit.encode()).digest())
        facts = {"controller": "PCC", "category": "uncategorised", "sha256": "0" * 64, "size": octets, "complete": True}
        vault = {"rule": "r@1", "due": "2026-12-22", "held": False, "blob": path.stem, "blob_sha256": digest}
        about = {"what": "media", "thumbnail": hashlib.sha256(exhibit.encode()).hexdigest()}
        name = ExhibitId(exhibit)
        self.act(
            Act("seal", "system", name, {**facts, **vault, "key": "kek-1"}, {"device": "cam-1", "recording": exhibit}),
            Act("derive", "system", name, about, {}),
        )

    def dispose(self, exhibit: str) -> None:
        """Its key, blob and thumbnail go, each after its entry."""
        name, facts = ExhibitId(exhibit), {"disposal": "D-1", "ground": "order"}
        self.act(Act("dispose_request", "officer", name, facts, {"requester": "officer"}))
        self.act(Act("dispose_approve", "boss", name, facts, {"approver": "boss"}))
        self.act(Act("key_destroy", "system", name, facts, {}))
        self.lab.keyring.delete(f"identity/{exhibit}")
        self.act(Act("dispose", "system", name, facts, {}))
        self.blob(exhibit).unlink()
        (self.evidence / "thumbnails" / exhibit[-2:] / f"{exhibit}.age").unlink()

    def act(self, *acts: Act) -> None:
        """Record acts."""
        with self.lab.opened() as log:
            log._ask(acts).result()

    def grow(self, entries: int) -> None:
        """Entries about nothing."""
        self.act(*(Act("view", "P-1", ExhibitId("X-V"), {"mark": mark}, {}) for mark in range(entries)))

    def backup(self, name: str = "backup", disk: Disk | None = None, *, noted: bool = True) -> Made:
        """Back it up."""
        keys = KeyStore(self.data / "keys")
        keys.load()
        store = Store(self.data, self.data / "keys", keys.log_signer, SystemClock(), "0.1.0+test")

        def note(act: Act) -> None:
            if noted:
                self.act(act)

        return make(store, self.folder / name, note, disk)

    def close(self) -> None:
        """Close the databases."""
        self.lab.close()


def objects(root: Path) -> set[str]:
    """Names of all contents in a backup."""
    return {path.name for path in (root / "objects").rglob("*") if path.is_file()}
