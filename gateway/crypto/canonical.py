"""Canonical JSON (RFC 8785): one value, one string of bytes."""

from __future__ import annotations

import json
from typing import Any

import rfc8785

from gateway.errors import MisuseError


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Print canonically (RFC 8785 section 3.2); MisuseError for what JSON cannot say exactly."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError, TypeError) as problem:
        raise MisuseError(f"not canonical JSON: {problem}") from problem


def parse_canonical(text: bytes) -> dict[str, Any]:
    """Read a canonical JSON object; ValueError where printing it again would give other bytes."""
    try:
        value = json.loads(text)
        printed = rfc8785.dumps(value)
    except (UnicodeError, RecursionError, rfc8785.CanonicalizationError) as problem:
        raise ValueError(f"not canonical JSON: {problem}") from problem
    if not isinstance(value, dict) or printed != text:
        raise ValueError("not a canonical JSON object (RFC 8785)")
    return value
