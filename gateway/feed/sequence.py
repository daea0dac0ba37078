"""Epoch and sequence: every record's number rises, over restarts too, for as long as the urgent log is whole."""

from __future__ import annotations

import secrets

import msgspec

BLOCK = 1_000_000
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """mark.json: the next sequence number not yet reserved; ended: all that was told under it is on disk."""

    v: int
    epoch: str
    mark: int
    ended: bool = False


def new_epoch() -> str:
    """A name that no earlier stream had: 50 random bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


class Sequence:
    """Counts through reserved blocks. Numbers are never awaited and never used twice in an epoch."""

    def __init__(self, epoch: str, first: int, limit: int, *, on_disk: bool) -> None:
        self.epoch, self.last, self.limit = epoch, first - 1, limit
        self.on_disk = on_disk

    def next(self) -> int:
        """The next number. Where no block could be reserved in time, a new epoch begins: no number is used twice."""
        self.last += 1
        if self.last >= self.limit:
            self.epoch, self.limit, self.on_disk = new_epoch(), self.limit + BLOCK, False
        return self.last

    def wanted(self) -> Mark | None:
        """The mark to write now, while half a block is still in hand; None while there is enough."""
        if not self.on_disk:
            return Mark(1, self.epoch, self.limit)
        return Mark(1, self.epoch, self.limit + BLOCK) if self.limit - self.last < BLOCK // 2 else None

    def reserved(self, mark: Mark) -> None:
        """That mark is on disk."""
        if mark.epoch == self.epoch:
            self.limit, self.on_disk = max(self.limit, mark.mark), True
