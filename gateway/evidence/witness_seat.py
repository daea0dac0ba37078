"""One witness as the log sees it, and one conversation with it over a checkpoint (c2sp.org/tlog-witness)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import msgspec
import structlog

from gateway.crypto.cosignatures import WitnessKey, cosignature_line
from gateway.domain.backoff import Backoff
from gateway.errors import IntegrityError, LinkError
from gateway.evidence.log.add_checkpoint import log_id, print_submission, size_of
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.known_keys import KnownKeys
from gateway.evidence.log.merkle import EMPTY_ROOT, consistency_proof, root
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.rotation import carried
from gateway.evidence.log.witnessed import Halt
from gateway.ports import WitnessAnswer, WitnessDoor

TRIES = 3
UNKNOWN_KEY = 403
FIRST_S, CAP_S = 1.0, 60.0
WORDS_MAX = 200
State = Literal["new", "ok", "down", "refused", "contradicted"]
_log = structlog.get_logger()


class Target(msgspec.Struct, frozen=True):
    """A checkpoint to be cosigned: the signed note, and what it says."""

    note: str
    checkpoint: Checkpoint

    @property
    def size(self) -> int:
        """How many entries it covers."""
        return self.checkpoint.size


class Seat(msgspec.Struct, eq=False):
    """A configured witness, and how it stands."""

    name: str
    operator: str
    key: WitnessKey
    door: WitnessDoor
    state: State = "new"
    size: int | None = None
    done: str = ""
    busy: bool = False
    retry_at_s: float = float("-inf")
    problem: str = ""
    backoff: Backoff = msgspec.field(default_factory=lambda: Backoff(FIRST_S, CAP_S))
    counts: dict[str, int] = msgspec.field(default_factory=lambda: {"cosigned": 0, "failed": 0, "refused": 0})


class Outcome(msgspec.Struct, frozen=True):
    """What one conversation brought: a cosignature line, or a reason to halt the log."""

    line: str = ""
    halt: Halt | None = None


class _RefusedError(Exception):
    """The witness says no."""


class Asking:
    """Asks witnesses for cosignatures, from one log's tiles."""

    def __init__(
        self, known: KnownKeys, tiles: TileReader, head: Callable[[], Target], jitter: Callable[[], float]
    ) -> None:
        self._known, self._tiles, self._head, self._jitter = known, tiles, head, jitter

    async def offer(self, seat: Seat, target: Target, now_s: float) -> Outcome:
        """One conversation; the seat's state, size and next moment are up to date afterwards."""
        seat.busy = True
        try:
            outcome = await self._asked(seat, target)
        except LinkError as problem:
            self._failed(seat, "down", str(problem), now_s)
            return Outcome()
        except (_RefusedError, ValueError, IntegrityError, OSError) as problem:
            self._failed(seat, "refused", str(problem), now_s)
            return Outcome()
        finally:
            seat.busy = False
        if outcome.halt is not None:
            self._failed(seat, "contradicted", outcome.halt.problem, now_s)
        elif outcome.line:
            self._cosigned(seat, target)
        return outcome

    def _cosigned(self, seat: Seat, target: Target) -> None:
        if seat.state not in ("new", "ok"):
            _log.info("witness_back", witness=seat.name, operator=seat.operator, size=target.size)
        seat.state, seat.problem, seat.size, seat.done = "ok", "", target.size, target.note
        seat.backoff, seat.retry_at_s = Backoff(FIRST_S, CAP_S), float("-inf")
        seat.counts["cosigned"] += 1

    def _failed(self, seat: Seat, state: State, problem: str, now_s: float) -> None:
        """Said when it begins or changes its kind, not at every try."""
        if seat.state != state:
            say = _log.warning if state == "down" else _log.error
            say(f"witness_{state}", witness=seat.name, operator=seat.operator, problem=problem)
        seat.state, seat.problem = state, problem
        seat.retry_at_s = now_s + seat.backoff.next_s(0.0, self._jitter())
        seat.counts["failed" if state == "down" else "refused"] += 1

    async def _asked(self, seat: Seat, target: Target) -> Outcome:
        old, told = (seat.size if seat.size is not None and seat.size <= target.size else 0), ""
        for _ in range(TRIES):
            path = await asyncio.to_thread(self._path, old, target.size)
            answer = await seat.door.add_checkpoint(print_submission(old, path, target.note + told))
            if answer.status == UNKNOWN_KEY and not told and self._known.notes:
                told = carried(self._known.notes)  # it has not heard yet that our key was rotated
                continue
            if answer.status == 200:
                return Outcome(line=cosignature_line(answer.body, target.note, seat.key))
            if answer.status != 409:
                return await self._refused(seat, answer)
            said = size_of(answer.body.decode("ascii").removesuffix("\n"))
            if said > target.size or said == old:
                return await self._conflict(seat, target, said)
            if seat.size is not None and said < seat.size:
                # Whoever forgot what they cosigned would cosign a fork of it: until somebody looks into it, no.
                raise _RefusedError(f"it forgot: it cosigned {seat.size} entries and knows of {said}")
            old = seat.size = said
        raise _RefusedError(f"it said another size {TRIES} times")

    def _path(self, old: int, new: int) -> list[bytes]:
        return consistency_proof(old, new, self._tiles.node(new)) if old > 0 else []

    async def _refused(self, seat: Seat, answer: WitnessAnswer) -> Outcome:
        """No, whatever the size: an unknown log or key, a proof that fails for it, or a server in trouble."""
        words = answer.body[:WORDS_MAX].decode("utf-8", "replace").strip()
        said = f"HTTP {answer.status} {words}"
        if answer.status >= 500:
            raise LinkError(said)
        if answer.status in (UNKNOWN_KEY, 422):
            why = await self._proven(seat)
            if why is not None:
                return Outcome(halt=why)
        raise _RefusedError(said)

    async def _conflict(self, seat: Seat, target: Target, said: int) -> Outcome:
        """A size above the one offered, or another root at the same: find out whether this log is wrong."""
        head = await asyncio.to_thread(self._head)
        if target.size < said <= head.size:
            seat.size = said  # it has seen a newer one of ours meanwhile
            raise LinkError("it has a newer checkpoint already")
        why = await self._proven(seat)
        if why is None and said > head.size:
            problem = f"says that it saw {said} entries of this log, which has {head.size}; it shows no checkpoint"
            why = Halt(problem, seat.name, "")
        if why is None:
            raise _RefusedError(f"it has another tree of {said} entries")
        return Outcome(halt=why)

    async def _proven(self, seat: Seat) -> Halt | None:
        """The checkpoint that the witness saw, where our own signature on it contradicts this log."""
        raw = await seat.door.latest(log_id(self._known.current.name))
        if raw is None:
            return None
        seen, _ = await asyncio.to_thread(self._known.shown, raw)
        head = await asyncio.to_thread(self._head)
        if seen.size > head.size:
            problem = f"this log was signed at {seen.size} entries and has {head.size}: it was rolled back"
        elif await asyncio.to_thread(self._root, seen.size) != seen.root:
            problem = f"this log was signed with another root at {seen.size} entries: it was forked"
        else:
            return None
        return Halt(problem, seat.name, raw.decode())

    def _root(self, size: int) -> bytes:
        return root(size, self._tiles.node(self._head().size)) if size else EMPTY_ROOT
