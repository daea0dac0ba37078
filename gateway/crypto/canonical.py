"""Canonical JSON (RFC 8785): one value, one string of bytes."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import rfc8785

from gateway.errors import MisuseError

_INT_MAX = (1 << 53) - 1
_INT_DIGITS = 18


def canonical(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Print canonically (RFC 8785 section 3.2); MisuseError for what JSON cannot say exactly."""
    try:
        return _print(value) if _is_plain(value) else rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError, TypeError) as problem:
        raise MisuseError(f"not canonical JSON: {problem}") from problem


_print = msgspec.json.Encoder(order="sorted").encode


def _is_plain(value: object) -> bool:
    """Whether the quick printer prints it as RFC 8785 does: no floats, no big numbers, no keys beyond ASCII."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is dict:
        return all(type(key) is str and key.isascii() and _is_plain(each) for key, each in value.items())  # type: ignore[attr-defined]
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    return kind is int and -_INT_MAX <= value <= _INT_MAX  # type: ignore[operator]


def parse_canonical(text: bytes) -> dict[str, Any]:
    """Read a canonical JSON object; ValueError where printing it again would give other bytes."""
    try:
        value = json.loads(text, parse_int=_whole)
        printed = canonical(value)
    except (UnicodeError, RecursionError, MisuseError) as problem:
        raise ValueError(f"not canonical JSON: {problem}") from problem
    if not isinstance(value, dict) or printed != text:
        raise ValueError("not a canonical JSON object (RFC 8785)")
    return value


def _whole(digits: str) -> int | float:
    """RFC 8785 section 3.2.2.3: numbers are doubles, and a whole one above 2**53 prints like an int."""
    if len(digits) < _INT_DIGITS and abs(int(digits)) <= _INT_MAX:
        return int(digits)
    return float(digits)
