"""Group commit: one thread takes what is queued, writes it, syncs each touched file once, then answers all.

What each camera may put into one batch, and into the queue, is bounded: however much one sends, and in however small
pieces, the others are in the very next batch.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import GatewayError, StoreBusyError
from gateway.evidence.vault.staging import Staged


@dataclass(eq=False)
class _Job:
    """One thing to do to one upload; answer is asked once it is durable."""

    target: Staged
    apply: Callable[[], None]
    answer: Callable[[], Any]
    octets: int
    done: asyncio.Future[Any]
    lane: _Lane
    error: Exception | None = None


LANE_JOBS = 64
LANE_OCTETS = 8 * 1024 * 1024
"""What one camera may put into one batch: the window of one recording, or so many pieces."""


@dataclass(eq=False)
class _Lane:
    """One camera's queue; turn keeps those that wait for room in the order in which they came."""

    queue: deque[_Job] = field(default_factory=deque)
    octets: int = 0
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def slice(self) -> list[_Job]:
        """Take what goes into one batch."""
        taken: list[_Job] = []
        octets = 0
        while self.queue and len(taken) < LANE_JOBS and octets < LANE_OCTETS:
            taken.append(self.queue.popleft())
            octets += taken[-1].octets
        return taken


class Committer:
    """The one writer of staging. Its queue is bounded by bytes: who comes when it is full waits, in turn."""

    def __init__(self, cap_octets: int) -> None:
        """State how many bytes may be queued; one camera may queue half of them."""
        self._cap = cap_octets
        self._lanes: dict[str, _Lane] = {}
        self._octets = 0
        self._closing = False
        self._changed = asyncio.Condition()
        self.counters = {"batches": 0, "jobs": 0, "syncs_failed": 0}

    async def run(self) -> None:
        """Commit until closed; everything admitted before is committed."""
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, "vault-writer") as thread:
            while batch := await self._take():
                await loop.run_in_executor(thread, self._commit, batch)
                self._resolve(batch)
                async with self._changed:
                    self._free(batch)
                    self._changed.notify_all()

    async def submit(
        self, target: Staged, apply: Callable[[], None], answer: Callable[[], Any], octets: int = 0, lane: str = ""
    ) -> Any:  # noqa: ANN401 - whatever answer gives
        """Queue behind everything submitted before on this lane; return the answer once what apply wrote is durable."""
        mine = self._lanes.setdefault(lane, _Lane())
        mine.waiting += 1
        try:
            # First come, first queued, also among those that wait for room: the turn is held while waiting.
            async with mine.turn, self._changed:
                await self._changed.wait_for(lambda: self._closing or self._fits(mine, octets))
                if self._closing:
                    raise StoreBusyError("the vault is closed")
                job = _Job(target, apply, answer, octets, asyncio.get_running_loop().create_future(), mine)
                mine.queue.append(job)
                mine.octets += octets
                self._octets += octets
                self._changed.notify_all()
        finally:
            mine.waiting -= 1
        return await job.done

    def _fits(self, lane: _Lane, octets: int) -> bool:
        """Whether there is room: in the whole, and in the lane's half of that; with nothing queued, always."""
        whole = not self._octets or self._octets + octets <= self._cap
        return whole and (not lane.octets or lane.octets + octets <= self._cap // 2)

    def _free(self, batch: list[_Job]) -> None:
        for job in batch:
            self._octets -= job.octets
            job.lane.octets -= job.octets
        self._lanes = {name: lane for name, lane in self._lanes.items() if lane.queue or lane.octets or lane.waiting}

    async def close(self) -> None:
        """Let `run` end once the queue is empty."""
        async with self._changed:
            self._closing = True
            self._changed.notify_all()

    async def _take(self) -> list[_Job]:
        async with self._changed:
            await self._changed.wait_for(lambda: self._closing or any(lane.queue for lane in self._lanes.values()))
            return [job for lane in self._lanes.values() for job in lane.slice()]

    def _commit(self, batch: list[_Job]) -> None:
        """Write the whole batch, in order; runs in the writer's thread."""
        failed: dict[Staged, Exception] = {}
        for job in batch:
            if job.target not in failed:
                self._apply(job, failed)
        for target in dict.fromkeys(job.target for job in batch):
            if target not in failed:
                self._sync(target, failed)
        for job in batch:
            job.error = job.error or failed.get(job.target)
        self.counters["batches"] += 1
        self.counters["jobs"] += len(batch)

    def _apply(self, job: _Job, failed: dict[Staged, Exception]) -> None:
        try:
            job.apply()
        except (OSError, StoreBusyError) as error:
            self._spoil(job.target, error, failed)
        except GatewayError as error:
            job.error = error  # of this job alone: a segment that is bad
        except Exception as error:  # noqa: BLE001 - a defect: its upload is left as it is on disk, the caller raises it
            job.target.spoil()
            failed[job.target] = error

    def _sync(self, target: Staged, failed: dict[Staged, Exception]) -> None:
        try:
            target.flush()
            target.sync()
            target.settle()
        except (OSError, StoreBusyError) as error:
            self._spoil(target, error, failed)
        except Exception as error:  # noqa: BLE001 - as in _apply: one upload's, or keyring's, fault must not end the writer
            target.spoil()
            failed[target] = error

    def _spoil(self, target: Staged, error: Exception, failed: dict[Staged, Exception]) -> None:
        self.counters["syncs_failed"] += 1
        target.spoil()
        failed[target] = busy(error)

    def _resolve(self, batch: list[_Job]) -> None:
        for job in batch:
            if job.done.done():
                continue  # its caller has gone away
            if job.error is not None:
                job.done.set_exception(job.error)
            else:
                job.done.set_result(job.answer())


def busy(error: Exception) -> StoreBusyError:
    """What the sender is told of a disk that refuses."""
    if isinstance(error, StoreBusyError):
        return error
    told = StoreBusyError(f"disk: {error}")
    told.__cause__ = error
    return told
