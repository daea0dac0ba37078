"""One command: its end, its time, its output, and nothing of it left behind."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from gateway.media.child import Limits, program, report, run
from tests.media.films import descriptors

LIMITS = Limits(10, 1024)


def alive(mark: str) -> list[int]:
    """Processes that have a word in their command line."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                if name.isdigit() and mark.encode() in file.read():
                    found.append(int(name))
        except OSError:
            continue
    return found


async def test_a_command_that_ends(stand_in: Callable[[str], str]) -> None:
    """Its output, its complaints, its code; no word of our environment."""
    path = stand_in('echo "$# $1 ${LAPEL_SECRET-none}"; echo oh >&2; exit 3')
    os.environ["LAPEL_SECRET"] = "seen"
    try:
        ended = await run([path, "one two"], LIMITS, 100)
    finally:
        del os.environ["LAPEL_SECRET"]
    assert (ended.code, ended.out, ended.complaints, ended.stopped) == (3, b"1 one two none\n", b"oh\n", None)


async def test_a_command_that_hangs(stand_in: Callable[[str], str]) -> None:
    """Ended with its time, and gone."""
    path, before = stand_in("while :; do read x < /dev/null; done"), descriptors()
    began_s = time.monotonic()
    ended = await run([path], Limits(1, 1024), 100)
    assert ended.stopped == "time_limit"
    assert time.monotonic() - began_s < 5
    assert alive(path) == []
    assert descriptors() <= before + 1


async def test_a_command_that_burns_time(system_python: str) -> None:
    """The processor's limit holds by itself, and is said as the time that it is."""
    ended = await run([system_python, "-I", "-c", "while 1: pass"], Limits(1, 1024), 100)
    assert ended.stopped == "time_limit"


async def test_a_command_that_talks_without_end(stand_in: Callable[[str], str]) -> None:
    """Stopped at the bound; what it complained of is cut, not kept."""
    ended = await run([stand_in("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done")], LIMITS, 1000)
    assert ended.stopped == "output_limit"
    assert len(ended.out) == 1000
    ended = await run([stand_in("i=0; while [ $i -lt 9000 ]; do echo noise >&2; i=$((i+1)); done; echo x")], LIMITS, 9)
    assert ended.stopped is None
    assert ended.out == b"x\n"
    assert len(ended.complaints) <= 16 * 1024 + 1


async def test_a_command_that_crashes(stand_in: Callable[[str], str], system_python: str) -> None:
    """A signal of its own is a crash, and no word on the recording."""
    crash = "import ctypes; ctypes.string_at(0)"
    assert (await run([system_python, "-I", "-c", crash], LIMITS, 100)).stopped == "crashed"


async def test_a_command_that_eats_memory(stand_in: Callable[[str], str], system_python: str) -> None:
    """It has none beyond the limit, and says so in its own words."""
    eat = "import sys\ntry:\n    bytearray(600 << 20)\nexcept MemoryError:\n    sys.exit('Cannot allocate memory')"
    assert (await run([system_python, "-I", "-c", eat], Limits(10, 512), 100)).stopped == "memory_limit"
    assert (await run([system_python, "-I", "-c", eat], LIMITS, 100)).stopped is None


async def test_a_command_that_forks(stand_in: Callable[[str], str]) -> None:
    """A fork bomb has one process, and that one fails."""
    path = stand_in('bomb() { bomb | bomb & }; bomb; sleep 30 & echo "$?"')
    ended = await run([path], Limits(5, 1024), 100)
    assert alive(path) == []
    assert ended.code != 0 or ended.stopped is not None or b"Cannot fork" in ended.complaints


async def test_cancelled_in_the_middle(stand_in: Callable[[str], str]) -> None:
    """The gateway's end is the child's end."""
    path = stand_in("while :; do read x < /dev/null; done")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(run([path], LIMITS, 100))
        await asyncio.sleep(0.3)
        assert alive(path)
        task.cancel()
    assert alive(path) == []


async def test_no_such_command() -> None:
    """It ends as a command that failed."""
    ended = await run(["/nowhere/ffprobe"], LIMITS, 100)
    assert ended.code == 1
    assert b"cannot be run" in ended.complaints


def test_finding_a_command(stand_in: Callable[[str], str]) -> None:
    """By name in PATH, or by path; None where there is none."""
    path = stand_in("exit 0")
    assert program(path) == os.path.realpath(path)
    assert program("sh")
    assert program("no-such-command-anywhere") is None


async def test_the_report() -> None:
    """Every bar with a word."""
    held = await report()
    assert set(held) == {"priority", "network", "rights", "processes", "death", "files", "calls"}
    assert held["rights"] == held["death"] == "yes"
