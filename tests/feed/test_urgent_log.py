"""The urgent log on a real disk, a refusing one, and one that hangs."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from gateway.feed import urgent_log
from gateway.feed.sequence import Mark
from gateway.feed.urgent_lines import image, read
from gateway.feed.urgent_log import LOG, MARK, Disk, UrgentLog
from tests.feed.shift import MemoryFiles
from tests.feed.test_urgent_lines import duty, emergency

HEAD = image("E1", 0, ())


class TestDisk:
    """Files in a directory."""

    def test_private_and_whole(self, tmp_path) -> None:
        """Directories 0700, files 0600, nothing left beside."""
        disk = Disk(tmp_path / "feed")
        disk.replace(LOG, b"one\n")
        assert disk.append(LOG, b"two\n") == 8
        assert disk.read(LOG) == b"one\ntwo\n"
        assert disk.read("nothing") is None
        assert (tmp_path / "feed").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "feed" / LOG).stat().st_mode & 0o777 == 0o600
        assert os.listdir(tmp_path / "feed") == [LOG]

    def test_half_a_line_is_cut_off_before_the_next(self, tmp_path) -> None:
        """What a failed append left would make the log look damaged."""
        disk = Disk(tmp_path / "feed")
        disk.replace(LOG, b"one\n")
        with (tmp_path / "feed" / LOG).open("ab") as file:
            file.write(b"two and a half")
        disk.append(LOG, b"three\n")
        assert disk.read(LOG) == b"one\nthree\n"

    def test_what_returned_was_fsynced(self, tmp_path, monkeypatch) -> None:
        """File and directory of a replace, file of an append; before the rename, not after."""
        synced, sync = [], os.fsync
        monkeypatch.setattr(os, "fsync", lambda file: (synced.append(os.readlink(f"/proc/self/fd/{file}")), sync(file)))
        disk = Disk(tmp_path / "feed")
        disk.replace(LOG, b"one\n")
        disk.append(LOG, b"two\n")
        folder = str(tmp_path / "feed")
        assert synced == [f"{folder}/{LOG}.tmp", folder, f"{folder}/{LOG}"]

    def test_a_file_that_was_taken_away_is_an_error(self, tmp_path) -> None:
        """Not a new file without its first line."""
        disk = Disk(tmp_path / "feed")
        disk.replace(LOG, b"one\n")
        (tmp_path / "feed" / LOG).unlink()
        with pytest.raises(OSError):
            disk.append(LOG, b"two\n")


class Scene:
    """A log over files in memory, and what it was heard to say."""

    def __init__(self, files=None) -> None:
        self.files = files or MemoryFiles()
        self.records = []
        self.log = UrgentLog(self.files, lambda: image("E1", 0, self.records))
        self.heard: list[tuple[str, object]] = []
        self.log.kept = lambda keys: self.heard.append(("kept", keys))
        self.log.refused = lambda keys: self.heard.append(("refused", keys))
        self.log.reserved = lambda mark: self.heard.append(("reserved", mark.mark))

    async def begin(self) -> None:
        """Opened, with an empty log written."""
        await self.log.open()
        self.log.rewrite()
        assert await self.log.write()
        self.heard.clear()

    def add(self, record) -> None:
        """As the feed does."""
        self.records.append(record)
        self.log.add(record)


async def test_records_are_written_in_order() -> None:
    """All that wait in one turn, with the mark before them."""
    scene = Scene()
    await scene.begin()
    scene.add(duty(1))
    scene.add(emergency(2))
    scene.log.reserve(Mark(1, "E1", 1000))
    assert scene.log.pending == 2
    assert await scene.log.write()
    assert scene.files.files[LOG] == image("E1", 0, [duty(1), emergency(2)])
    assert read(scene.files.files[MARK], scene.files.files[LOG]).whole
    assert scene.heard == [("reserved", 1000), ("kept", {"duty PCC.A", "emergency EM-1"})]
    assert scene.log.pending == 0
    await scene.log.close()


async def test_a_refusing_disk_loses_nothing() -> None:
    """It is said once per turn, kept in memory, and written when the disk takes it, in order."""
    scene = Scene()
    await scene.begin()
    scene.files.refuse = True
    scene.add(duty(1))
    scene.log.reserve(Mark(1, "E1", 1000))
    assert not await scene.log.write()
    scene.add(emergency(2))
    assert not await scene.log.write()
    assert scene.log.refusing
    assert scene.log.refusals == 2
    scene.files.refuse = False
    assert await scene.log.write()
    assert not scene.log.refusing
    assert scene.files.files[LOG] == image("E1", 0, [duty(1), emergency(2)])
    assert [what for what, _ in scene.heard] == ["refused", "refused", "reserved", "kept"]
    await scene.log.close()


async def test_too_many_waiting_become_one_rewrite(monkeypatch) -> None:
    """Bounded: the whole log is made from the state instead."""
    monkeypatch.setattr(urgent_log, "PENDING_MOST", 5)
    scene = Scene()
    await scene.begin()
    scene.files.refuse = True
    scene.add(duty(1))
    assert not await scene.log.write()
    for seq in range(2, 30):
        scene.add(duty(seq))
        assert scene.log.pending <= 6
    scene.files.refuse = False
    while scene.log._has_work():
        assert await scene.log.write()
    found = read(b'{"v":1,"epoch":"E1","mark":1000}', scene.files.files[LOG])
    assert {record.seq for record in found.records} == set(range(1, 30))
    await scene.log.close()


async def test_a_log_grown_long_is_written_anew(monkeypatch) -> None:
    """By itself."""
    monkeypatch.setattr(urgent_log, "REWRITE_BYTES", 100)
    scene = Scene()
    await scene.begin()
    for seq in range(1, 5):
        scene.log.add(duty(seq))
    scene.records = [duty(4)]
    assert await scene.log.write()
    assert await scene.log.write()
    assert scene.files.files[LOG] == image("E1", 0, [duty(4)])
    await scene.log.close()


async def test_a_damaged_log_is_put_aside() -> None:
    """For whoever wants to know what happened."""
    scene = Scene()
    scene.files.files[LOG] = b"rubbish\n"
    restored = await scene.log.open()
    assert not restored.whole
    assert scene.files.files["urgent.log.damaged"] == b"rubbish\n"
    await scene.log.close()


async def test_an_unreadable_disk_is_as_good_as_none() -> None:
    """It is said, and the feed begins."""

    class Unreadable(MemoryFiles):
        def read(self, name):
            raise OSError(5, "Input/output error")

    scene = Scene(Unreadable())
    assert not (await scene.log.open()).whole
    assert scene.log.refusing
    await scene.log.close()


class Hanging(MemoryFiles):
    """A disk on which an append takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def append(self, name, content):
        self.go.wait(10)
        return super().append(name, content)


