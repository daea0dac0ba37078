"""A successor log: its first entry says what it succeeds, and the rest of it proves that (docs/formats.md)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from gateway.errors import VerificationError
from gateway.evidence.verify import tree
from gateway.evidence.verify.leaves import entry, is_count
from gateway.evidence.verify.notes import Checkpoint, Vkey, open_checkpoint, parse_vkey
from gateway.evidence.verify.report import shown

KIND = "successor"
_GENERATION = re.compile(r"(.+)/g([2-9]|[1-9][0-9]{1,5})")
WHERE = entry(0)


def first_origin(origin: str) -> str:
    """The origin of the log that all the generations began with."""
    match = _GENERATION.fullmatch(origin)
    return match[1] if match else origin


def _next_origin(origin: str) -> str:
    match = _GENERATION.fullmatch(origin)
    return f"{match[1]}/g{int(match[2]) + 1}" if match else f"{origin}/g2"


def check_successor(origin: str, first: bytes | None, hashes: Sequence[bytes]) -> str | None:
    """Say what this log succeeds, None where it is a first one; VerificationError where the two do not agree.

    hashes are the leaf hashes of the whole log.
    """
    former = _former(first)
    if former is None:
        if _GENERATION.fullmatch(origin):
            raise VerificationError(WHERE, f"what {origin} succeeds", "another entry")
        return None
    vkey = parse_vkey(_text(former, "vkey").encode(), WHERE)
    if _next_origin(vkey.name) != origin or former.get("origin") != vkey.name:
        raise VerificationError(WHERE, f"a log that {origin} can succeed", shown(former.get("origin")))
    surviving = _checkpoint(_text(former, "surviving"), vkey, "surviving")
    _check_survivors(surviving, hashes)
    missing = _check_missing(former, vkey, surviving)
    spans = ", ".join(f"{start} to {end - 1}" for start, end in missing) or "nothing"
    size = surviving.size
    return f"succeeds {vkey.name}: its {size} surviving entries are entries 1 to {size}; missing: {spans}"


def _former(first: bytes | None) -> dict[str, Any] | None:
    try:
        facts = json.loads(first or b"null")
    except ValueError:
        return None
    if not isinstance(facts, dict) or facts.get("kind") != KIND:
        return None
    former = facts.get("former")
    if not isinstance(former, dict):
        raise VerificationError(WHERE, "former as an object", shown(former))
    return former


def _text(former: dict[str, Any], name: str) -> str:
    value = former.get(name)
    if not isinstance(value, str):
        raise VerificationError(WHERE, f"former.{name} as text", shown(value))
    return value


def _checkpoint(note: str, vkey: Vkey, name: str) -> Checkpoint:
    return open_checkpoint(note.encode("utf-8", "surrogatepass"), vkey, f"{WHERE} former.{name}")


def _check_survivors(surviving: Checkpoint, hashes: Sequence[bytes]) -> None:
    taken = hashes[1 : surviving.size + 1]
    if len(taken) < surviving.size:
        raise VerificationError(WHERE, f"{surviving.size} surviving entries behind it", str(len(taken)))
    root = tree.root(taken)
    if root != surviving.root:
        expected = f"entries of root {base64.b64encode(surviving.root).decode()}, as the old log signed"
        raise VerificationError(WHERE, expected, base64.b64encode(root).decode())


def _check_missing(former: dict[str, Any], vkey: Vkey, surviving: Checkpoint) -> list[tuple[int, int]]:
    """The missing indexes must be those between what survives and what a witness saw."""
    spans, agreed = former.get("missing"), former.get("agreed")
    if not isinstance(spans, list) or not all(_is_span(span) for span in spans) or not is_count(agreed):
        raise VerificationError(WHERE, "former.missing as index ranges, and agreed as a size", shown(spans))
    found = [(int(span[0]), int(span[1])) for span in spans]
    witnessed = former.get("witnessed")
    if witnessed is not None:
        if "witnessed_vkey" in former:  # the store was of before a rotation: what a witness saw, a later key signed
            vkey = parse_vkey(_text(former, "witnessed_vkey").encode(), WHERE)
        seen = _checkpoint(_text(former, "witnessed"), vkey, "witnessed")
        begin = surviving.size if seen.size > surviving.size else min(int(former["agreed"]), seen.size)
        if found != [(begin, seen.size)]:
            raise VerificationError(WHERE, f"missing entries {begin} to {seen.size - 1}", shown(spans))
    return found


def _is_span(span: object) -> bool:
    return isinstance(span, list) and len(span) == 2 and all(is_count(end) for end in span) and span[0] <= span[1]
