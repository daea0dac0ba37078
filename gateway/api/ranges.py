"""One byte range of an answer (RFC 9110 section 14)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gateway.api.problem import ProblemError

RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def span(headers: Mapping[str, str], etag: str, size: int) -> tuple[int, int] | None:
    """The half-open span of one byte range; None, the whole, for several ranges or none."""
    found = RANGE.fullmatch(headers.get("Range", "").strip())
    if found is None or not (found[1] or found[2]) or headers.get("If-Range", etag) != etag:
        return None
    if not found[1]:
        start, end = max(0, size - int(found[2])), size
    else:
        start, end = int(found[1]), min(size, int(found[2]) + 1) if found[2] else size
    if start >= size or end <= start:
        raise ProblemError(416, f"the recording has {size} bytes", {"Content-Range": f"bytes */{size}"}, size=size)
    return start, end
