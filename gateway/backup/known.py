"""How long the log is known to have been: what the backup holds, against every checkpoint that anybody else shows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.backup.checking import Opened
from gateway.errors import ConfigError, VerificationError
from gateway.evidence.log.checkpoint import open_checkpoint

OWN = "the backup itself"


class Known(msgspec.Struct, frozen=True):
    """The largest size that the log's key has signed as far as we know, who showed it, and what is missing to it."""

    size: int
    who: str
    missing: tuple[tuple[int, int], ...] = ()


def judge(backup: Opened, notes: Sequence[tuple[str, bytes]]) -> Known:
    """Find it; ConfigError where what is shown is no checkpoint of this log. VerificationError for another history."""
    size, found = backup.label.size, Known(backup.label.size, OWN)
    own = backup.manifest.files.get("evidence/log/cosigned")
    if own is not None:
        notes = [("the backup's cosigned checkpoint", backup.path(own).read_bytes()), *notes]
    for who, raw in notes:
        try:
            seen = open_checkpoint(raw, backup.key)
        except ValueError as wrong:
            raise ConfigError(who, f"is no checkpoint of {backup.key.name}: {wrong}") from wrong
        if seen.size == size and seen.root != backup.label.root:
            raise VerificationError(who, f"the root of {size} entries {backup.label.root.hex()}", seen.root.hex())
        if seen.size > found.size:
            found = Known(seen.size, who, ((size, seen.size),))
    return found
