"""Group commit: said durable only when written; a refusing disk loses nothing within the bound."""

import asyncio
import contextlib
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
    recovered = []
    commit.recovered = lambda: recovered.append(list(disk.rows))
    async with running(commit):
        first = await commit.put("a", 1, urgent=True)
        second = await commit.put("b", 1)
        assert not first.journalled
        assert not second.journalled
        assert not commit.healthy
        disk.full = False
        assert (await commit.put("c", 1)).journalled
    assert disk.rows == ["a", "b", "c"]
    assert commit.healthy
    assert [rows[:2] for rows in recovered] == [["a", "b"]], "told once, with what was refused on disk"
    assert commit.dropped == 0


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
