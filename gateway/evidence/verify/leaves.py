"""Leaves: canonical JSON with reserved fields, and the chain of each exhibit's acts."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime
from typing import Any

import msgspec
import rfc8785

from gateway.errors import VerificationError
from gateway.evidence.verify.report import shown

EXACT_BELOW = 1 << 53
_HEX64 = re.compile(r"[0-9a-f]{64}")
_HEX32 = re.compile(r"[0-9a-f]{32}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z")
_HASHES = {"hmac": _HEX64, "sha256": _HEX64, "blob_sha256": _HEX64, "blob": _HEX32}
_TEXTS = ("controller", "category", "build")
_FLAGS = ("complete", "held")


class Leaf(msgspec.Struct, frozen=True):
    """One entry as read; sha256 is the plain hash of its bytes, facts the whole JSON object."""

    index: int
    kind: str
    at: str
    exhibit: str | None
    n: int | None
    prev: str | None
    hmac: str
    sha256: str
    facts: dict[str, Any]

    @property
    def where(self) -> str:
        """How findings name this entry."""
        return entry(self.index)


def entry(index: int) -> str:
    """How findings name an entry."""
    return f"log entry {index}"


def _number(text: str) -> int | float:
    """Read digits as RFC 8785 means them: a double, so that 1e20 printed in full reads back."""
    number = float(text)
    return int(text) if abs(number) < EXACT_BELOW else number


def canonical_object(raw: bytes, path: str) -> dict[str, Any]:
    """Read a JSON object that is its own RFC 8785 form."""
    try:
        value = json.loads(raw.decode("utf-8"), parse_int=_number)
        printed = rfc8785.dumps(value)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError):
        raise VerificationError(path, "canonical JSON", shown(raw)) from None
    if printed != raw:
        raise VerificationError(path, "canonical JSON (RFC 8785)", "JSON in another form")
    if not isinstance(value, dict):
        raise VerificationError(path, "a JSON object", shown(raw))
    return value


def is_count(value: object, least: int = 0) -> bool:
    """Whether this is an integer of at least `least`, and no boolean."""
    return type(value) is int and value >= least


def _is_time(value: object) -> bool:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


def _expect(good: object, where: str, expected: str, found: object) -> None:
    if not good:
        raise VerificationError(where, expected, shown(found))


def _check_always(fields: dict[str, Any], where: str) -> None:
    _expect(is_count(fields.get("v")) and fields["v"] == 1, where, "v = 1", fields.get("v"))
    _expect(isinstance(fields.get("kind"), str) and fields["kind"], where, "a kind", fields.get("kind"))
    _expect(_is_time(fields.get("at")), where, "at = an RFC 3339 time in UTC", fields.get("at"))
    _expect("hmac" in fields, where, "an hmac", "none")
    _expect("actor" not in fields, where, "no actor in clear", fields.get("actor"))


def _check_facts(fields: dict[str, Any], where: str) -> None:
    for name, pattern in _HASHES.items():
        value = fields.get(name)
        good = name not in fields or (isinstance(value, str) and pattern.fullmatch(value))
        _expect(good, where, f"{name} in lower-case hex of the right length", value)
    for name in _TEXTS:
        _expect(isinstance(fields.get(name, ""), str), where, f"{name} as text", fields.get(name))
    for name in _FLAGS:
        _expect(isinstance(fields.get(name, False), bool), where, f"{name} as true or false", fields.get(name))
    _expect(is_count(fields.get("size", 0)), where, "size as a count of bytes", fields.get("size"))


def _check_chain_fields(fields: dict[str, Any], where: str) -> None:
    if "exhibit" not in fields:
        _expect("n" not in fields and "prev" not in fields, where, "no n and prev without an exhibit", "one")
        return
    _expect(isinstance(fields["exhibit"], str) and fields["exhibit"], where, "an exhibit id", fields["exhibit"])
    _expect(is_count(fields.get("n"), 1), where, "n counted from 1", fields.get("n"))
    prev = fields.get("prev", "")
    good = prev is None if fields["n"] == 1 else isinstance(prev, str) and _HEX64.fullmatch(prev)
    _expect(good, where, "prev = null for n = 1, else a SHA-256 in hex", prev)


def parse_leaf(raw: bytes, index: int) -> Leaf:
    """Read one entry; VerificationError names it by its index."""
    where = entry(index)
    fields = canonical_object(raw, where)
    _check_always(fields, where)
    _check_facts(fields, where)
    _check_chain_fields(fields, where)
    return Leaf(
        index=index,
        kind=fields["kind"],
        at=fields["at"],
        exhibit=fields.get("exhibit"),
        n=fields.get("n"),
        prev=fields.get("prev"),
        hmac=fields["hmac"],
        sha256=hashlib.sha256(raw).hexdigest(),
        facts=fields,
    )


class Chains:
    """Follows the chain of every exhibit: n counts up by one, prev is the hash of the leaf before."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[int, str]] = {}

    def follow(self, leaf: Leaf) -> None:
        """Take the next leaf; a broken link is said once, and the chain goes on from there."""
        if leaf.exhibit is None or leaf.n is None:
            return
        n, sha256 = self._last.get(leaf.exhibit, (0, None))
        self._last[leaf.exhibit] = (leaf.n, leaf.sha256)
        where = f"{leaf.where} (exhibit {shown(leaf.exhibit)})"
        _expect(leaf.n == n + 1, where, f"n = {n + 1}", leaf.n)
        _expect(leaf.prev == sha256, where, f"prev = {sha256}", leaf.prev)
