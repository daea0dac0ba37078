"""The log's side of witnessing: every checkpoint offered to every witness, cosignatures gathered to a quorum.

It never holds back the log. One checkpoint at a time is the target, so that busy witnesses sign the same one;
the next is taken up a second later at the earliest, when the quorum is met or nobody is being asked any more.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import structlog

from gateway.crypto.cosignatures import with_cosignatures
from gateway.errors import IntegrityError
from gateway.evidence.log.checkpoint import Checkpoint
from gateway.evidence.log.disk import Disk
from gateway.evidence.log.known_keys import KnownKeys
from gateway.evidence.log.reader import TileReader
from gateway.evidence.log.witnessed import Cosigned, Halt, halt, keep_cosigned, read_cosigned
from gateway.evidence.witness_seat import Asking, Outcome, Seat, Target
from gateway.ports import Clock

POLL_S = 0.2
ROUND_S = 1.0
SERVE_PATIENCE_S = 10.0
SHORT_AFTER_S = 30.0
_log = structlog.get_logger()
_SYSTEM = random.SystemRandom()


class Quorum(msgspec.Struct, frozen=True):
    """How many operators other than the log's own have to cosign."""

    operator: str
    least: int

    def met(self, seats: Iterable[Seat]) -> bool:
        """Whether these witnesses are enough; several of one operator count once, the log's own not at all."""
        others = {seat.operator for seat in seats} - {self.operator}
        return len(others) >= max(self.least, 1) or (self.least == 0 and bool(list(seats)))


