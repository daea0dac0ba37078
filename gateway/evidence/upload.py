"""One recording on its way in, as the event loop sees it, and what makes two offers one recording."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from gateway.crypto.canonical import canonical
from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Segment, UploadState
from gateway.domain.ids import ExhibitId
from gateway.domain.time import Instant, rfc3339
from gateway.errors import MisuseError, SegmentError, StoreBusyError
from gateway.evidence.needs import Shelf
from gateway.evidence.rows import Exhibit
from gateway.evidence.speaking import DISPOSED_BEFORE
from gateway.evidence.vault.assembly import Ending, Intent, intent_of
from gateway.evidence.vault.ranges import Ranges
from gateway.evidence.vault.staging import Staged

COUNTED = (
    *("segments", "octets", "sealed", "incomplete", "offered_again", "offered_disposed"),
    *("recovered", "unreadable", "busy"),
)
SEGMENT_CAP = 4 * 1024 * 1024
RECORDING_CAP = 1 << 40
DETAIL_PART_CAP = 256 * 1024
"""At most this much of user data, or of a device manifest, goes into a custody detail."""
ISLANDS_MAX = 4096
"""Pieces of a recording with gaps between them: with more, what fills a gap is taken first."""
NESTING_MAX = 32
"""User data in user data: deeper, and whoever reads the detail may run out of stack, at the next start for one."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(eq=False)
class Upload:
    """An open upload: its offer as last stated, its files, how far its seal has got."""

    key: RecordingKey
    exhibit: ExhibitId
    offer: RecordingOffer
    staged: Staged
    size: int | None
    heard: Instant
    received: bool = False
    owing: bool = False
    """Bytes of the part it goes on from are still to be copied: nothing is told of it before they are."""
    sealing: bool = False
    intent: Intent | None = None
    told: tuple[Ranges, UploadState] | None = None

    def state(self, window_bytes: int, reason: str = "success") -> UploadState:
        """What is durable and what is missing; drawn up once a batch, however many segments ask."""
        durable = self.staged.durable
        if self.told is None or self.told[0] is not durable or self.told[1].size != self.size:
            end = durable.end if self.size is None else self.size
            drawn = UploadState(self.key, self.size, durable.pairs, tuple(durable.gaps(0, end)), window_bytes)
            self.told = durable, drawn
        return msgspec.structs.replace(self.told[1], window_bytes=window_bytes, reason=reason)

    def progress(self) -> dict[str, object]:
        """How far it has got, for a person to look at."""
        octets = sum(end - start for start, end in self.staged.durable.pairs)
        named = {"device": self.key.device, "recording": self.key.recording, "exhibit": self.exhibit}
        apart = {} if self.key.via is None else {"via": self.key.via}
        return {**named, **apart, "size": self.size, "durable": octets}


def exhibit_id(at: datetime) -> ExhibitId:
    """A new exhibit's id: `X-`, seven letters of time in seconds, five at random (Crockford base32)."""
    number = (int(at.timestamp()) << 25 | secrets.randbits(25)) & ((1 << 60) - 1)
    return ExhibitId("X-" + "".join(_CROCKFORD[number >> shift & 31] for shift in range(55, -1, -5)))


def check_segment(segment: Segment) -> None:
    """Refuse a segment that can't be of any recording; SegmentError names why."""
    if len(segment.content) > SEGMENT_CAP:
        raise SegmentError("segment_too_large")
    if not 0 <= segment.offset <= RECORDING_CAP - len(segment.content):
        raise SegmentError("bad_offset")


def check_gaps(durable: Ranges, segment: Segment) -> None:
    """StoreBusyError for one more island where there are too many: every answer costs the event loop all of them."""
    start, end = segment.offset, segment.offset + len(segment.content)
    if len(durable) >= ISLANDS_MAX and not durable.within(start - 1, end + 1):
        raise StoreBusyError("too_many_gaps", retry_after_s=1)


def check_size(size: int | None) -> None:
    """Refuse a size that no recording has."""
    if size is not None and not 0 <= size <= RECORDING_CAP:
        raise SegmentError("bad_size")


def check_digest(segment: Segment) -> None:
    """Refuse a segment whose bytes are not those that the camera hashed."""
    if segment.sha256 is not None and hashlib.sha256(segment.content).hexdigest() != segment.sha256.lower():
        raise SegmentError("checksum_mismatch")


