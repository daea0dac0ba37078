"""The local alarm: a program of the site's own that is run for an emergency nobody acknowledges (`[feed] alarm_hook`).

It is started as it stands, by no shell, with the emergency as one line of JSON on its standard input and an
environment without our secrets; one at a time, none for longer than HOOK_S, so that it can never hold up the feed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import structlog

from gateway.errors import ConfigError
from gateway.feed.emergencies import EmergencyRecord
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.observe import Gauges

KEY = "feed.alarm_hook"
HOOK_S, END_S = 10.0, 1.0
WAITING_MOST = 100
SAID_MOST, READ_OCTETS = 500, 65_536
ENVIRONMENT = ("PATH", "HOME", "LANG", "TZ")
_log = structlog.get_logger()


class Call(msgspec.Struct, frozen=True):
    """What the program is told: the alarm is `raised`, `lasts` (again each `emergency_alarm_s`) or is `over`."""

    alarm: str
    emergency: EmergencyRecord
    v: int = 1


def check_hook(settings: FeedSettings) -> None:
    """ConfigError for a program that cannot be run."""
    if settings.alarm_hook:
        program = Path(settings.alarm_hook[0])
        if not program.is_absolute():
            raise ConfigError(f"{KEY}[0]", f"{program}: write the whole path")
        if not program.is_file() or not os.access(program, os.X_OK):
            raise ConfigError(f"{KEY}[0]", f"{program} is no program that can be run")


class AlarmHook:
    """Calls wait here, the newest of each emergency, and are made by run() one by one."""

    def __init__(self, line: tuple[str, ...], patience_s: float = HOOK_S) -> None:
        self._line, self._patience_s = line, patience_s
        self._waiting: deque[Call] = deque()
        self._news = asyncio.Event()
        self.counts: Counter[str] = Counter(dict.fromkeys(("calls", "failures", "dropped"), 0))

    def heard(self, word: str, record: EmergencyRecord) -> None:
        """Take a call; never waits. What merely lasts is left out where its raise still waits."""
        if word == "lasts" and any(call.emergency.id == record.id for call in self._waiting):
            return
        self._waiting.append(Call(word, record))
        if len(self._waiting) > WAITING_MOST:
            self._waiting.popleft()
            self.counts["dropped"] += 1
        self._news.set()

    async def run(self) -> None:
        """Make the calls until cancelled."""
        while True:
            self._news.clear()
            while self._waiting:
                await self._call(self._waiting.popleft())
            await self._news.wait()

    async def _call(self, call: Call) -> None:
        self.counts["calls"] += 1
        problem = await self._problem(msgspec.json.encode(call) + b"\n")
        if problem is None:
            _log.info("alarm_hook_called", alarm=call.alarm, emergency=call.emergency.id)
            return
        self.counts["failures"] += 1
        _log.error("alarm_hook_failed", hook=self._line[0], emergency=call.emergency.id, problem=problem)

    async def _problem(self, said: bytes) -> str | None:
        """Run it; what went wrong."""
        kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._line, stdin=pipe, stdout=nowhere, stderr=pipe, env=kept, cwd="/", start_new_session=True
            )
        except OSError as wrong:
            return wrong.strerror or str(wrong)
        try:
            async with asyncio.timeout(self._patience_s):
                complaint = await _talk(process, said)
                code = await process.wait()
        except TimeoutError:
            return f"took longer than {self._patience_s:g} s"
        finally:
            await _ended(process)
        return None if code == 0 else f"exit code {code}: {complaint}".removesuffix(": ")


async def _talk(process: asyncio.subprocess.Process, said: bytes) -> str:
    """Say it; the first of what it complains of, the rest read and left."""
    assert process.stdin is not None
    assert process.stderr is not None
    with contextlib.suppress(ConnectionError):  # it need not read
        process.stdin.write(said)
        process.stdin.close()
        await process.stdin.wait_closed()
    first = await process.stderr.read(SAID_MOST)
    await _leave(process.stderr)
    return first.decode(errors="replace").strip()


async def _leave(stream: asyncio.StreamReader) -> None:
    while await stream.read(READ_OCTETS):
        pass


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End it and what it started; what it still has to say is read, for its end is not told before."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.stderr is not None
    with contextlib.suppress(TimeoutError):  # somebody that it started elsewhere holds its output: let him
        async with asyncio.timeout(END_S):
            await _leave(process.stderr)
            await process.wait()


def alarming(settings: FeedSettings, feed: Feed, gauges: Gauges) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """What is to run for it; nothing where no hook is configured."""
    if not settings.alarm_hook:
        return []
    hook = AlarmHook(settings.alarm_hook)
    feed.siren.heard = hook.heard
    gauges.add("alarm_hook", lambda: hook.counts)
    return [hook.run]
