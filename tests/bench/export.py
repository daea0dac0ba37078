"""An export of 2 GB, decrypted, hashed, signed, stamped and verified, against `cp` + `sync` + `openssl dgst`."""

from __future__ import annotations

import asyncio
import hashlib
import os
import statistics
import subprocess
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from gateway.evidence.export.order import Order
from gateway.evidence.importing import Store, Told, import_file, taking_turns
from gateway.evidence.needs import FixedTerms
from gateway.evidence.settings import LogSection
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.room import Room
from gateway.evidence_half import Records, records
from gateway.exporting import Terms, Wanted, export
from gateway.observe import SystemClock
from gateway.outlets.settings import TimestampSettings

MEGABYTES = int(os.environ.get("LAPEL_BENCH_EXPORT_MB", "2048"))
ROUNDS = 3
LIMIT = 0.6
MIB = 1 << 20


def master(path: Path, megabytes: int) -> None:
    """A file of bytes that repeat nowhere."""
    with path.open("wb") as file:
        for number in range(megabytes):
            file.write(hashlib.shake_128(number.to_bytes(4, "big")).digest(MIB))


def admitted(opened: Records, path: Path) -> str:
    """The file as an exhibit."""
    root, files, clock = Path(opened.custody.directory), DiskFiles(), SystemClock()
    with taking_turns(root):
        store = Store(
            root=root,
            files=files,
            room=Room(files, root, 0),
            keyring=opened.keyring,
            keks=opened.keystore,
            shelf=opened.catalogue,
            retention=FixedTerms("PCC", "PCC/uncategorised@1", 31),
            record=lambda acts: asyncio.run(opened.custody.record_many(acts)),
            attribute=lambda *_: None,  # type: ignore[arg-type,return-value]  # no device is named
            now=clock.now,
        )
        return import_file(store, path, Told("bench", "made", "bench")).exhibit


def plain(source: Path, target: Path) -> float:
    """Seconds of cp, sync of that file, and openssl dgst of it."""
    began = time.perf_counter()
    for command in (["cp", source, target], ["sync", target], ["openssl", "dgst", "-sha256", target]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def exported(opened: Records, exhibit: str, target: Path) -> float:
    """Seconds of a whole export."""
    order = Order((exhibit,), "trial", "CPS", "CPIA", "bench")
    terms = Terms(LogSection(), TimestampSettings(embedded=True))
    began = time.perf_counter()
    asyncio.run(export(opened, terms, Wanted(order, target, 10.0)))
    return time.perf_counter() - began


def measure(folder: Path, megabytes: int = MEGABYTES, rounds: int = ROUNDS) -> dict[str, float]:
    """Median MB/s of both, rounds interleaved, and their ratio."""
    source = folder / "source.mp4"
    master(source, megabytes)
    copies, exports = [], []
    (folder / "evidence").mkdir()
    with records(folder / "evidence", folder / "keys", "lapel.bench/log", SystemClock(), create=True) as opened:
        exhibit = admitted(opened, source)
        for number in range(rounds):
            os.sync()
            copies.append(plain(source, folder / "copy"))
            (folder / "copy").unlink()
            os.sync()
            exports.append(exported(opened, exhibit, folder / f"bag{number}"))
            subprocess.run(["rm", "-r", folder / f"bag{number}"], check=True)
    octets, peer, ours = megabytes * MIB / 1e6, statistics.median(copies), statistics.median(exports)
    return {
        "megabytes": megabytes,
        "cp_sync_dgst_mb_s": octets / peer,
        "export_mb_s": octets / ours,
        "ratio": peer / ours,
        "limit": LIMIT,
    }


def run() -> dict[str, float]:
    """Once, at full size."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as name:
        return measure(Path(name))


if __name__ == "__main__":
    print(datetime.now(UTC), run())
