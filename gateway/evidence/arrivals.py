"""A seal's entry read as the arrival of a recording: its number, its gaps, who brought it, what it describes. Pure."""

from __future__ import annotations

import re
from typing import Any

from gateway.domain.cameras import Arrival
from gateway.domain.evidence import Range
from gateway.evidence.rows import Exhibit
from gateway.evidence.speaking import NOT_ENTITLED

MISSING_KEPT = 100
TRAIL = re.compile(r"[^_]+_[^_]+_(?P<recording>.+)_[^_]+_gpstrail\.json", re.IGNORECASE)
"""`<date>_<time>_<RecordingID>_<bwcid>_gpstrail.json` (Axis body worn content destination API)."""


def arrival_of(row: Exhibit, detail: dict[str, Any] | None, received: dict[str, Any] | None) -> Arrival:
    """The arrival of a sealed exhibit, from its row and the details of its `seal` and `receive` (None: erased)."""
    assert row.sealed_at is not None
    said = detail or {}
    extra = said.get("user_data")
    extra = extra if isinstance(extra, dict) else {}
    return Arrival(
        exhibit=row.id,
        device=row.device or "",
        recording=row.recording or "",
        sealed_at=row.sealed_at,
        log_index=row.log_index,
        complete=bool(row.complete),
        n=_count(extra.get("n")) if "n" in extra else _manifest_number(said),
        started_at=row.started_at,
        missing=_ranges(said.get("missing")),
        via=_text(said.get("via")) or _text(_offer(said).get("via")) or _text(_offer(received or {}).get("via")),
        sidecar_of=_described(extra, row),
        apart=NOT_ENTITLED in row.flags,
    )


def _offer(detail: dict[str, Any]) -> dict[str, Any]:
    offer = detail.get("offer")
    return offer if isinstance(offer, dict) else {}


def _described(extra: dict[str, Any], row: Exhibit) -> str | None:
    """Which recording this one only describes: it says so, or its name does."""
    stated = _text(extra.get("sidecar_of"))
    if stated is not None:
        return stated
    found = TRAIL.fullmatch(row.name or "") or TRAIL.fullmatch(row.recording or "")
    return found["recording"] if found else None


def _manifest_number(detail: dict[str, Any]) -> int | None:
    """`n` of a device manifest that was judged valid at the seal: only then does the detail have `manifest`."""
    place = detail.get("manifest")
    return _count(place.get("n")) if isinstance(place, dict) else None


def _ranges(value: object) -> tuple[Range, ...]:
    found = value if isinstance(value, list) else []
    return tuple((pair[0], pair[1]) for pair in found[:MISSING_KEPT])


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= 1 << 53 else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
