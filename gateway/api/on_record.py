"""A control room's act is answered when it is on disk; told it is at once, for no alarm waits for a disk."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.api.problem import ProblemError
from gateway.feed.feed import Feed

AGAIN_S = "5"
NOT_KEPT = {
    "refused": (507, "it is told and stands, and is not on disk: the disk refuses; it is written when the disk can"),
    "late": (503, "it is told and stands, and is not on disk yet: the disk does not answer; ask again"),
}


async def on_record(feed: Feed, told: Callable[[], msgspec.Struct | None]) -> None:
    """Return when all that was told is on disk; ProblemError 507 or 503 has what was told, as it stands then."""
    word = await feed.written.wait()
    if word != "kept":
        status, what = NOT_KEPT[word]
        raise ProblemError(status, what, {"Retry-After": AGAIN_S}, told=told())
