"""How long the log is known to have been: what the backup holds, against every checkpoint that anybody else shows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.backup.checking import Opened
from gateway.errors import VerificationError

OWN = "the backup itself"


class Known(msgspec.Struct, frozen=True):
    """The largest size that the log's key has signed as far as we know, who showed it, and what is missing to it.

    unjudged: what somebody showed that is signed by a key that the backup knows nothing of (the log's was changed
    since): it says that something is missing, but not what.
    """

    size: int
    who: str
    missing: tuple[tuple[int, int], ...] = ()
    unjudged: tuple[str, ...] = ()


def judge(backup: Opened, notes: Sequence[tuple[str, bytes]]) -> Known:
    """Find it; VerificationError where what is shown is of another history."""
    size, found = backup.label.size, Known(backup.label.size, OWN)
    own = backup.manifest.files.get("evidence/log/cosigned")
    if own is not None and backup.judge(own) is None:  # one that is damaged or missing is named with the files
        notes = [("the backup's cosigned checkpoint", backup.path(own).read_bytes()), *notes]
    for who, raw in notes:
        try:
            seen = backup.checkpoint(raw)
        except ValueError as wrong:
            found = msgspec.structs.replace(found, unjudged=(*found.unjudged, f"{who}: {wrong}"))
            continue
        if seen.size == size and seen.root != backup.label.root:
            raise VerificationError(who, f"the root of {size} entries {backup.label.root.hex()}", seen.root.hex())
        if seen.size > found.size:
            found = msgspec.structs.replace(found, size=seen.size, who=who, missing=((size, seen.size),))
    return found