def storable(offer: RecordingOffer) -> RecordingOffer:
    """The offer with user data that canonical JSON can say and a detail can hold; a stand-in says what was not."""
    if _deeper_than(NESTING_MAX, offer.user_data):
        return msgspec.structs.replace(offer, user_data=_stand_in("nested too deeply", b""))
    try:
        printed = canonical(offer.user_data)
    except MisuseError:
        printed = json.dumps(offer.user_data, default=str).encode("utf-8", "replace")
        return msgspec.structs.replace(offer, user_data=_stand_in("not canonical JSON", printed))
    if len(printed) > DETAIL_PART_CAP:
        return msgspec.structs.replace(offer, user_data=_stand_in("too long", printed))
    return offer


def _deeper_than(most: int, value: object) -> bool:
    """Whether objects and arrays lie in one another more than so many times; never recurses."""
    level = [value]
    for _ in range(most):
        level = [inner for outer in level for inner in _within(outer) if isinstance(inner, dict | list | tuple)]
        if not level:
            return False
    return True


def _within(outer: object) -> Iterable[object]:
    if isinstance(outer, dict):
        return outer.values()
    return outer if isinstance(outer, list | tuple) else ()


def _stand_in(problem: str, printed: bytes) -> dict[str, Any]:
    return {"lapel:omitted": problem, "octets": len(printed), "sha256": hashlib.sha256(printed).hexdigest()}


def written(offer: RecordingOffer) -> dict[str, Any]:
    """The offer as an `offer` note has it."""
    words: dict[str, Any] = msgspec.to_builtins(offer)
    return words


def read_offer(words: dict[str, Any]) -> RecordingOffer:
    """The offer of an `offer` note."""
    return msgspec.convert(words, RecordingOffer)


def recovered(staged: Staged, heard: datetime, now: Instant) -> Upload:
    """An upload of an earlier process, last heard of then."""
    offer = read_offer(staged.notes.offer)
    ago_s = max(0.0, (now.utc - heard).total_seconds())
    upload = Upload(offer.key, staged.exhibit, offer, staged, offer.size, Instant(now.mono_s - ago_s, heard))
    upload.intent = intent_of(staged)
    upload.sealing = upload.intent is not None
    upload.owing = staged.notes.part is not None and not upload.sealing
    return upload


def merged(old: RecordingOffer, new: RecordingOffer) -> RecordingOffer:
    """What is known of a recording offered again: the later word, where it says anything."""
    said = {
        name: value
        for name in ("size", "checksum", "content_type", "started_at", "ended_at", "user_data", "via", "receipt")
        if (value := getattr(new, name))
    }
    return msgspec.structs.replace(old, name=new.name, **said)


def contradicts(old: RecordingOffer, new: RecordingOffer) -> bool:
    """Whether two offers of one id can't be one recording: what both state differs."""
    pairs = [(_lower(old.checksum), _lower(new.checksum)), (old.size, new.size), (_at(old), _at(new))]
    return any(a is not None and b is not None and a != b for a, b in pairs)


def is_sealed_as(offer: RecordingOffer, row: Exhibit) -> bool:
    """Whether what is offered is that sealed exhibit: by checksum, else by size, else by its beginning."""
    if not row.complete:
        return False
    if offer.checksum is not None:
        return offer.checksum.lower() == row.sha256
    began = None if row.started_at is None else rfc3339(row.started_at)
    if offer.size is not None:
        return offer.size == row.size and (None in (_at(offer), began) or _at(offer) == began)
    return began is not None and _at(offer) == began


def flags_after(rows: list[Exhibit]) -> tuple[str, ...]:
    """What is odd about a new exhibit for an id that has sealed ones."""
    if not rows:
        return ()
    gone = (DISPOSED_BEFORE,) if any(row.gone for row in rows) else ()
    return (("recording_id_reused",) if rows[-1].complete else ("late_segments",)) + gone


def forgotten_of(shelf: Shelf, sha256: str | None) -> list[Exhibit]:
    """Exhibits with this content whose details were erased: they no longer say of which recording they were. Blocks.

    (What was imported has no recording either, but says so by its flag for as long as its details are kept.)
    """
    rows = () if sha256 is None else shelf.disposed_with(sha256.lower())
    return [row for row in rows if row.complete and row.recording is None and not row.flags]


def ending_of(upload: Upload, fin: RecordingFin) -> Ending:
    """How an upload ends that the camera calls whole, and what is odd about that."""
    stated = tuple(text for text in (fin.sha256, upload.offer.checksum) if text is not None)
    differs = upload.offer.size not in (None, fin.size) or upload.staged.durable.end > fin.size
    flags = ["size_differs"] if differs else []
    manifest = base64.b64encode(fin.manifest).decode() if fin.manifest else None
    if manifest is not None and len(manifest) > DETAIL_PART_CAP:
        manifest = None
        flags.append("manifest_too_large")
    return Ending(fin.size, stated, tuple(flags), manifest)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _at(offer: RecordingOffer) -> str | None:
    return None if offer.started_at is None else rfc3339(offer.started_at)
