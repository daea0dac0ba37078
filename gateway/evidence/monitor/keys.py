"""Whose signature counts on a log's checkpoint: a key that was pinned, or one that the log's rotations lead to from it.

Only what is an entry of the log leads anywhere: a statement beside it says which key to try, and no more.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence

from gateway.errors import VerificationError
from gateway.evidence.verify.notes import Checkpoint, Vkey, claimed_size, open_checkpoint
from gateway.evidence.verify.rotations import Keys, Rotation, parse_chain, parse_rotation

WHERE = "rotation"


class Trusted:
    """The pinned keys, and the rotations that were found in the log, oldest first."""

    def __init__(self, pinned: Sequence[Vkey], chain: Sequence[Rotation] = ()) -> None:
        self._pinned, self.chain = tuple(pinned), tuple(chain)

    @classmethod
    def remembered(cls, pinned: Sequence[Vkey], notes: Sequence[str]) -> Trusted:
        """As an earlier look left it."""
        return cls(pinned, [parse_rotation(note, WHERE) for note in notes])

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be remembered."""
        return tuple(each.note for each in self.chain)

    def at(self, size: int) -> tuple[Vkey, ...]:
        """Whose signature counts at that size: any pinned key's while none was rotated, then one alone.

        An old key that leaks is worth nothing beyond the entries that it handed over, pinned or not.
        """
        keys = {key for each in self.chain for key in (each.old, each.new)}
        if not self.chain or keys.isdisjoint(self._pinned):
            return self._pinned
        return (Keys(self.chain[-1].new, self.chain).at(size),)

    def open(self, raw: bytes) -> Checkpoint:
        """Verify a checkpoint by the key that counts at its size."""
        *others, last = self.at(claimed_size(raw, "checkpoint"))
        for key in others:
            with contextlib.suppress(VerificationError):
                return open_checkpoint(raw, key, "checkpoint")
        return open_checkpoint(raw, last, "checkpoint")

    def followed(self, found: Sequence[Rotation]) -> Trusted:
        """With what the log has more; VerificationError where that hands over from another key than the last."""
        chain = [*self.chain, *found]
        for before, after in itertools.pairwise(chain):
            if before.new != after.old:
                raise VerificationError(WHERE, f"a rotation of {before.new}", f"one of {after.old}")
        return Trusted(self._pinned, chain)

    def hinted(self, raw: bytes | None) -> Trusted:
        """As if all statements were entries that somebody shows: as it is where they do not go on from what is known.

        Each was signed by the key before it. Only good for choosing what to read.
        """
        with contextlib.suppress(VerificationError):
            told = parse_chain(raw or b"", WHERE)
            at = next((at for at, each in enumerate(told) if self.chain and each.note == self.chain[-1].note), -1)
            return self.followed(told[at + 1 :])
        return self
