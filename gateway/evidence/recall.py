"""What a restore lost, as the successor log itself says: whose receipts cameras are asked to show again."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from gateway.domain.evidence import FormerLog, Recall
from gateway.domain.time import from_rfc3339
from gateway.evidence.succession import KIND

GENERATIONS_MAX = 64


def recall_of(leaf: Callable[[int], bytes], size: int, vkey: str, days: int) -> Recall | None:
    """Read the first entries of a log; None where it succeeds none. A camera may come within so many days.

    A successor of a successor has the entry of the one before behind its own: cameras may lack either's receipts.
    """
    former: list[FormerLog] = []
    until = None
    for index in range(min(size, GENERATIONS_MAX)):
        facts = json.loads(leaf(index))
        if facts["kind"] != KIND:
            break
        until = until or from_rfc3339(facts["at"]) + timedelta(days=days)
        former.append(_former(facts["former"]))
    return None if until is None else Recall(vkey, tuple(former), until)


def _former(told: dict[str, Any]) -> FormerLog:
    return FormerLog(told["origin"], told["vkey"], tuple((int(start), int(end)) for start, end in told["missing"]))
