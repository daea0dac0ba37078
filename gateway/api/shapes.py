"""What queries and bodies are made of, as the OpenAPI document says it: said is said, a moment has its time zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any, get_args

import msgspec

from gateway.domain.time import RFC3339

WORDS = r"[^\s\x00-\x1f\x7f-\x9f]"
"""A character that somebody can see: engines disagree on which control characters are space, so none counts."""
Words = Annotated[str, msgspec.Meta(pattern=WORDS)]
"""Text that says something."""
Moment = Annotated[datetime, msgspec.Meta(tz=True, extra_json_schema={"pattern": f"^[1-9][0-9]{{3}}{RFC3339}"})]
"""RFC 3339 with its time zone; the pattern is for tools that take a format for a remark."""
Recent = Annotated[datetime, msgspec.Meta(tz=True, extra_json_schema={"pattern": f"^20[0-9]{{2}}{RFC3339}"})]
"""A moment of this century: other years are typing errors."""


def parts(kind: object) -> Iterator[object]:
    """A type and every type that it is made of: of `Annotated[datetime, …] | None` that is datetime too."""
    yield kind
    for part in get_args(kind):
        yield from parts(part)


def textual(asked: type[msgspec.Struct]) -> frozenset[str]:
    """The fields of a query that are text: of the others `null` is no value, though it could be read as none."""
    return frozenset(field.encode_name for field in msgspec.structs.fields(asked) if str in parts(field.type))


def timed(asked: type[msgspec.Struct]) -> frozenset[str]:
    """The fields of a query that are times: a bare number is none, though it could be read as seconds since 1970."""
    fields = msgspec.structs.fields(asked)
    return frozenset(
        field.encode_name for field in fields if any(part in (datetime, date) for part in parts(field.type))
    )


def whole(found: Any) -> Any:  # noqa: ANN401 - JSON
    """The same JSON, in which 6.0 is 6: to JSON Schema that is a whole number."""
    if isinstance(found, float) and found.is_integer():
        return int(found)
    if isinstance(found, dict):
        return {name: whole(part) for name, part in found.items()}
    return [whole(part) for part in found] if isinstance(found, list) else found
