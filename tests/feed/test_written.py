"""Who waits for the disk is answered by the turn that has what was added before, never by an earlier one."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import given
from hypothesis import strategies as st

from gateway.feed.urgent_log import LOG
from gateway.feed.written import Written
from tests.feed.shift import MemoryFiles
from tests.feed.test_urgent_lines import duty
from tests.feed.test_urgent_log import Scene

Heard = TypeVar("Heard")
STEPS = st.lists(st.sampled_from(["add", "turn", "done", "refused", "wait"]), max_size=60)


def begin(act: Coroutine[Any, Any, Heard]) -> asyncio.Task[Heard]:
    """Beside the test."""
    return asyncio.get_running_loop().create_task(act)


async def begun() -> Scene:
    """A log with nothing to write."""
    scene = Scene(MemoryFiles())
    await scene.begin()
    return scene


async def test_nothing_waits_for_nothing() -> None:
    """All that was added is on disk: so it is said at once."""
    scene = await begun()
    assert await scene.log.written.wait(0) == "kept"
    await scene.log.close()


async def test_one_turn_answers_many() -> None:
    """Fifty acts, one append; and only once it has returned."""
    scene = await begun()
    writes, waits = scene.files.writes, []
    for number in range(50):
        scene.add(duty(number + 1))
        waits.append(begin(scene.log.written.wait()))
    await asyncio.sleep(0)
    assert not any(wait.done() for wait in waits)
    assert await scene.log.write()
    assert [await wait for wait in waits] == ["kept"] * 50
    assert scene.files.writes == writes + 1
    await scene.log.close()


async def test_a_turn_that_began_before_does_not_answer() -> None:
    """What was added while it wrote is the next one's."""
    scene = await begun()
    scene.add(duty(1))
    first = begin(scene.log.write())
    await asyncio.sleep(0)
    scene.add(duty(2))
    later = begin(scene.log.written.wait())
    assert await first
    await asyncio.sleep(0)
    assert not later.done()
    assert await scene.log.write()
    assert await later == "kept"
    assert scene.files.files[LOG].count(b"\n") == 3
    await scene.log.close()


async def test_a_disk_that_refuses_is_told_at_once() -> None:
    """And again by the next turn, until it is there; an act repeated waits for the one before."""
    scene = await begun()
    scene.files.refuse = True
    scene.add(duty(1))
    for _ in range(2):
        wait = begin(scene.log.written.wait())
        await asyncio.sleep(0)
        assert not await scene.log.write()
        assert await wait == "refused"
    scene.files.refuse = False
    wait = begin(scene.log.written.wait())
    await asyncio.sleep(0)
    assert await scene.log.write()
    assert await wait == "kept"
    await scene.log.close()


async def test_written_anew_has_it_too() -> None:
    """Where the queue overflows, the image is what has it."""
    scene = await begun()
    scene.add(duty(1))
    scene.log.rewrite()
    wait = begin(scene.log.written.wait())
    await asyncio.sleep(0)
    assert await scene.log.write()
    assert await wait == "kept"
    assert scene.files.files[LOG].count(b"\n") == 2
    await scene.log.close()


async def test_a_disk_that_hangs_is_waited_for_so_long() -> None:
    """Then it is said that it has not said."""
    scene = await begun()
    scene.add(duty(1))
    assert await scene.log.written.wait(0.01) == "late"
    gone = begin(scene.log.written.wait())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    assert await scene.log.write()
    await scene.log.close()


async def test_nobody_is_left_waiting_at_the_end() -> None:
    """The log closes over a disk that refuses."""
    scene = await begun()
    scene.files.refuse = True
    scene.add(duty(1))
    wait = begin(scene.log.written.wait())
    await asyncio.sleep(0)
    await scene.log.close()
    assert await wait == "refused"


@given(STEPS)
def test_kept_is_said_only_of_what_is_kept(steps: list[str]) -> None:
    """Whatever the order: nobody hears `kept` before a turn that began after their last word has ended well."""

    async def play() -> None:
        written, turn, good = Written(), 0, 0
        asked: list[tuple[int, asyncio.Task[str]]] = []
        for step in steps:
            if step == "add":
                written.add()
            elif step == "turn":
                turn = written.added
            elif step == "done":
                good = max(good, turn)
                written.reach(turn)
            elif step == "refused":
                written.refuse()
            else:
                asked.append((written.added, begin(written.wait(60))))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            heard = [(number, task.result()) for number, task in asked if task.done()]
            assert all(number <= good for number, word in heard if word == "kept")
            waiting = [number for number, task in asked if not task.done()]
            assert all(number > good for number in waiting)
        written.refuse()
        assert all(word in ("kept", "refused") for word in await asyncio.gather(*(task for _, task in asked)))

    asyncio.run(play())
