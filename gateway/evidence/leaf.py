"""One act as a leaf (in clear, names nobody) and its detail (sealed): docs/formats.md, "log" and "details"."""

from __future__ import annotations

import hmac
import os
from datetime import datetime
from typing import Any

import msgspec

from gateway.crypto.canonical import canonical
from gateway.domain.evidence import Act
from gateway.domain.time import rfc3339
from gateway.errors import MisuseError
from gateway.evidence.log.tiles import ENTRY_BYTES_MAX
from gateway.evidence.rows import Chain

LEAF_RESERVED = frozenset({"v", "kind", "at", "exhibit", "n", "prev", "build", "hmac", "actor"})
DETAIL_RESERVED = frozenset({"v", "exhibit", "n", "actor"})
DETAIL_BYTES_MAX = 1 << 20
SALT_BYTES = 32
_LONGEST = Chain((1 << 53) - 2, "0" * 64)


class Composed(msgspec.Struct, frozen=True):
    """An act as it is written: leaf bytes and reading, detail and its canonical bytes, its salt and HMAC."""

    leaf: bytes
    facts: dict[str, Any]
    detail: dict[str, Any]
    printed: bytes
    salt: bytes
    hmac: bytes


def check(act: Act, at: datetime, build: str) -> None:
    """Refuse an act that could not be written wherever it falls; MisuseError says why."""
    if act.facts.keys() & LEAF_RESERVED or act.detail.keys() & DETAIL_RESERVED:
        taken = sorted((act.facts.keys() & LEAF_RESERVED) | (act.detail.keys() & DETAIL_RESERVED))
        raise MisuseError(f"an act must not set {', '.join(taken)} itself")
    composed = compose(act, at, build, _LONGEST, bytes(SALT_BYTES))
    if len(composed.leaf) > ENTRY_BYTES_MAX:
        raise MisuseError(f"a leaf of {len(composed.leaf)} bytes, at most {ENTRY_BYTES_MAX}")
    if len(composed.printed) > DETAIL_BYTES_MAX:
        raise MisuseError(f"a detail of more than {DETAIL_BYTES_MAX} bytes")


def compose(act: Act, at: datetime, build: str, chain: Chain, salt: bytes) -> Composed:
    """Write an act as the next entry of its exhibit's chain."""
    place: dict[str, Any] = {} if act.exhibit is None else {"exhibit": act.exhibit, "n": chain.n + 1}
    detail = {**act.detail, "v": 1, "actor": act.actor, **place}
    printed = canonical(detail)
    digest = hmac.digest(salt, printed, "sha256")
    link = {} if act.exhibit is None else {"prev": chain.prev}
    facts = {"v": 1, "kind": act.kind, "at": rfc3339(at), **place, **link, **act.facts, "build": build}
    facts["hmac"] = digest.hex()
    return Composed(canonical(facts), facts, detail, printed, salt, digest)


def commitment(salt: bytes, detail: dict[str, Any]) -> bytes:
    """HMAC-SHA256 with the salt as key over the canonical detail."""
    return hmac.digest(salt, canonical(detail), "sha256")


def fresh_salt() -> bytes:
    """Draw a salt of 32 bytes."""
    return os.urandom(SALT_BYTES)
