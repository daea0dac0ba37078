"""A recording that goes on after what had come of it was sealed: what was called durable is never asked for again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

import structlog

from gateway.domain.evidence import Range, RecordingOffer
from gateway.domain.ids import ExhibitId
from gateway.domain.time import rfc3339
from gateway.errors import EvidenceError, StoreBusyError
from gateway.evidence.needs import Needs
from gateway.evidence.rows import Exhibit
from gateway.evidence.speaking import lies_with
from gateway.evidence.upload import Upload
from gateway.evidence.vault.committer import Committer
from gateway.evidence.vault.reading import Reader

RANGES_TOLD = 1000
"""A seal's detail names so many missing ranges: what lies behind the last of them it can't vouch for."""
_log = structlog.get_logger()


async def take_over(upload: Upload, needs: Needs, reader: Reader, committer: Committer) -> None:
    """Copy what the exhibit sealed in part holds into the upload that goes on with it.

    A part that can't be read is said and left out: the footage that comes now is kept all the same.
    """
    part = await asyncio.to_thread(_part, upload, needs)
    if part is None:
        return
    row, detail = part
    if not is_same(upload.offer, row, detail):
        return
    try:
        for start, end in held(row.size or 0, detail):
            offset = start
            async for piece in reader.stream(ExhibitId(row.id), start, end):
                keep = partial(upload.staged.keep, offset, piece)
                await committer.submit(upload.staged, keep, lambda: None, len(piece))
                offset += len(piece)
    except StoreBusyError:
        raise
    except EvidenceError as wrong:
        _log.error("part_not_taken_over", exhibit=row.id, into=upload.exhibit, problem=str(wrong))


def _part(upload: Upload, needs: Needs) -> tuple[Exhibit, dict[str, Any]] | None:
    """The newest sealed exhibit of this recording where it is a part, with its seal's detail; blocks."""
    if needs.details is None:
        return None
    key = upload.key
    # What a dock without the right brought is never mixed into the camera's own, nor the other way round.
    named = needs.shelf.by_recording(key.device, key.recording)
    rows = [row for row in named if row.sealed_at is not None and lies_with(key, row.flags)]
    if not rows or rows[-1].complete or rows[-1].disposed_at is not None:
        return None
    found = needs.details.detail(rows[-1].log_index)
    return None if found is None else (rows[-1], found[0])


def is_same(offer: RecordingOffer, row: Exhibit, detail: dict[str, Any]) -> bool:
    """Whether it is one recording: what both state agrees, and something does; without an offer the name counts."""
    sha256 = detail.get("stated_sha256")
    if offer.checksum and sha256 and offer.checksum.lower() != sha256:
        return False
    bare = offer.size is None and offer.started_at is None and offer.checksum is None
    stated = max([row.size or 0, *(end for _, end in _missing(detail))])
    began = None if row.started_at is None else rfc3339(row.started_at)
    offered = None if offer.started_at is None else rfc3339(offer.started_at)
    agreed = [a == b for a, b in ((offer.size, stated), (offered, began)) if a is not None and b is not None]
    return bare or (bool(agreed) and all(agreed))


def held(size: int, detail: dict[str, Any]) -> Iterator[Range]:
    """What of [0, size) an exhibit sealed in part really holds; zeros stand for the rest."""
    missing = _missing(detail)
    start = 0
    for low, high in missing:
        if start < min(low, size):
            yield start, min(low, size)
        start = max(start, high)
    if start < size and len(missing) < RANGES_TOLD:
        yield start, size


def _missing(detail: dict[str, Any]) -> list[Range]:
    return sorted((int(pair[0]), int(pair[1])) for pair in detail.get("missing", []))
