"""A recording that goes on after what had come of it was sealed: what was called durable is never asked for again.

Which exhibit is taken over is noted with the new upload's offer, durable before a byte is copied. Until the copy is
whole, after a crash or on a full disk, nobody is told anything of that upload: whoever asks goes on with the copy.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import structlog

from gateway.domain.evidence import Range, RecordingOffer
from gateway.domain.ids import ExhibitId
from gateway.domain.time import rfc3339
from gateway.errors import EvidenceError, StoreBusyError
from gateway.evidence.needs import Needs
from gateway.evidence.rows import Exhibit
from gateway.evidence.settling import RESTRICTING
from gateway.evidence.shares import payer
from gateway.evidence.speaking import lies_with
from gateway.evidence.upload import Upload
from gateway.evidence.vault.committer import Committer, busy
from gateway.evidence.vault.reading import Reader

RANGES_TOLD = 1000
"""A seal's detail names so many missing ranges: what lies behind the last of them it can't vouch for."""
UNREADABLE = (errno.ENOENT, errno.EIO)
"""What a disk says of a blob that it has no more: it will not say otherwise later."""
_log = structlog.get_logger()


class Part(msgspec.Struct, frozen=True):
    """What a sealed exhibit really holds of a recording, and what of its flags holds for the whole as well."""

    exhibit: ExhibitId | None = None
    ranges: tuple[Range, ...] = ()
    flags: tuple[str, ...] = ()

    @property
    def octets(self) -> int:
        """How many bytes taking it over copies."""
        return sum(end - start for start, end in self.ranges)


def part_of(offer: RecordingOffer, needs: Needs) -> Part:
    """What is to be taken over: the newest sealed exhibit of this recording, where that is a part. Blocks."""
    key = offer.key
    # What a dock without the right brought is never mixed into the camera's own, nor the other way round.
    named = needs.shelf.by_recording(key.device, key.recording)
    rows = [row for row in named if row.sealed_at is not None and lies_with(key, row.flags)]
    if not rows or rows[-1].complete or rows[-1].gone:
        return Part()
    detail = _detail(rows[-1], needs)
    if detail is None or not is_same(offer, rows[-1], detail):
        return Part()
    return _part(rows[-1], detail)


async def take_over(upload: Upload | None, needs: Needs, reader: Reader, committer: Committer) -> Upload | None:
    """Copy into an upload what is not there yet of the part noted; where the disk refuses, whoever asks next goes on.

    A part that can't be read is said and left out: the footage that comes now is kept all the same.
    """
    if upload is None or not upload.owing:
        return upload
    noted = ExhibitId(upload.staged.notes.part or "")
    part = await asyncio.to_thread(_noted, noted, needs)
    try:
        for span in part.ranges:
            for lacking in upload.staged.durable.gaps(*span):
                await _copy(upload, noted, lacking, reader, committer)
    except StoreBusyError:
        raise
    except (EvidenceError, OSError) as wrong:
        if isinstance(wrong, OSError) and wrong.errno not in UNREADABLE:
            raise busy(wrong) from wrong
        _log.error("part_not_taken_over", exhibit=noted, into=upload.exhibit, problem=str(wrong))
    upload.owing = False
    return upload


async def _copy(upload: Upload, part: ExhibitId, span: Range, reader: Reader, committer: Committer) -> None:
    offset = span[0]
    async for piece in reader.stream(part, *span):
        keep = partial(upload.staged.keep, offset, piece)
        await committer.submit(upload.staged, keep, lambda: None, len(piece), payer(upload.key))
        offset += len(piece)


def _noted(exhibit: ExhibitId, needs: Needs) -> Part:
    """The part that the upload's notes name; nothing where its detail is gone."""
    row = needs.shelf.exhibit(exhibit)
    detail = None if row is None else _detail(row, needs)
    return Part() if row is None or detail is None else _part(row, detail)


def _detail(row: Exhibit, needs: Needs) -> dict[str, Any] | None:
    found = None if needs.details is None else needs.details.detail(row.log_index)
    return None if found is None else found[0]


def _part(row: Exhibit, detail: dict[str, Any]) -> Part:
    flags = tuple(flag for flag in row.flags if flag in RESTRICTING)
    return Part(ExhibitId(row.id), tuple(held(row.size or 0, detail)), flags)


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
