"""One batch of journalled frames as it lies in its file (docs/formats.md, "journal"): pure.

What has to outlive a frame (to whom it belongs by an opaque slot, its leaf) stands apart from what can be erased.
"""

from __future__ import annotations

import hashlib
from binascii import crc32
from collections.abc import Sequence
from itertools import accumulate
from struct import pack as packed
from struct import unpack as unpacked

import msgspec

MAGIC = b"LAPELJRN2\n"
RUN_BYTES = 8
FILE_HEAD = len(MAGIC) + RUN_BYTES + 4
SLOT_BYTES = 8
HASH_BYTES = 32
BATCH_HEAD = 4 + 4 + 32
FRAME_HEAD = 1 + SLOT_BYTES + 4 + HASH_BYTES + 4
KEPT, ERASED = ord("F"), ord("E")
FRAMES_MAX = 1 << 20


class Frozen(msgspec.Struct, frozen=True):
    """One frame ready to be written: whose (slot), its leaf hash, its row sealed."""

    slot: bytes
    leaf: bytes
    sealed: bytes


class Heads(msgspec.Struct, frozen=True):
    """The beginning of a batch: everything but the sealed rows, which lie from `start` on."""

    offset: int
    flags: bytes
    slots: bytes
    lengths: tuple[int, ...]
    leaves: bytes
    sums: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many frames."""
        return len(self.lengths)

    @property
    def start(self) -> int:
        """Where the first sealed row lies in the file."""
        return self.offset + heads_size(self.count)

    @property
    def end(self) -> int:
        """Where the next batch begins."""
        return self.start + sum(self.lengths)

    def slot(self, place: int) -> bytes:
        """Whose frame this is."""
        return self.slots[place * SLOT_BYTES : (place + 1) * SLOT_BYTES]

    def leaf(self, place: int) -> bytes:
        """The leaf hash of a frame."""
        return self.leaves[place * HASH_BYTES : (place + 1) * HASH_BYTES]

    def places(self) -> list[int]:
        """Where each sealed row begins in the file."""
        return list(accumulate(self.lengths[:-1], initial=self.start))

    def flag_at(self, place: int) -> int:
        """Where the flag of a frame lies in the file."""
        return self.offset + BATCH_HEAD + place


def pack(frames: Sequence[Frozen]) -> bytes:
    """Print a batch: length, count, digest of the columns, flags, columns, sealed rows."""
    sealed = b"".join([each.sealed for each in frames])
    count = packed(">I", len(frames))
    columns = b"".join(
        (
            b"".join([each.slot for each in frames]),
            packed(f">{len(frames)}I", *[len(each.sealed) for each in frames]),
            b"".join([each.leaf for each in frames]),
            packed(f">{len(frames)}I", *[crc32(each.sealed) for each in frames]),
        )
    )
    digest = hashlib.sha256(count + columns).digest()
    length = packed(">I", len(columns) + len(frames) + len(sealed) + BATCH_HEAD - 4)
    return b"".join((length, count, digest, bytes([KEPT]) * len(frames), columns, sealed))


def heads_size(count: int) -> int:
    """Bytes of a batch before its first sealed row."""
    return BATCH_HEAD + count * FRAME_HEAD


def frames_in(head: bytes) -> int | None:
    """How many frames a batch says it has, from its first bytes; None where these can't begin a batch."""
    if len(head) < BATCH_HEAD:
        return None
    length, count = unpacked(">II", head[:8])
    return count if 0 < count <= FRAMES_MAX and length >= heads_size(count) - 4 else None


def parse_heads(offset: int, raw: bytes) -> Heads | None:
    """Read the beginning of a batch; None where it is not what was written."""
    count = frames_in(raw)
    if count is None or len(raw) != heads_size(count):
        return None
    at = BATCH_HEAD + count
    if hashlib.sha256(raw[4:8] + raw[at:]).digest() != raw[8:BATCH_HEAD]:
        return None
    slots = raw[at : (at := at + SLOT_BYTES * count)]
    lengths = unpacked(f">{count}I", raw[at : (at := at + 4 * count)])
    leaves = raw[at : (at := at + HASH_BYTES * count)]
    heads = Heads(
        offset, raw[BATCH_HEAD : BATCH_HEAD + count], slots, lengths, leaves, unpacked(f">{count}I", raw[at:])
    )
    return heads if heads.end - offset - 4 == int.from_bytes(raw[:4], "big") else None


def whole(heads: Heads, sealed: bytes) -> bool:
    """Whether every sealed row that was not erased came to the disk as it was written."""
    at = 0
    for flag, length, total in zip(heads.flags, heads.lengths, heads.sums, strict=True):
        if flag == KEPT and crc32(sealed[at : at + length]) != total:
            return False
        at += length
    return len(sealed) == at
