"""Sealed evidence: verifying blobs against stock tools, the start of a Range anywhere in 4 GB, scrub, rebuild.

Verifying does what `age -d | openssl dgst` does, and hashes the age file too. Wall time on a busy machine favours
whoever has more processes; the ratio of processor time stands beside it.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from gateway.crypto.age import CHUNK, Identity, chacha20poly1305, write_header
from gateway.evidence.rows import Exhibit
from gateway.evidence.scrub import Needs, Pace, Scrub
from gateway.evidence.vault.blobs import BlobWriter
from gateway.evidence.vault.files import DiskFiles
from gateway.evidence.vault.reading import Reader
from gateway.evidence.verify.blobs import blob_path, check_blob
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.reconcile import reconcile
from gateway.evidence.verify.report import Report
from gateway.rebuilding import rebuild
from tests.evidence.log.lab import ORIGIN, Lab
from tests.evidence.many_acts import sealed

MIB = 1 << 20
OCTETS = int(os.environ.get("LAPEL_BENCH_BLOB_MB", "400")) * MIB
EXHIBITS = int(os.environ.get("LAPEL_BENCH_EXHIBITS", "10000"))
FOUR_GB = 4 << 30
ROUNDS = 5
STARTS = 60
BLOB = "ab" * 16


class Kept:
    """One sealed blob: its identity, its seal as the log has it."""

    def __init__(self, root: Path) -> None:
        self.root, self.identity = root, Identity.fresh()
        self.path = root / blob_path(BLOB)
        self.path.parent.mkdir(parents=True)
        writer = BlobWriter.create(DiskFiles(), self.path, self.identity, chacha20poly1305)
        piece = random.Random(1).randbytes(MIB)
        for _ in range(OCTETS // MIB):
            writer.feed(piece)
        digests = writer.finish()
        writer.handle.close()
        facts = {"blob": BLOB, "blob_sha256": digests.blob_sha256, "sha256": digests.sha256, "size": digests.size}
        self.seal = Leaf(1, "seal", "", "X-1", 2, None, "", "", {"kind": "seal", "exhibit": "X-1", **facts})

    def open(self, name: str) -> bytes:
        """As the verifier's keyring."""
        del name
        return self.identity.secret


