"""What the catalogue holds of the log, and the plugs of catalogue and keyring that evidence uses."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One log entry: index, exact leaf bytes, the leaf read, and its detail (None: erased)."""

    index: int
    leaf: bytes
    facts: dict[str, Any]
    detail: dict[str, Any] | None


class Exhibit(msgspec.Struct, frozen=True, kw_only=True):
    """An exhibit as the fold of its entries; None where no entry has said it.

    log_index is its seal's entry (until then its first); n and prev are its chain's newest:
    the next leaf has n + 1 and this prev. playable is `playable`, `partial`, `unplayable`, `not_examined`
    (media_reason says why not) or None, not examined yet; thumbnail is the SHA-256 of its age file.
    parent is the exhibit that this one was made from; holds are the ids of the holds that stand; disposal is
    the id of the request for its disposal; shredded_at is when its key was destroyed; copies are those verified
    beside the first.
    """

    id: str
    device: str | None = None
    recording: str | None = None
    name: str | None = None
    controller: str | None = None
    category: str | None = None
    content_type: str | None = None
    size: int | None = None
    sha256: str | None = None
    complete: bool | None = None
    blob: str | None = None
    blob_sha256: str | None = None
    key: str | None = None
    received_at: datetime | None = None
    sealed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    disposed_at: datetime | None = None
    holder: str | None = None
    flags: tuple[str, ...] = ()
    rule: str | None = None
    due: str | None = None
    held: bool = False
    supersedes: str | None = None
    superseded_by: str | None = None
    container: str | None = None
    codecs: tuple[str, ...] = ()
    duration_s: float | None = None
    media_created_at: datetime | None = None
    playable: str | None = None
    media_reason: str | None = None
    thumbnail: str | None = None
    parent: str | None = None
    exhibit_ref: str | None = None
    incident: str | None = None
    review_due: str | None = None
    holds: tuple[str, ...] = ()
    disposal: str | None = None
    shredded_at: datetime | None = None
    copies: int | None = None
    log_index: int = 0
    n: int = 0
    prev: str | None = None

    @property
    def gone(self) -> bool:
        """Whether its key was destroyed: from then on nobody reads it, whatever is still being removed."""
        return self.shredded_at is not None or self.disposed_at is not None


class CustodyEntry(msgspec.Struct, frozen=True):
    """One act as listed: actor None where its detail was erased."""

    log_index: int
    exhibit: str | None
    n: int | None
    kind: str
    at: datetime
    actor: str | None
    leaf_sha256: str
    hmac: str


class ExhibitFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which exhibits to list; None asks nothing. The span overlaps [started_at, ended_at]."""

    device: str | None = None
    recording: str | None = None
    controller: str | None = None
    category: str | None = None
    holder: str | None = None
    held: bool | None = None
    complete: bool | None = None
    sealed: bool | None = None
    playable: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    flags: tuple[str, ...] | None = None
    """Any of these."""
    exhibit_ref: str | None = None
    incident: str | None = None
    hold: str | None = None
    """The id of a hold that stands."""
    due_before: str | None = None
    """Due before this day."""
    review_before: str | None = None
    """To be reviewed before this day."""
    present: bool | None = None
    """Neither disposed of nor its key destroyed."""


class ActFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which acts to list; general: those about no exhibit; until is exclusive."""

    kinds: tuple[str, ...] | None = None
    actor: str | None = None
    exhibit: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    general: bool = False


class Chain(msgspec.Struct, frozen=True):
    """The newest link of an exhibit's own chain: how many entries, and the newest leaf's SHA-256."""

    n: int = 0
    prev: str | None = None


class CataloguePlug(Protocol):
    """The projection that every batch is applied to."""

    @property
    def applied_size(self) -> int:
        """How many log entries have been applied."""
        ...

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply the next entries in one transaction."""
        ...

    def exhibit(self, exhibit_id: str) -> Exhibit | None:
        """The exhibit as the entries applied so far make it."""
        ...

    def chains(self, exhibit_ids: Collection[str]) -> dict[str, tuple[int, str | None]]:
        """(n, prev) of the newest entry of each of these exhibits that has one."""
        ...


class KeyringPlug(Protocol):
    """Wrapped secrets by name."""

    def put(self, name: str, secret: bytes) -> None:
        """Keep a secret, durable on return."""
        ...

    def get(self, name: str) -> bytes | None:
        """The secret of this name, or None."""
        ...
