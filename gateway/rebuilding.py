"""`lapel evidence rebuild`, put together: the catalogue made anew from log and details, beside the old one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import msgspec

from gateway.claim import claim
from gateway.crypto.keys import KeyStore
from gateway.domain.evidence import Act
from gateway.errors import IntegrityError
from gateway.evidence.custody import CustodyLog
from gateway.evidence.fold import DETAIL_ERASED
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.generations import origin_at
from gateway.evidence.rows import ExhibitFilter
from gateway.observe import SystemClock
from gateway.store.catalogue import Catalogue
from gateway.store.catalogue_swap import alone, beside, companions, differing
from gateway.store.keyring import Keyring

NAMED_MAX = 1_500


class Rebuilt(msgspec.Struct, frozen=True):
    """What came of it; differing is None where there was nothing to compare with."""

    entries: int
    exhibits: int
    held: int
    detail_erased: int
    seconds: float
    differing: list[str] | None
    v: int = 1


class _Remembering:
    """A keyring whose keys are asked for thousands of times."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._known: dict[str, bytes | None] = {}

    def get(self, name: str) -> bytes | None:
        """The secret of this name, or None."""
        if name not in self._known:
            self._known[name] = self._keyring.get(name)
        return self._known[name]

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret, durable on return."""
        self._keyring.put(name, secret)
        self._known[name] = secret


def rebuild(
    data: Path,
    keys: Path | KeyStore,
    origin: str,
    disk: Disk | None = None,
    told: Callable[[int], None] = lambda _size: None,
) -> Rebuilt:
    """Make evidence.db anew and put it in its place. ConfigError while a gateway runs, StoreBusyError while a command.

    Until the one rename the old one stays as it is; what has been made by then is begun anew the next time.
    """
    descriptor = claim(data)
    try:
        return _rebuilt(data / "evidence", keys, origin, disk or Disk(), told)
    finally:
        os.close(descriptor)


def _rebuilt(evidence: Path, keys: Path | KeyStore, origin: str, disk: Disk, told: Callable[[int], None]) -> Rebuilt:
    began_s, path = time.monotonic(), evidence / "evidence.db"
    fresh = beside(path)
    made = _made(evidence, keys, origin, fresh)
    told(made.entries)
    if not alone(fresh):
        raise IntegrityError(f"{fresh} was made and cannot be read")
    sound = alone(path)
    changed = differing(path, fresh) if sound else None
    disk.fsync(fresh)
    if not sound:  # what lies beside a file that is none must not be taken for the new one's
        for each in companions(path):
            disk.unlink(each)
    disk.rename(fresh, path)
    disk.fsync(evidence)
    return msgspec.structs.replace(made, differing=changed, seconds=round(time.monotonic() - began_s, 3))


def _made(evidence: Path, keys: Path | KeyStore, origin: str, path: Path) -> Rebuilt:
    """Opening a log applies to its catalogue whatever that lacks: here everything."""
    keystore = keys if isinstance(keys, KeyStore) else KeyStore(keys)
    keystore.load()
    keyring, catalogue = Keyring(evidence / "keys.db", keystore), Catalogue(path)
    keyring.open()
    catalogue.open()
    try:
        log = CustodyLog(
            evidence,
            origin_at(evidence, origin),
            keystore,
            _Remembering(keyring),
            catalogue,
            SystemClock(),
            version("lapel"),
        )
        log.open_now()
        log.close_now()
        held = catalogue.exhibits_held(DETAIL_ERASED)
        return Rebuilt(
            catalogue.applied_size, catalogue.count(), catalogue.count(ExhibitFilter(held=True)), held, 0.0, None
        )
    finally:
        catalogue.close()
        keyring.close()


def act(made: Rebuilt, actor: str) -> Act:
    """The entry: rows that had been other than log and details say are a failed verification."""
    changed = made.differing or []
    facts = {
        "what": "rebuild",
        "counts": {"exhibits": made.exhibits, "entries": made.entries, "differing": len(changed)},
    }
    detail = {"named": changed[:NAMED_MAX], "compared": made.differing is not None}
    return Act("verify_fail" if changed else "verify_pass", actor, facts=facts, detail=detail)