async def test_a_hanging_disk_holds_up_nobody_and_is_waited_for_at_the_end(monkeypatch) -> None:
    """The loop goes on; cancelled in the middle, close() finds how the turn ended."""
    scene = Scene(Hanging())
    await scene.begin()
    scene.add(duty(1))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await scene.log.run()
    assert scene.log.pending == 1
    scene.add(duty(2))
    scene.files.go.set()
    await scene.log.close()
    assert scene.files.files[LOG] == image("E1", 0, [duty(1), duty(2)])


async def test_close_is_bounded_and_may_be_said_twice(monkeypatch) -> None:
    """Even where the disk never answers."""
    monkeypatch.setattr(urgent_log, "CLOSE_S", 0.05)
    scene = Scene(Hanging())
    await scene.begin()
    scene.add(duty(1))
    await scene.log.close()
    await scene.log.close()
    scene.files.go.set()


async def test_run_writes_what_comes_and_tries_again(monkeypatch) -> None:
    """With a pause between two refusals."""
    monkeypatch.setattr(urgent_log, "RETRY_S", 0.01)
    scene = Scene()
    await scene.begin()
    scene.files.refuse = True
    scene.add(duty(1))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(scene.log.run())
        await asyncio.sleep(0.05)
        assert scene.log.refusals >= 2
        scene.files.refuse = False
        await asyncio.sleep(0.05)
        running.cancel()
    assert scene.files.files[LOG] == image("E1", 0, [duty(1)])
    await scene.log.close()


@pytest.mark.parametrize("refuses", [False, True])
async def test_an_end_in_order_is_said(refuses: bool) -> None:
    """Only where everything that was told is on disk."""
    scene = Scene()
    await scene.begin()
    scene.log.reserve(Mark(1, "E1", 1000))
    assert await scene.log.write()
    assert not read(scene.files.files[MARK], scene.files.files[LOG]).ended
    scene.add(duty(1))
    scene.files.refuse = refuses
    await scene.log.close()
    assert read(scene.files.files[MARK], scene.files.files[LOG]).ended is not refuses
