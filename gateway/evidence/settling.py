"""What is to be settled by a person: exhibits whose origin, holder or right to be here is in doubt.

A flag is never taken away: settled, it is called `settled:…`, by a custody entry that names who settled it and why.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.evidence.rows import Exhibit
from gateway.evidence.speaking import DISPOSED_BEFORE, NOT_ENTITLED, SETTLED

RESTRICTING = frozenset({"device_revoked", NOT_ENTITLED, DISPOSED_BEFORE})
"""Until it is settled, such footage is shown to nobody without the right to settle it."""
TO_SETTLE = RESTRICTING | frozenset(
    {
        *("device_not_enrolled", "device_signature_invalid"),
        *("holder_unknown", "holder_ambiguous", "recording_id_reused", "checksum_mismatch", "segment_conflict"),
    }
)


class Settlement(msgspec.Struct, frozen=True):
    """A person's word on an exhibit: why, and who held the camera where that is now known."""

    by: str
    reason: str
    holder: str | None = None


def open_flags(row: Exhibit) -> tuple[str, ...]:
    """Which of an exhibit's flags wait for a person."""
    return tuple(flag for flag in row.flags if flag in TO_SETTLE)


def restricted(row: Exhibit) -> bool:
    """Whether its content is for those alone who may settle it."""
    return not RESTRICTING.isdisjoint(row.flags)


def settled(row: Exhibit, word: Settlement, actor: str) -> Act:
    """The act that settles an exhibit; ValueError says why there is none."""
    waiting = open_flags(row)
    if row.sealed_at is None:
        raise ValueError(f"{row.id} is not sealed yet")
    if row.gone:
        raise ValueError(f"{row.id} was disposed of")
    if not waiting:
        raise ValueError(f"{row.id}: there is nothing to settle")
    if not word.reason.strip():
        raise ValueError("reason: says nothing")
    flags = [SETTLED + flag if flag in waiting else flag for flag in row.flags]
    detail: dict[str, Any] = {"by": word.by, "reason": word.reason, "settled": list(waiting), "flags": flags}
    if word.holder is None:
        return Act("amend", actor, ExhibitId(row.id), detail=detail)
    return Act("attribute", actor, ExhibitId(row.id), detail={**detail, "holder": word.holder})
