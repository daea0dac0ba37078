"""Second places put together from the configuration, kept running beside the store, and looked at from a terminal."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog

from gateway.crypto.keys import KeyStore
from gateway.crypto.notes import parse_vkey
from gateway.errors import EvidenceError
from gateway.evidence.copies.copies import Copies
from gateway.evidence.copies.log_files import look_at
from gateway.evidence.copies.mark import AwayError
from gateway.evidence.copies.receipts import NewReceipts
from gateway.evidence.copies.second import First, SecondPlace
from gateway.evidence.copies.transfer import Pace
from gateway.evidence.custody import CustodyLog
from gateway.evidence.settings import StoreSection
from gateway.evidence.vault.files import DiskFiles
from gateway.observe import SystemClock
from gateway.ports import Clock
from gateway.store.catalogue import Catalogue
from gateway.store.keyring import Keyring

AGAIN_AFTER_S = 5.0
PAGE = 1000


def first_store(custody: CustodyLog, keyring: Keyring, clock: Clock, store: StoreSection) -> First:
    """The first store, as its copies read it."""
    keystore: KeyStore = custody.keystore
    return First(
        evidence=Path(custody.directory),
        key=parse_vkey(custody.vkey),
        keyring=keyring,
        keyring_at=lambda path: Keyring(path, keystore),
        clock=clock,
        files=DiskFiles(),
        pace=Pace(store.copy_mb_s),
        reserve_mb=store.reserve_mb,
    )


class Opened(Protocol):
    """Log, keys and catalogue of a store, open."""

    @property
    def custody(self) -> CustodyLog:
        """The log."""
        ...

    @property
    def keyring(self) -> Keyring:
        """Its wrapped keys."""
        ...

    @property
    def catalogue(self) -> Catalogue:
        """Its catalogue."""
        ...


def copies_beside(store: StoreSection, opened: Opened, clock: Clock) -> Copies | None:
    """The second places of a store; None where none is configured."""
    if not store.copy_to:
        return None
    first = first_store(opened.custody, opened.keyring, clock, store)
    return Copies(first, store.copies, [Path(place) for place in store.copy_to], opened.catalogue, opened.custody)


def second_places(store: StoreSection, first: First) -> list[SecondPlace]:
    """The second places for a command that has something to destroy or to look at in each of them."""
    return [SecondPlace(Path(place), first) for place in store.copy_to]


async def kept_copying(copies: Copies | None, receipts: NewReceipts) -> None:
    """Keep the copies up and tell who waits for them, until cancelled."""
    if copies is None:
        return
    copies.ledger.told.append(receipts.due)
    while True:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copies.run())
                group.create_task(receipts.run())
        except* Exception:  # noqa: BLE001 - a defect here must not take ingest along: loud, and begun again
            structlog.get_logger().exception("copying_failed")
        await asyncio.sleep(AGAIN_AFTER_S)


class Standing(msgspec.Struct, frozen=True):
    """How a second place stands: `ok`, `behind`, `away`, `refused` or `new`, and why.

    entries and lag: of the log, held there and lacking; exhibits and missing: whose blobs lie there and do not.
    """

    path: str
    id: str | None
    state: str
    problem: str | None = None
    entries: int = 0
    lag: int = 0
    exhibits: int = 0
    missing: tuple[str, ...] = ()
    free_mb: int | None = None
    same_disk: bool = False


def standing(place: SecondPlace, first: First, catalogue: Catalogue) -> Standing:
    """Look at one place from outside; nothing is written, no blob is read. Blocks."""
    path = str(place.path)
    try:
        mark = place.look()
        if mark is None:
            return Standing(path, None, "new", "nothing has been copied there yet", same_disk=place.same_disk)
        told = _contents(place, first, catalogue)
    except AwayError as away:
        return Standing(path, None, "away", str(away))
    except (OSError, EvidenceError) as wrong:
        return Standing(path, None, "refused", str(wrong), same_disk=place.same_disk)
    behind = told["lag"] or told["missing"]
    free_mb = first.files.free_bytes(place.path) >> 20
    return Standing(path, mark.id, "behind" if behind else "ok", free_mb=free_mb, same_disk=place.same_disk, **told)


def _contents(place: SecondPlace, first: First, catalogue: Catalogue) -> dict[str, Any]:
    look = look_at(first.evidence / "log")
    held = place.held(look)
    there, missing = 0, []
    since = 0
    while rows := catalogue.seals(since, PAGE):
        for row in rows:
            if row.blob is not None and row.disposed_at is None and row.shredded_at is None:
                has = place.has(row)
                there += has
                missing += [] if has else [row.id]
        since = rows[-1].log_index + 1
    return {"entries": held, "lag": look.head.size - held, "exhibits": there, "missing": tuple(missing)}


def store_of_command(opened: Opened, store: StoreSection) -> First:
    """The first store for a command: no rate, no reserve."""
    free = msgspec.structs.replace(store, copy_mb_s=0, reserve_mb=0)
    return first_store(opened.custody, opened.keyring, SystemClock(), free)
