"""Messages in several parts put together again: texts by user data header, concatenated SDS (EN 300 392-2 29.5).

Sans-IO and bounded: what is not complete in time comes out as far as it came, its gaps marked.
"""

from __future__ import annotations

import msgspec

from drivers.tetra import sds
from drivers.tetra.bits import BitWriter
from drivers.tetra.sds_parts import Part
from gateway.errors import WireError

GAP = "[…]"
MOST_PENDING = 64
"""Security limit: messages under way at once; the oldest gives way."""
MOST_PARTS = 32
"""Security limit: parts of one message; a text of more is nobody's."""
Piece = sds.Text | sds.Fragment
Key = tuple[str, bool, int, int]


class Whole(msgspec.Struct, frozen=True):
    """A message put together; missing counts the parts that never came."""

    caller: str
    message: sds.Sds
    missing: int = 0


class _Pending(msgspec.Struct):
    until_s: float
    pieces: dict[int, Piece]


def part_of(message: sds.Sds) -> Part | None:
    """Which part of a longer message this is; None for one that is whole."""
    part = None
    if isinstance(message, sds.Text) and message.user_header is not None:
        part = message.user_header.part
    elif isinstance(message, sds.Fragment):
        part = message.part
    return part if part is not None and 1 <= part.number <= part.total <= MOST_PARTS else None


class Assembler:
    """Parts in, whole messages out."""

    def __init__(self, patience_s: float = 60.0) -> None:
        self._patience_s = patience_s
        self._pending: dict[Key, _Pending] = {}

    @property
    def pending(self) -> int:
        """Messages of which parts are still to come."""
        return len(self._pending)

    def take(self, caller: str, piece: Piece, now_s: float) -> list[Whole]:
        """Add a part; the messages that are over by it: the whole one, or what had to give way."""
        part = part_of(piece)
        if part is None:
            return [Whole(caller, piece)]
        key = (caller, isinstance(piece, sds.Text), part.reference, part.total)
        over: list[Whole] = []
        known = self._pending.get(key)
        if known is not None and known.pieces.get(part.number, piece) != piece:
            over.append(self._close(key))  # the reference is used anew: the older message ends here
            known = None
        if known is None:
            if len(self._pending) >= MOST_PENDING:
                over.append(self._close(next(iter(self._pending))))
            known = self._pending[key] = _Pending(now_s, {})
        known.pieces[part.number] = piece
        known.until_s = now_s + self._patience_s
        if len(known.pieces) == part.total:
            over.append(self._close(key))
        return over

    def overdue(self, now_s: float) -> list[Whole]:
        """Messages whose next part has not come in time."""
        return [self._close(key) for key, known in list(self._pending.items()) if now_s >= known.until_s]

    def deadline(self) -> float:
        """When `overdue` has something, at the earliest."""
        return min((known.until_s for known in self._pending.values()), default=float("inf"))

    def _close(self, key: Key) -> Whole:
        caller, _, _, total = key
        pieces = self._pending.pop(key).pieces
        in_order = [pieces.get(number) for number in range(1, total + 1)]
        return Whole(caller, _joined(in_order), total - len(pieces))


def _joined(pieces: list[Piece | None]) -> sds.Sds:
    """The parts as one message; WireError never: what cannot be read is kept as bits."""
    first = next(piece for piece in pieces if piece is not None)
    if isinstance(first, sds.Text):
        text = "".join(GAP if piece is None else piece.text for piece in pieces if not isinstance(piece, sds.Fragment))
        return sds.Text(first.pid, first.coding, text, first.header, first.stamp)
    writer = BitWriter()
    for piece in pieces:
        if isinstance(piece, sds.Fragment):
            writer.append(piece.bits)
    bits = writer.bits()
    if first.inner is None or None in pieces:
        return sds.Other(first.pid, bits)
    try:
        return sds.decode_inner(first.inner, first.header, bits)
    except WireError:
        return sds.Other(first.inner, bits)