class Witnesses:
    """The witnesses of one log directory. `run` serves until cancelled; everything else answers at once."""

    def __init__(
        self,
        log: Path,
        known: KnownKeys,
        seats: Sequence[Seat],
        quorum: Quorum,
        clock: Clock,
        jitter: Callable[[], float] = _SYSTEM.random,
    ) -> None:
        self.log, self.known, self.seats, self.quorum = log, known, tuple(seats), quorum
        self.problem: str | None = None
        self.cosigned: Cosigned | None = None
        self._disk, self._clock = Disk(), clock
        self._tiles = TileReader(log)
        self._asking = Asking(known, self._tiles, self._head, jitter)
        self._target: Target | None = None
        self._gathered: dict[str, str] = {}
        self._keeping = asyncio.Lock()
        self._aimed_s = float("-inf")
        self._behind_since_s: float | None = None
        self._short = False
        self._served = 0

    async def open(self, patience_s: float) -> None:
        """Ask every witness what it saw last, before anything is signed.

        IntegrityError where the log is smaller than that, or another one. A witness that does not answer is left
        for later: it delays exports, not ingest.
        """
        await asyncio.to_thread(self._recall)
        await self._aim()
        try:
            async with asyncio.timeout(patience_s), asyncio.TaskGroup() as group:
                for seat in self.seats:
                    group.create_task(self._offer(seat))
        except TimeoutError:
            pass
        unasked = [seat.name for seat in self.seats if seat.state in ("down", "new")]
        if unasked:
            _log.warning("witness_unasked", witnesses=unasked, log=self.known.current.name)
        doubted = [seat for seat in self.seats if seat.state == "contradicted"]
        if doubted:
            raise IntegrityError(f"witness {doubted[0].name}: {doubted[0].problem}")

    async def run(self) -> None:
        """Offer each checkpoint to each witness until cancelled."""
        async with asyncio.TaskGroup() as group:
            for seat in self.seats:
                group.create_task(self._attend(seat))
            while True:
                try:
                    await self._aim()
                    await self._keep_again()
                except (OSError, IntegrityError) as problem:
                    _log.error("witness_round_failed", problem=str(problem))
                self._watch_quorum()
                await asyncio.sleep(POLL_S)

    async def wait_cosigned(self, index: int, patience_s: float | None = None) -> Cosigned:
        """The newest quorum checkpoint that covers an entry, waiting for it; TimeoutError when patience ends.

        Where no quorum is asked for it is the newest checkpoint, with what cosignatures it has.
        """
        async with asyncio.timeout(patience_s):
            while True:
                if self.quorum.least == 0:
                    head = await asyncio.to_thread(self._head)
                    if head.size > index:
                        return Cosigned(self.published(head.note), head.checkpoint)
                elif self.cosigned is not None and self.cosigned.size > index:
                    return self.cosigned
                await asyncio.sleep(POLL_S)

    def published(self, note: str) -> str:
        """What to answer whoever asks for the checkpoint, given the newest.

        Clients that want cosignatures are served by the newest checkpoint that has its quorum, as long as
        the newest of all has not waited too long for its own; and never by a smaller one than before.
        """
        cosigned = self.cosigned
        since_s = self._behind_since_s
        waiting = since_s is not None and self._clock.now().mono_s - since_s < SERVE_PATIENCE_S
        if cosigned is not None and (cosigned.note.startswith(note) or (waiting and cosigned.size >= self._served)):
            self._served = max(self._served, cosigned.size)
            return cosigned.note
        self._served = max(self._served, int(note.split("\n")[1]))
        if self._target is not None and self._target.note == note:
            return with_cosignatures(note, self._gathered.values())
        return note

    def health(self) -> str:
        """`ok`, or `degraded` while the quorum is short or a witness refuses."""
        refused = any(seat.state in ("refused", "contradicted") for seat in self.seats)
        return "degraded" if self._short or refused or self.problem else "ok"

    def counts(self) -> dict[str, int]:
        """Figures for the metrics."""
        size = self._target.size if self._target is not None else 0
        met = self.cosigned.size if self.cosigned is not None else 0
        figures = {"quorum_size": met, "quorum_lag": max(0, size - met), "quorum_short": int(self._short)}
        for seat in self.seats:
            figures |= {f"{seat.name}_up": int(seat.state == "ok"), f"{seat.name}_size": seat.size or 0}
            figures |= {f"{seat.name}_{name}": number for name, number in seat.counts.items()}
        return figures

    def _recall(self) -> None:
        """What was kept: a tree below what met the quorum was rolled back, without anybody being asked."""
        self.cosigned = read_cosigned(self.log, self.known.current)
        head = self._head()
        if self.cosigned is not None and self.cosigned.size > head.size:
            problem = f"the log has {head.size} entries, {self.log / 'cosigned'} is of {self.cosigned.size}"
            halt(self.log, Halt(problem, "", self.cosigned.note), self._disk)
            raise IntegrityError(problem)

    def _head(self) -> Target:
        """The newest checkpoint on disk, whichever process wrote it."""
        raw = (self.log / "checkpoint").read_bytes()
        try:
            return Target(raw.decode(), self.known.open(raw))
        except ValueError as problem:
            raise IntegrityError(f"{self.log / 'checkpoint'}: {problem}") from problem

    async def _aim(self) -> None:
        """Take up the newest checkpoint where it is time for another."""
        head = await asyncio.to_thread(self._head)
        now_s = self._clock.now().mono_s
        covered = self.cosigned is not None and self.cosigned.size >= head.size
        if covered or head.size == 0:
            self._behind_since_s = None
        elif self._behind_since_s is None:
            self._behind_since_s = now_s
        if self._target is not None and (head.note == self._target.note or not self._may_move(now_s)):
            return
        self._target, self._gathered, self._aimed_s = head, {}, now_s

    def _may_move(self, now_s: float) -> bool:
        asked = any(seat.busy for seat in self.seats)
        return now_s - self._aimed_s >= ROUND_S and (not asked or self._is_met())

    def _is_met(self) -> bool:
        return self.quorum.met([seat for seat in self.seats if seat.name in self._gathered])

    async def _attend(self, seat: Seat) -> None:
        while True:
            due = self._clock.now().mono_s >= seat.retry_at_s
            if due and self._target is not None and self._target.size and self._target.note != seat.done:
                await self._offer(seat)
            await asyncio.sleep(POLL_S)

    async def _offer(self, seat: Seat) -> None:
        target = self._target
        assert target is not None
        outcome = await self._asking.offer(seat, target, self._clock.now().mono_s)
        if outcome.line:
            await self._take(seat, target, outcome.line)
        if outcome.halt is not None:
            await self._contradicted(outcome)

    async def _take(self, seat: Seat, target: Target, line: str) -> None:
        async with self._keeping:
            if self._target is not None and target.note == self._target.note:
                self._gathered[seat.name] = line
                if self._is_met():
                    await self._keep(with_cosignatures(target.note, self._gathered.values()), target.checkpoint)
            elif self.cosigned is not None and self.cosigned.note.startswith(target.note):
                await self._keep(with_cosignatures(self.cosigned.note, [line]), target.checkpoint)

    async def _keep(self, note: str, head: Checkpoint) -> None:
        """Durable first, then said; a disk that refuses is asked again with the next cosignature."""
        if self.cosigned is not None and (self.cosigned.size > head.size or self.cosigned.note == note):
            return
        try:
            await asyncio.to_thread(keep_cosigned, self.log, note, self._disk)
        except OSError as problem:
            _log.error("cosignatures_not_kept", problem=str(problem))
            return
        self.cosigned = Cosigned(note, head)

    async def _keep_again(self) -> None:
        """What met the quorum while the disk refused: nobody will be asked about that checkpoint again."""
        async with self._keeping:
            target = self._target
            if target is not None and self._is_met() and (self.cosigned is None or self.cosigned.size < target.size):
                await self._keep(with_cosignatures(target.note, self._gathered.values()), target.checkpoint)

    async def _contradicted(self, outcome: Outcome) -> None:
        """The log signed something that this one is no extension of: it must not sign again.

        A witness that shows no checkpoint of ours could stop us by its word alone: while running that is an alarm.
        """
        assert outcome.halt is not None
        why = outcome.halt
        _log.critical("log_contradicted", problem=why.problem, witness=why.witness, proven=bool(why.checkpoint))
        if why.checkpoint:
            self.problem = why.problem
            await self._halt(why)

    async def _halt(self, why: Halt) -> None:
        async with self._keeping:
            try:
                await asyncio.to_thread(halt, self.log, why, self._disk)
            except OSError as problem:
                _log.critical("halt_not_kept", problem=str(problem))  # the next conversation tries again

    def _watch_quorum(self) -> None:
        since_s = self._behind_since_s
        short = self.quorum.least > 0 and since_s is not None and self._clock.now().mono_s - since_s > SHORT_AFTER_S
        if short != self._short:
            self._short = short
            size = self.cosigned.size if self.cosigned is not None else 0
            say = _log.error if short else _log.info
            say("witness_quorum_short" if short else "witness_quorum_met", cosigned=size, quorum=self.quorum.least)
