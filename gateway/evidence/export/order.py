"""What an export is asked for, and what it needs from the rest of the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from gateway.crypto.cms import Signature
from gateway.crypto.notes import parse_note, parse_vkey
from gateway.domain.evidence import Act, Recorded
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError
from gateway.evidence.rows import CustodyEntry, Exhibit
from gateway.evidence.vault.files import Files
from gateway.ports import Timestamps

WORDS_MAX = 1000
EXHIBITS_MAX = 1000


class OrderError(EvidenceError):
    """What was asked for cannot be exported, or not so; nothing was recorded for it."""


class Order(msgspec.Struct, frozen=True):
    """Which exhibits, why, for whom, by what right, by whom; to_age: whom the bag is encrypted to."""

    exhibits: tuple[str, ...]
    purpose: str
    recipient: str
    legal_gateway: str
    actor: str
    to_age: str | None = None

    def check(self) -> None:
        """OrderError names what is missing or said twice."""
        for name in ("purpose", "recipient", "legal_gateway"):
            text = getattr(self, name)
            if not text.strip() or len(text) > WORDS_MAX:
                raise OrderError(f"{name}: say it, in at most {WORDS_MAX} characters")
        if not 1 <= len(self.exhibits) <= EXHIBITS_MAX:
            raise OrderError(f"{len(self.exhibits)} exhibits, expected 1 to {EXHIBITS_MAX}")
        twice = {each for each in self.exhibits if self.exhibits.count(each) > 1}
        if twice:
            raise OrderError(f"{', '.join(sorted(twice))}: named twice")


class Shelf(Protocol):
    """The catalogue, as far as an export reads it."""

    def exhibit(self, exhibit_id: str) -> Exhibit | None:
        """The exhibit of this id."""
        ...

    def custody(self, exhibit_id: str) -> list[CustodyEntry]:
        """Its whole chain, oldest first."""
        ...


class Log(Protocol):
    """The custody log: acts in; leaves, details and proofs out."""

    @property
    def vkey(self) -> str:
        """The log's verifier key."""
        ...

    async def record_many(self, acts: Sequence[Act]) -> list[Recorded]:
        """Record acts in one batch: all of them or none."""
        ...

    def leaf(self, index: int) -> bytes:
        """The exact leaf of an entry."""
        ...

    def detail(self, index: int) -> tuple[dict[str, Any], bytes] | None:
        """(detail, salt) of an entry; None where it was erased."""
        ...

    def proof_under(self, index: int, note: str) -> str:
        """`.tlog-proof` of an entry under a checkpoint."""
        ...


class Signer(Protocol):
    """The key that signs exports."""

    pem: bytes

    def signature(self, content: bytes, at: datetime) -> Signature:
        """A detached CMS signature that a time-stamp can still go into."""
        ...


class Witnessing(msgspec.Struct, frozen=True):
    """A witness that may have cosigned: its verifier key, and who runs it."""

    vkey: str
    operator: str


class Former(msgspec.Struct, frozen=True):
    """What was changed for another: the former keys and certificates, newest first, and in what span each counted."""

    vkeys: tuple[str, ...] = ()
    signing: tuple[str, ...] = ()
    stamps: tuple[str, ...] = ()
    spans: dict[str, str] = {}
    rotations: tuple[str, ...] = ()

    def span(self, which: str) -> str:
        """Since and until when, with a space before it; nothing for one that was there from the start and still is."""
        return self.spans.get(which, "")


class Published(msgspec.Struct, frozen=True):
    """Whose word counts for what: as published outside every bag, and as written into trust/."""

    vkey: str
    log_operator: str | None
    signing_pem: bytes
    signing_sha256: str
    witnesses: tuple[Witnessing, ...] = ()
    stamp_pem: bytes | None = None
    stamp_sha256: str | None = None
    stamp_label: str = "none"
    former: Former = Former()

    def lines(self) -> list[str]:
        """One line a key or certificate, those that count and those that did: what `lapel trust print` prints."""
        signing, stamp = f"sha256:{self.signing_sha256}", f"sha256:{self.stamp_sha256}"
        found = [f"log {self.vkey}{self.former.span(self.vkey)}"]
        found += [f"log {vkey}{self.former.span(vkey)}" for vkey in self.former.vkeys]
        found += [f"signing-certificate {each}{self.former.span(each)}" for each in (signing, *self.former.signing)]
        if self.stamp_sha256 is not None:
            label = f" {self.stamp_label}"
            stamps = (stamp, *self.former.stamps)
            found += [f"timestamp-certificate {each}{label}{self.former.span(each)}" for each in stamps]
        found.extend(f"witness {each.vkey} operator={each.operator}" for each in self.witnesses)
        return found

    def vkey_of(self, note: str) -> str:
        """The log's key that signed this checkpoint: it may be older than the key that signs now."""
        signed = {(name, blob[:4]) for name, blob in parse_note(note.encode()).signatures}
        vkeys = [parse_vkey(each) for each in (self.vkey, *self.former.vkeys)]
        return next((str(vkey) for vkey in vkeys if (vkey.name, vkey.key_id) in signed), self.vkey)

    def witness_label(self, operator: str) -> str:
        """Whether a witness is somebody else than the log's operator."""
        return "independent" if operator != self.log_operator else "self-asserted"


Step = Literal["witness", "writing", "time_stamp", "checking", "encrypting"]
"""What an export does now, or waits for: the witnesses' quorum, the disk, the authority, our verifier, age."""


class Progress(msgspec.Struct, frozen=True):
    """How far an export is: so many of so many bytes are written, and what it does now."""

    step: Step
    written: int = 0
    of: int = 0


def unheard(_progress: Progress) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class Needs:
    """The rest of the store, as an export uses it; stamps None where no authority is configured.

    told hears of every step, and of every MiB; what it raises ends the run, which can be gone on with.
    """

    log: Log
    shelf: Shelf
    read: Callable[[ExhibitId, int], Iterator[bytes]]
    cosigned: Callable[[int], Awaitable[str]]
    signer: Signer
    published: Published
    faults: Callable[[datetime, datetime], dict[str, Any]]
    now: Callable[[], datetime]
    files: Files
    build: str
    stamps: Timestamps | None = None
    told: Callable[[Progress], None] = unheard
