"""One command in the cage: bounded in time, memory and output, and gone afterwards with all that it began."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from gateway.media.facts import lacks_memory

CAGE = Path(__file__).with_name("cage.py")
COMPLAINTS_MAX = 16 * 1024
REPORT_S = 10.0
_TIME_SIGNALS = frozenset({signal.SIGXCPU, signal.SIGKILL})


class Limits(msgspec.Struct, frozen=True):
    """Seconds (of the clock, and of the processor) and address space of one command."""

    seconds: float
    memory_mb: int


class Ended(msgspec.Struct, frozen=True):
    """What a command gave back; stopped is why it did not come to its own end, None where it did."""

    code: int
    out: bytes
    complaints: bytes
    stopped: str | None = None


def program(name: str) -> str | None:
    """The command's absolute path; None where there is none that can be run."""
    found = shutil.which(name)
    return None if found is None else str(Path(found).resolve())


Pour = Callable[[bytes], Awaitable[None]]


async def run(command: Sequence[str], limits: Limits, most: int, fd: int | None = None) -> Ended:
    """Run a command (an absolute path first) that sees nothing but the descriptor; at most so many bytes come back."""
    out = bytearray()

    async def keep(piece: bytes) -> None:
        out.extend(piece)

    ended = await poured(command, limits, most, keep, fd)
    return msgspec.structs.replace(ended, out=bytes(out))


async def poured(command: Sequence[str], limits: Limits, most: int, pour: Pour, fd: int | None = None) -> Ended:
    """As `run`, handing on what comes as it comes; what pour raises ends the command, and is raised again."""
    order = json.dumps({"memory": limits.memory_mb << 20, "seconds": math.ceil(limits.seconds)})
    process = await _start(order, command, fd)
    complaints, taking, late = bytearray(), _Taking(most, pour, lambda: _kill(process)), False
    try:
        async with asyncio.timeout(limits.seconds), asyncio.TaskGroup() as group:
            group.create_task(_take(process.stderr, complaints, COMPLAINTS_MAX))
            await taking.all_of(process.stdout)
            await process.wait()
    except TimeoutError:
        late = True
    finally:
        _kill(process)
        # The child is dead or dying: nothing, not even the gateway's own end, leaves it behind unreaped.
        await asyncio.shield(process.wait())
    if taking.problem is not None:
        raise taking.problem
    code = process.returncode if process.returncode is not None else -signal.SIGKILL
    stopped = "time_limit" if late else _stopped(code, bytes(complaints), taking.overflown)
    return Ended(code, b"", bytes(complaints), stopped)


class _Taking:
    """Hands on what a command gives, up to so many bytes; beyond them, or when nobody takes it, ends the command."""

    def __init__(self, most: int, pour: Pour, end: Callable[[], None]) -> None:
        self._left, self._pour, self._end = most, pour, end
        self.overflown = False
        self.problem: Exception | None = None

    async def all_of(self, stream: asyncio.StreamReader | None) -> None:
        """Read to the end."""
        assert stream is not None
        while piece := await stream.read(1 << 16):
            fits = piece[: self._left]
            self._left -= len(fits)
            if self.problem is None and fits:
                await self._hand_on(fits)
            if len(fits) < len(piece):
                self.overflown = True
                self._end()

    async def _hand_on(self, piece: bytes) -> None:
        try:
            await self._pour(piece)
        except Exception as problem:  # noqa: BLE001 - whatever it is belongs to the caller, once the child is gone
            self.problem = problem
            self._end()


async def report() -> dict[str, str]:
    """Which bars of the cage hold on this machine: `yes`, or why not."""
    process = await _start("report", [sys.executable], None)
    out = bytearray()
    try:
        async with asyncio.timeout(REPORT_S):
            await _take(process.stdout, out, COMPLAINTS_MAX)
            await process.wait()
    finally:
        _kill(process)
        await asyncio.shield(process.wait())
    held: dict[str, str] = msgspec.json.decode(out, type=dict[str, str])
    return held


async def _start(order: str, command: Sequence[str], fd: int | None) -> asyncio.subprocess.Process:
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    cage = (sys.executable, "-I", "-S", str(CAGE), order)
    return await asyncio.create_subprocess_exec(
        *cage,
        *command,
        stdin=nothing,
        stdout=pipe,
        stderr=pipe,
        pass_fds=() if fd is None else (fd,),
        env={},
        cwd="/",
        start_new_session=True,
    )


async def _take(
    stream: asyncio.StreamReader | None, into: bytearray, most: int, overflow: Callable[[], None] | None = None
) -> None:
    """Read to the end, keeping one byte more than `most`; more than that calls overflow."""
    assert stream is not None
    while piece := await stream.read(1 << 16):
        into += piece[: most + 1 - len(into)]
        if len(into) > most and overflow is not None:
            overflow()


def _kill(process: asyncio.subprocess.Process) -> None:
    """End the whole process group: it is a session of its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _stopped(code: int, complaints: bytes, overflown: bool) -> str | None:  # noqa: FBT001 - a fact, not a switch
    if overflown:
        return "output_limit"
    if code < 0:
        return "time_limit" if -code in _TIME_SIGNALS else "crashed"
    return "memory_limit" if code and lacks_memory(complaints) else None
