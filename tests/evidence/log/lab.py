"""A custody log on a temporary directory, a disk that fails where it is told to, and a look at it from outside."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from gateway.crypto.keys import KeyStore
from gateway.crypto.notes import VerifierKey, parse_vkey
from gateway.domain.evidence import Act
from gateway.domain.time import Instant
from gateway.evidence.custody import CustodyLog
from gateway.evidence.log.disk import Disk
from gateway.store.catalogue import Catalogue
from gateway.store.keyring import Keyring
from tests.evidence.log.naive import mth

ORIGIN = "lapel.test/log"
AT = datetime(2026, 11, 21, 21, 8, 2, tzinfo=UTC)


class FixedClock:
    """Always the same moment."""

    def now(self) -> Instant:
        """It."""
        return Instant(0.0, AT)


class CrashError(BaseException):
    """The process ends here: nothing may catch it and carry on."""


class FaultyDisk(Disk):
    """A real disk whose n-th operation fails: kept (done, then fails) or lost (fails undone).

    With `crash` every later operation fails too, as in a process that is gone; else the
    `fails` operations from there on fail with ENOSPC.
    """

    def __init__(self, at: int = -1, *, keep: bool = False, crash: bool = True, fails: int = 1) -> None:
        super().__init__()
        self.at, self.keep, self.crash, self.fails = at, keep, crash, fails
        self.count = 0
        self.done: list[str] = []

    def _one(self, name: str, *arguments: object) -> None:
        number, self.count = self.count, self.count + 1
        self.done.append(name)
        last = self.at + (1 << 60 if self.crash else self.fails)
        failing = 0 <= self.at <= number < last
        if not failing or (self.keep and number == self.at):
            getattr(super(), name)(*arguments)
        if failing:
            raise CrashError(name) if self.crash else OSError(errno.ENOSPC, f"no space ({name})")

    def write(self, path: Path, content: bytes) -> None:
        """As Disk."""
        self._one("write", path, content)

    def write_at(self, path: Path, offset: int, content: bytes) -> None:
        """As Disk."""
        self._one("write_at", path, offset, content)

    def fsync(self, path: Path) -> None:
        """As Disk."""
        self._one("fsync", path)

    def rename(self, source: Path, target: Path) -> None:
        """As Disk."""
        self._one("rename", source, target)

    def unlink(self, path: Path) -> None:
        """As Disk."""
        self._one("unlink", path)

    def truncate(self, path: Path, size: int) -> None:
        """As Disk."""
        self._one("truncate", path, size)

    def mkdir(self, path: Path) -> None:
        """As Disk."""
        self._one("mkdir", path)

    def rmdir(self, path: Path) -> None:
        """As Disk."""
        self._one("rmdir", path)


class Lab:
    """One data directory and what stands on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.evidence = directory / "evidence"
        self.keystore = KeyStore(directory / "keys")
        self.keystore.load(create=True)
        self.keyring = Keyring(self.evidence / "keys.db", self.keystore)
        self.catalogue = Catalogue(self.evidence / "evidence.db")
        self.keyring.open()
        self.catalogue.open()

    def log(self, disk: Disk | None = None, origin: str = ORIGIN) -> CustodyLog:
        """A log, not yet open."""
        parts = (self.keystore, self.keyring, self.catalogue, FixedClock(), "0.1.0+test")
        return CustodyLog(self.evidence, origin, *parts, disk or Disk())

    @contextmanager
    def opened(self, disk: Disk | None = None) -> Iterator[CustodyLog]:
        """A log, opened and closed."""
        log = self.log(disk)
        log.open_now()
        try:
            yield log
        finally:
            log.close_now()

    def log_key(self) -> VerifierKey:
        """The log's verifier key, as it lies there."""
        return parse_vkey((self.evidence / "log/log.vkey").read_text().strip())

    def close(self) -> None:
        """Close the databases."""
        self.catalogue.close()
        self.keyring.close()

    def leaves(self) -> list[bytes]:
        """Every leaf as the bundles on disk hold them, the root re-derived from them against the checkpoint."""
        lines = (self.evidence / "log/checkpoint").read_text().split("\n")
        size, root = int(lines[1]), base64.b64decode(lines[2])
        leaves: list[bytes] = []
        while len(leaves) < size:
            number, width = len(leaves) // 256, min(256, size - len(leaves))
            name = self.evidence / f"log/tile/entries/{number:03d}"
            bundle = (name if width == 256 or name.exists() else Path(f"{name}.p/{width}")).read_bytes()
            for _ in range(width):
                length = int.from_bytes(bundle[:2], "big")
                leaves.append(bundle[2 : 2 + length])
                bundle = bundle[2 + length :]
        assert mth(leaves) == root
        return leaves

    def check(self) -> list[dict[str, object]]:
        """Everything from outside: tree, per-exhibit chains, catalogue; the leaves, read."""
        raw = self.leaves()
        chains: dict[str, tuple[int, str | None]] = {}
        for leaf in raw:
            found = json.loads(leaf)
            if "exhibit" in found:
                n, prev = chains.get(found["exhibit"], (0, None))
                assert (found["n"], found["prev"]) == (n + 1, prev)
                chains[found["exhibit"]] = (n + 1, hashlib.sha256(leaf).hexdigest())
        assert self.catalogue.applied_size == len(raw)
        for exhibit, chain in chains.items():
            assert self.catalogue.chain(exhibit) == chain
        return [json.loads(leaf) for leaf in raw]


def act(number: int = 0, exhibit: str | None = "X-1", kind: str = "view", **facts: object) -> Act:
    """An act that can be told from others by its fact `mark`."""
    return Act(kind, f"P-{number}", exhibit, {"mark": number, **facts}, {"purpose": f"because {number}"})
