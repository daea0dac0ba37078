"""Canonical JSON (RFC 8785): one value, one string of bytes."""

from __future__ import annotations

import json
from typing import Any

import rfc8785

from gateway.errors import MisuseError

_INT_MAX = (1 << 53) - 1
_INT_DIGITS = 18


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Print canonically (RFC 8785 section 3.2); MisuseError for what JSON cannot say exactly."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError, TypeError) as problem:
        raise MisuseError(f"not canonical JSON: {problem}") from problem


def parse_canonical(text: bytes) -> dict[str, Any]:
    """Read a canonical JSON object; ValueError where printing it again would give other bytes."""
    try:
        value = json.loads(text, parse_int=_whole)
        printed = rfc8785.dumps(value)
    except (UnicodeError, RecursionError, rfc8785.CanonicalizationError) as problem:
        raise ValueError(f"not canonical JSON: {problem}") from problem
    if not isinstance(value, dict) or printed != text:
        raise ValueError("not a canonical JSON object (RFC 8785)")
    return value


def _whole(digits: str) -> int | float:
    """RFC 8785 section 3.2.2.3: numbers are doubles, and a whole one above 2**53 prints like an int."""
    if len(digits) < _INT_DIGITS and abs(int(digits)) <= _INT_MAX:
        return int(digits)
    return float(digits)
