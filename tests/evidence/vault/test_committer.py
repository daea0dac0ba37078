"""Group commit: order, one sync per upload and batch, whose failure is whose, a bounded queue."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway.errors import SegmentError, StoreBusyError
from gateway.evidence.vault.committer import LANE_JOBS, Committer


class FakeStaged:
    """Writes down what it is asked; what was applied counts only once settled."""

    def __init__(self, *, sync_fails: bool = False) -> None:
        self.calls: list[str] = []
        self.settled: list[int] = []
        self.pending: list[int] = []
        self.sync_fails = sync_fails

    def apply(self, number: int) -> None:
        """One write."""
        self.calls.append(f"apply {number}")
        self.pending.append(number)

    def flush(self) -> None:
        """As Staged."""
        self.calls.append("flush")

    def sync(self) -> None:
        """As Staged."""
        self.calls.append("sync")
        if self.sync_fails:
            raise OSError(5, "EIO")

    def settle(self) -> None:
        """As Staged."""
        self.calls.append("settle")
        self.settled += self.pending
        self.pending.clear()

    def spoil(self) -> None:
        """As Staged."""
        self.calls.append("spoil")
        self.pending.clear()


@contextlib.asynccontextmanager
async def committing(cap: int = 1000):
    """A committer at work."""
    committer = Committer(cap)
    async with asyncio.TaskGroup() as group:
        group.create_task(committer.run())
        yield committer
        await committer.close()


def job(committer, target, number, octets=1):
    """Submit one write; the answer is what is durable by then."""
    return committer.submit(target, lambda: target.apply(number), lambda: list(target.settled), octets)


async def test_a_batch_is_synced_once_per_upload_and_answered_after():
    """Everything queued while a batch is written makes the next one; no answer comes before its sync."""
    one, two = FakeStaged(), FakeStaged()
    async with committing() as committer:
        answers = await asyncio.gather(*(job(committer, (one, two)[n % 2], n) for n in range(10)))
    assert one.settled == [0, 2, 4, 6, 8]
    assert two.settled == [1, 3, 5, 7, 9]
    assert one.calls.count("sync") <= 2
    assert all(number in answer for number, answer in enumerate(answers))
    assert committer.counters["jobs"] == 10


async def test_a_failed_sync_fails_its_upload_alone():
    """All that the batch wrote for it is busy; the other upload is answered."""
    bad, good = FakeStaged(sync_fails=True), FakeStaged()
    async with committing() as committer:
        answers = await asyncio.gather(
            job(committer, bad, 1), job(committer, good, 2), job(committer, bad, 3), return_exceptions=True
        )
        bad.sync_fails = False
        assert await job(committer, bad, 4) == [4]
    assert isinstance(answers[0], StoreBusyError)
    assert answers[1] == [2]
    assert isinstance(answers[2], StoreBusyError)
    assert committer.counters["syncs_failed"] >= 1
    assert 1 not in bad.settled
    assert 3 not in bad.settled


async def test_a_bad_segment_is_its_own_fault_alone():
    """SegmentError goes to its sender; the batch goes on."""
    target = FakeStaged()

    def refuse() -> None:
        raise SegmentError("segment_conflict")

    async with committing() as committer:
        answers = await asyncio.gather(
            job(committer, target, 1),
            committer.submit(target, refuse, lambda: None),
            job(committer, target, 2),
            return_exceptions=True,
        )
    assert str(answers[1]) == "segment_conflict"
    assert target.settled == [1, 2]
    assert "spoil" not in target.calls


async def test_after_a_failed_write_nothing_more_of_that_upload_is_applied_in_the_batch():
    """What comes behind a failed write would stand on sand."""
    target = FakeStaged()

    def fail() -> None:
        raise OSError(28, "ENOSPC")

    async with committing() as committer:
        answers = await asyncio.gather(
            committer.submit(target, fail, lambda: None), job(committer, target, 1), return_exceptions=True
        )
    assert isinstance(answers[0], StoreBusyError)
    assert isinstance(answers[1], StoreBusyError) or target.settled == [1]


async def test_a_defect_reaches_its_caller_and_the_committer_lives():
    """An error of ours is raised where it was asked for; the other uploads go on."""
    target, other = FakeStaged(), FakeStaged()

    def broken() -> None:
        raise ZeroDivisionError

    async with committing() as committer:
        with pytest.raises(ZeroDivisionError):
            await committer.submit(target, broken, lambda: None)
        assert await job(committer, other, 1) == [1]
    assert "spoil" in target.calls


async def test_the_queue_is_bounded_and_fair():
    """Never more bytes than the cap are queued, and all are served in the order they came."""
    target = FakeStaged()
    async with committing(cap=10) as committer:
        seen = []

        async def one(number):
            answer = await job(committer, target, number, octets=4)
            seen.append(committer._octets)
            return answer

        await asyncio.gather(*(one(number) for number in range(12)))
    assert target.settled == list(range(12))
    assert max(seen) <= 10


async def test_a_job_greater_than_the_cap_goes_alone():
    """A segment is never too large for the queue."""
    target = FakeStaged()
    async with committing(cap=10) as committer:
        await asyncio.gather(job(committer, target, 1, octets=500), job(committer, target, 2, octets=500))
    assert target.settled == [1, 2]


async def test_a_caller_that_goes_away_does_not_stop_the_batch():
    """Its segment is kept all the same; the others get their answers."""
    target = FakeStaged()
    async with committing() as committer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await job(committer, target, 1)
        assert 2 in await job(committer, target, 2)


async def test_close_commits_what_is_queued_and_refuses_more():
    """Nothing accepted is lost by stopping."""
    target, committer = FakeStaged(), Committer(100)
    async with asyncio.TaskGroup() as group:
        queued = group.create_task(job(committer, target, 1))
        await asyncio.sleep(0)
        await committer.close()
        group.create_task(committer.run())
    assert queued.result() == [1]
    with pytest.raises(StoreBusyError):
        await job(committer, target, 2)


async def test_one_lane_never_holds_up_another():
    """Thousands of jobs of one camera: another's is in the very next batch, and its order within a lane stays."""
    hog, meek = FakeStaged(), FakeStaged()
    async with committing(cap=1 << 30) as committer, asyncio.TaskGroup() as group:

        def submitted(target, number, lane):
            return committer.submit(
                target, lambda: target.apply(number), lambda: committer.counters["batches"], 1, lane
            )

        first = [group.create_task(submitted(hog, n, "hog")) for n in range(1000)]
        await asyncio.sleep(0)
        batch = await submitted(meek, 1, "meek")
        last = await first[-1]
    assert batch <= 2
    assert last >= 1000 // LANE_JOBS
    assert hog.settled == list(range(1000))


async def test_one_lane_has_half_of_the_queue():
    """Its bytes wait; another's are taken at once. Who goes away while waiting leaves nothing behind."""
    one, two = FakeStaged(), FakeStaged()
    committer = Committer(100)
    async with asyncio.TaskGroup() as group:
        mine = [
            group.create_task(committer.submit(one, lambda n=n: one.apply(n), lambda: None, 25, "one"))
            for n in range(4)
        ]
        await asyncio.sleep(0.01)
        assert committer._octets == 50
        group.create_task(committer.submit(two, lambda: two.apply(9), lambda: None, 50, "two"))
        await asyncio.sleep(0.01)
        assert committer._octets == 100
        mine[3].cancel()
        running = group.create_task(committer.run())
        await asyncio.gather(*mine[:3])
        await committer.close()
        await running
    assert one.settled == [0, 1, 2]
    assert two.settled == [9]
    assert committer._lanes == {}