def _clocked(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall, and of the processor, children's included."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    began = [resource.getrusage(kind) for kind in kinds]
    began_s = time.perf_counter()
    work()
    wall_s = time.perf_counter() - began_s
    ended = [resource.getrusage(kind) for kind in kinds]
    pairs = zip(began, ended, strict=True)
    return wall_s, sum(b.ru_utime - a.ru_utime + b.ru_stime - a.ru_stime for a, b in pairs)


def _verifying(kept: Kept) -> dict[str, object]:
    key = kept.root / "identity.txt"
    key.write_text(kept.identity.printed() + "\n")

    def stock() -> None:
        command = f"age -d -i {key} {kept.path} | openssl dgst -sha256"
        said = subprocess.run(command, shell=True, capture_output=True, text=True, check=True).stdout
        assert kept.seal.facts["sha256"] in said

    def ours() -> None:
        report = Report("blob")
        check_blob(kept.root, kept.seal, kept, report)  # type: ignore[arg-type]  # opens by name, as a keyring
        assert report.ok, report

    if shutil.which("age") is None or shutil.which("openssl") is None:
        return {"left_out": "age or openssl is missing"}
    rounds = [(_clocked(stock), _clocked(ours)) for _ in range(ROUNDS)]
    theirs, mine = ([statistics.median(r[who][clock] for r in rounds) for clock in (0, 1)] for who in (0, 1))
    return {
        "age_openssl_mb_s": round(OCTETS / 1e6 / theirs[0], 1),
        "verify_mb_s": round(OCTETS / 1e6 / mine[0], 1),
        "ratio_wall": round(theirs[0] / mine[0], 2),
        "ratio_wall_best": round(min(r[0][0] for r in rounds) / min(r[1][0] for r in rounds), 2),
        "ratio_processor": round(theirs[1] / mine[1], 2),
    }


def _scrubbing(kept: Kept) -> dict[str, object]:
    """Reading back without keys, against a plain SHA-256 of the same file."""

    def plain() -> None:
        digest = hashlib.sha256()
        with kept.path.open("rb") as file:
            while piece := file.read(MIB):
                digest.update(piece)
        assert digest.hexdigest() == kept.seal.facts["blob_sha256"]

    scrub = Scrub(Needs(kept.root, None, None, None, None), Pace(mb_s=1e9))  # type: ignore[arg-type]  # only reads

    def ours() -> None:
        assert scrub.read(BLOB, kept.seal.facts["blob_sha256"])[0] is None

    rounds = [(_clocked(plain), _clocked(ours)) for _ in range(ROUNDS)]
    theirs, mine = (statistics.median(r[who][0] for r in rounds) for who in (0, 1))
    return {
        "plain_sha256_mb_s": round(OCTETS / 1e6 / theirs, 1),
        "scrub_mb_s": round(OCTETS / 1e6 / mine, 1),
        "ratio": round(theirs / mine, 2),
    }


def _sparse(path: Path, places: list[int]) -> Identity:
    """An age file of 4 GB of which only some chunks are written, each as it would be."""
    identity, last = Identity.fresh(), FOUR_GB // CHUNK - 1
    header, payload = write_header(identity.recipient)
    with path.open("wb") as file:
        file.write(header)
        for number in {0, last, *places, *(min(place + 1, last) for place in places)}:
            file.seek(len(header) + number * (CHUNK + 16))
            file.write(payload.seal(number, bytes([number % 256]) * CHUNK, last=number == last))
    return identity


def _ranges(root: Path) -> dict[str, object]:
    """Milliseconds from asking the reader to the first bytes, anywhere in the 4 GB, file opened anew each time."""
    dice = random.Random(2)
    starts = [dice.randrange(FOUR_GB - 1) for _ in range(STARTS)]
    path = root / "blobs" / "cd" / "cd" / f"{'cd' * 16}.age"
    path.parent.mkdir(parents=True)
    identity = _sparse(path, [start // CHUNK for start in starts])
    row = Exhibit(id="X-2", blob="cd" * 16, size=FOUR_GB)

    class Keys:
        """One key."""

        def get(self, _name: str) -> bytes:
            """It."""
            return identity.secret

    reader, took = Reader(root, Keys(), lambda _exhibit: row), []  # type: ignore[arg-type]  # it only gets
    for start in starts:
        began_s = time.perf_counter()
        first = next(iter(reader.read("X-2", start)))  # type: ignore[arg-type]
        took.append((time.perf_counter() - began_s) * 1000)
        assert first[0] == (start // CHUNK) % 256
    took.sort()
    return {"start_ms_median": round(took[len(took) // 2], 2), "start_ms_worst": round(took[-1], 2), "limit_ms": 20}


def _catalogue(root: Path) -> dict[str, object]:
    """The catalogue made anew, and the log gone over, at many exhibits."""
    lab = Lab(root)
    with lab.opened() as log:
        acts = [act for number in range(EXHIBITS) for act in sealed(number)]
        for start in range(0, len(acts), 250):
            log._ask(acts[start : start + 250]).result()
    lab.close()
    (root / "evidence/evidence.db").unlink()
    made = rebuild(root, root / "keys", ORIGIN)
    began_s = time.perf_counter()
    reconcile(root / "evidence", root / "keys")
    return {
        "exhibits": made.exhibits,
        "entries": made.entries,
        "rebuild_s": made.seconds,
        "rebuild_entries_per_s": round(made.entries / made.seconds, 0),
        "reconcile_s": round(time.perf_counter() - began_s, 2),
    }


def run() -> dict[str, object]:
    """Every figure."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as name:
        root = Path(name)
        kept = Kept(root)
        found: dict[str, object] = {"verify": _verifying(kept), "scrub": _scrubbing(kept)}
        kept.path.unlink()
        return found | {"range": _ranges(root), "catalogue": _catalogue(root / "store")}


if __name__ == "__main__":
    print(run())
