"""A store made by the real writers, day by day, so that yesterday's files can be put over today's."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

from gateway.domain.evidence import Act, RecordingKey
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.evidence.needs import FixedTerms, Needs
from gateway.evidence.recordings import Recordings
from gateway.evidence.shares import RecordingSettings
from gateway.evidence.vault.thumbnails import Thumbnails
from gateway.evidence.verify.items import Reconciliation
from gateway.evidence.verify.reconcile import reconcile
from tests.evidence.log.lab import Lab
from tests.evidence.vault.lab import FakePeople, HandClock, fin, noise, offer, pieces
from tests.evidence.way_out import walk

WAL = ("", "-wal", "-shm")


class RealStore:
    """One data directory; every call opens it and closes it again."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.root, self.evidence, self.keys = root, root / "evidence", root / "keys"
        self.exhibits: list[str] = []

    def seal(self, *names: str, size: int = 70_000) -> list[str]:
        """Seal one recording a name; their exhibits."""
        made = asyncio.run(self._seal(names, size))
        self.exhibits += made
        return made

    async def _seal(self, names: tuple[str, ...], size: int) -> list[str]:
        lab = Lab(self.root)
        made = []
        try:
            with lab.opened() as log:
                terms = FixedTerms("PCC", "PCC/uncategorised@3", 31)
                needs = Needs(log, log, lab.catalogue, lab.keyring, lab.keystore, FakePeople(), terms, HandClock())
                sink = Recordings(self.evidence, needs, RecordingSettings(reserve_mb=0))
                await sink.open()
                for number, name in enumerate(names):
                    key, content = RecordingKey(DeviceId("cam-0042"), name), noise(size + number, number)
                    await sink.begin(offer(content, key=key))
                    for part in pieces(content, 50_000, key):
                        await sink.keep(part)
                    made.append((await sink.finish(fin(content, key))).exhibit)
                await sink.close()
        finally:
            lab.close()
        return made

    def begin(self, name: str, size: int = 200_000) -> str:
        """Begin an upload and leave it; its exhibit."""

        async def begun() -> str:
            lab = Lab(self.root)
            try:
                with lab.opened() as log:
                    terms = FixedTerms("PCC", "PCC/uncategorised@3", 31)
                    needs = Needs(log, log, lab.catalogue, lab.keyring, lab.keystore, FakePeople(), terms, HandClock())
                    sink = Recordings(self.evidence, needs, RecordingSettings(reserve_mb=0))
                    await sink.open()
                    key, content = RecordingKey(DeviceId("cam-0042"), name), noise(size)
                    await sink.begin(offer(content, key=key))
                    await sink.keep(pieces(content, 50_000, key)[0])
                    exhibit = next(each["exhibit"] for each in sink.uploads())
                    await sink.close()
                    return exhibit
            finally:
                lab.close()

        return asyncio.run(begun())

    def record(self, *acts: Act) -> None:
        """Put acts on record."""
        lab = Lab(self.root)
        try:
            with lab.opened() as log:
                log._ask(acts).result()
        finally:
            lab.close()

    def picture(self, exhibit: str) -> Path:
        """Give an exhibit a thumbnail, on record; where it lies."""
        lab = Lab(self.root)
        try:
            with lab.opened() as log:
                shelf = Thumbnails(self.evidence, lab.keyring)
                sha256 = shelf.put(ExhibitId(exhibit), b"\xff\xd8\xff picture")
                found = {"what": "media", "thumbnail": sha256}
                log.record_now(Act("derive", "system", ExhibitId(exhibit), found, {"container": "mp4"}))
                return shelf.path(ExhibitId(exhibit))
        finally:
            lab.close()

    def dispose(self, exhibit: str) -> None:
        """Destroy an exhibit's key, then its blob and picture, with their entries."""
        row = self.sql("SELECT blob FROM exhibit WHERE id = ?", exhibit)[0]
        lab = Lab(self.root)
        try:
            with lab.opened() as log:
                walk(log, exhibit, "key_destroy")
                lab.keyring.delete(f"identity/{exhibit}")
                self.blob(exhibit).unlink()
                walk(log, exhibit, since="dispose", blob=row[0], details="kept")
        finally:
            lab.close()

    def blob(self, exhibit: str) -> Path:
        """Where its blob lies."""
        blob = self.sql("SELECT blob FROM exhibit WHERE id = ?", exhibit)[0][0]
        return self.evidence / "blobs" / blob[:2] / blob[2:4] / f"{blob}.age"

    def sql(self, statement: str, *values: object, file: str = "evidence.db") -> list[tuple[object, ...]]:
        """Ask or change one of the databases behind everybody's back."""
        link = sqlite3.connect(self.evidence / file)
        try:
            with link:
                return link.execute(statement, values).fetchall()
        finally:
            link.close()

    def keep(self, *names: str) -> None:
        """Lay aside files or folders of the evidence directory: yesterday's backup."""
        for name in names:
            for source in self._with_wal(name):
                target = self.root / "yesterday" / source.name
                target.parent.mkdir(exist_ok=True)
                (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)

    def put_back(self, *names: str) -> None:
        """Restore what was laid aside over what is there."""
        for name in names:
            for path in self._with_wal(name):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for suffix in WAL:
                source = self.root / "yesterday" / f"{name}{suffix}"
                if source.exists():
                    target = self.evidence / source.name
                    (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)

    def _with_wal(self, name: str) -> list[Path]:
        return [path for suffix in WAL if (path := self.evidence / f"{name}{suffix}").exists()]

    def reconcile(self, **more: object) -> Reconciliation:
        """Reconcile it."""
        return reconcile(self.evidence, self.keys, **more)

    def named(self, **more: object) -> set[tuple[str, str, str, str | None]]:
        """What a reconciliation names: state, thing, name, exhibit."""
        return {(item.state, item.thing, item.name, item.exhibit) for item in self.reconcile(**more).items}
