"""Group commit: said durable only when written; a refusing disk loses nothing within the bound."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator

import pytest

from gateway.pipeline.group_commit import GroupCommit


class Disk:
    """A writer that can refuse."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.batches = 0
        self.full = False

    def write(self, rows: list[str]) -> None:
        """Write or refuse."""
        if self.full:
            raise OSError(28, "No space left on device")
        self.batches += 1
        self.rows.extend(rows)


@contextlib.asynccontextmanager
async def running(commit: GroupCommit[str]) -> AsyncIterator[None]:
    """Run it for a while."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(commit.run())
        yield
        task.cancel()


async def recovered(commit: GroupCommit[str]) -> None:
    """Wait until a try has succeeded: until then everybody is told at once that the disk refuses."""
    async with asyncio.timeout(5):
        while not commit.healthy:
            await asyncio.sleep(0.01)


async def test_a_batch_shares_one_future_and_one_write() -> None:
    """What is put in one turn is one batch."""
    disk = Disk()
    commit: GroupCommit[str] = GroupCommit("t", disk.write, backlog_bytes=1000)
    async with running(commit):
        futures = [commit.put(name, 1) for name in "abc"]
        receipt = await futures[0]
    assert receipt.journalled
    assert len(set(map(id, futures))) == 1
    assert disk.rows == ["a", "b", "c"]
    assert disk.batches == 1
    assert commit.written == 3


async def test_nothing_is_said_durable_that_the_disk_refused() -> None:
    """A full disk: told not journalled, kept in memory, written in order once there is room."""
    disk = Disk()
    disk.full = True
    commit: GroupCommit[str] = GroupCommit("t", disk.write, backlog_bytes=1000, retry_s=0.01)
    told: list[list[str]] = []
    commit.recovered = lambda: told.append(list(disk.rows))
    async with running(commit):
        first = await commit.put("a", 1, urgent=True)
        second = await commit.put("b", 1)
        assert not first.journalled
        assert not second.journalled
        assert not commit.healthy
        disk.full = False
        await recovered(commit)
        assert (await commit.put("c", 1)).journalled
    assert disk.rows == ["a", "b", "c"]
    assert commit.healthy
    assert [rows[:2] for rows in told] == [["a", "b"]], "told once, with what was refused on disk"
    assert commit.dropped == 0


async def test_a_refusing_disk_makes_nobody_wait_for_the_next_try() -> None:
    """A sender's window must not fill with messages that wait for a try: an emergency may be behind them."""
    disk = Disk()
    disk.full = True
    commit: GroupCommit[str] = GroupCommit("t", disk.write, backlog_bytes=1000, retry_s=3600)
    async with running(commit), asyncio.timeout(5):
        await commit.put("a", 1)
        assert [(await commit.put(name, 1)).journalled for name in "bc"] == [False, False]
    disk.full = False
    assert await commit.drain(1)
    assert disk.rows == ["a", "b", "c"]
    commit.close()


async def test_who_comes_while_a_batch_is_being_refused_is_told_too() -> None:
    """The disk's answer holds for all that wait when it comes."""
    asked, answer = threading.Event(), threading.Event()

    def slow(_rows: list[str]) -> None:
        asked.set()
        answer.wait(5)
        raise OSError(28, "No space left on device")

    commit: GroupCommit[str] = GroupCommit("t", slow, backlog_bytes=1000, retry_s=3600)
    async with running(commit), asyncio.timeout(5):
        first = commit.put("a", 1)
        await asyncio.to_thread(asked.wait)
        second = commit.put("b", 1)
        answer.set()
        assert not (await first).journalled
        assert not (await second).journalled
    commit.close()


async def test_the_backlog_is_bounded_and_drops_are_counted() -> None:
    """Beyond the bound the oldest goes, but never an urgent one."""
    disk = Disk()
    disk.full = True
    commit: GroupCommit[str] = GroupCommit("t", disk.write, backlog_bytes=10, retry_s=5)
    async with running(commit):
        await commit.put("emergency", 8, urgent=True)
        for name in ("x", "y", "z"):
            commit.put(name, 2)
    disk.full = False
    assert await commit.drain(1)
    assert disk.rows == ["emergency", "z"]
    assert commit.dropped == 2


async def test_cancelling_while_writing_never_says_durable() -> None:
    """Whoever waited is told that it is not known to be on disk."""
    disk = Disk()
    commit: GroupCommit[str] = GroupCommit("t", disk.write, backlog_bytes=1000)
    future = commit.put("a", 1)
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(commit.run())
            await asyncio.sleep(0)
            task.cancel()
            await task
    assert not future.done() or not (await future).journalled or disk.rows == ["a"]
    assert await commit.drain(1)
    assert "a" in disk.rows
    commit.close()


async def test_a_damaged_file_ends_nothing() -> None:
    """Whatever the writer raises, everything waits and is written once it works again."""
    kept: list[str] = []
    damaged = [True]

    def write(rows: list[str]) -> None:
        if damaged[0]:
            raise ValueError("file is not a database")
        kept.extend(rows)

    commit: GroupCommit[str] = GroupCommit("t", write, backlog_bytes=1000, retry_s=0.01)
    async with running(commit):
        for name in "ab":
            commit.put(name, 1)
        assert not (await commit.put("c", 1)).journalled
        assert not commit.healthy
        damaged[0] = False
        await recovered(commit)
        assert (await commit.put("d", 1)).journalled
    assert kept == ["a", "b", "c", "d"]
    assert commit.unwritable == 0


async def test_one_item_that_cannot_be_written_holds_up_no_other() -> None:
    """It alone is given up, and counted; the rest of its batch is on disk."""
    kept: list[str] = []

    def write(rows: list[str]) -> None:
        kept.extend([row.encode().decode() for row in rows])

    commit: GroupCommit[str] = GroupCommit("t", write, backlog_bytes=1000, retry_s=0.01)
    async with running(commit):
        for name in ("a", "b\ud800", "c"):
            receipt = commit.put(name, 1)
        await receipt
        assert (await commit.put("d", 1)).journalled
    assert kept == ["a", "c", "d"]
    assert commit.unwritable == 1


async def test_a_few_frames_wait_for_company_and_an_urgent_one_does_not() -> None:
    """After a small batch the next one gathers for a moment, unless somebody pressed the button."""
    disk = Disk()
    commit: GroupCommit[str] = GroupCommit("t", disk.write, backlog_bytes=1000)
    async with running(commit):
        await commit.put("first", 1)
        gathered = commit.put("second", 1)
        await asyncio.sleep(0.002)
        assert not gathered.done()
        assert commit.put("third", 1) is gathered
        assert (await gathered).journalled
        assert disk.batches == 2
        began_s = asyncio.get_running_loop().time()
        assert (await commit.put("press", 1, urgent=True)).journalled
        assert asyncio.get_running_loop().time() - began_s < 0.5
    assert disk.rows == ["first", "second", "third", "press"]
