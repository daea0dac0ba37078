"""Examines sealed recordings one at a time, in the background, and puts what it found on record.

The catalogue is the queue: whatever is sealed and was never examined is found there, after a restart too, newest
first. Nothing waits in memory, and nothing that goes wrong here reaches ingest.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec
import structlog

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.errors import EvidenceError, IntegrityError, StoreBusyError
from gateway.evidence.rows import Exhibit
from gateway.media.child import Limits, program, report, run
from gateway.media.examination import Examination, Findings, Tools
from gateway.media.facts import as_detail
from gateway.media.image import Image, imaged
from gateway.media.settings import MediaSettings
from gateway.ports import Clock, Custody

ACTOR = "system"
PAGE = 50
SPARED_MAX = 1_000
BUSY_OCTETS_S = 4 << 20
"""Footage arriving faster than this is let through first."""
_VERSION_MAX = 64 * 1024
_log = structlog.get_logger()


class Master(Protocol):
    """An open master."""

    size: int

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end), a piece at a time."""
        ...


class Masters(Protocol):
    """The vault, read."""

    def opened(self, exhibit: ExhibitId) -> AbstractContextManager[Master]:
        """The plaintext of a sealed exhibit, for reading at any offset. Blocks."""
        ...


class Shelf(Protocol):
    """The catalogue, read: called from threads."""

    def unexamined(self, limit: int, before: int | None = None) -> Sequence[Exhibit]:
        """Sealed exhibits that nobody has examined, newest first."""
        ...

    def count_unexamined(self) -> int:
        """How many those are."""
        ...

    def exhibit(self, exhibit: ExhibitId) -> Exhibit | None:
        """One exhibit."""
        ...


class Pictures(Protocol):
    """Where thumbnails are kept."""

    def put(self, exhibit: ExhibitId, content: bytes) -> str:
        """Keep one, durable on return; its age file's SHA-256. Blocks."""
        ...


class Needs(msgspec.Struct, frozen=True):
    """What examining stands on; arrivals gives the counts of exhibits sealed and of bytes received so far."""

    shelf: Shelf
    masters: Masters
    pictures: Pictures
    custody: Custody
    clock: Clock
    arrivals: Callable[[], tuple[int, int]]


class Pace(msgspec.Struct, frozen=True):
    """How often it looks, how long it lets uploads go first, and when it tries again what went wrong."""

    pause_s: float = 1.0
    patience_s: float = 60.0
    again_s: float = 600.0


class Examiner:
    """The queue: `run` until cancelled."""

    def __init__(self, settings: MediaSettings, needs: Needs, pace: Pace | None = None) -> None:
        """Nothing happens before `run`."""
        self._settings, self._needs, self._pace = settings, needs, pace or Pace()
        self._limits = Limits(settings.seconds, settings.memory_mb)
        self._tools: Tools | None = None
        self._spared: dict[str, None] = {}
        self._sealed = -1
        self.lacks: str | None = None
        self.counters: dict[str, float] = {"examined": 0, "thumbnails": 0, "seconds": 0.0, "waiting": 0, "held_back": 0}

    @property
    def condition(self) -> str:
        """`ok`; or `off` and why: a machine without video tools keeps evidence as well as any other."""
        return "ok" if self.lacks is None else f"off: {self.lacks}"

    def look_again(self) -> None:
        """Something was sealed that did not arrive: a derivative."""
        self._sealed = -1

    async def run(self) -> None:
        """Examine what was sealed, whenever something was, and now and then what could not be examined before."""
        again_s = float("-inf")
        while True:
            sealed, now_s = self._needs.arrivals()[0], self._needs.clock.now().mono_s
            if sealed != self._sealed or now_s >= again_s:
                if now_s >= again_s:
                    self._spared.clear()
                    again_s = now_s + self._pace.again_s
                self._sealed = sealed
                await self._turn()
            await asyncio.sleep(self._pace.pause_s)

    async def _turn(self) -> None:
        try:
            if await self._ready():
                await self._sweep()
        except Exception:  # noqa: BLE001 - whatever is wrong here must not take evidence along: the next turn tries again
            self._count("failed_defect")
            _log.exception("media_not_examined")

    # --- the commands

    async def _ready(self) -> bool:
        """Find the commands once, and see that they run in the cage."""
        if self._tools is not None:
            return True
        before, problem = self.lacks, ""
        tools = await asyncio.to_thread(self._find)
        if tools is not None:
            ended = await run([tools.ffprobe, "-version"], self._limits, _VERSION_MAX)
            if ended.code or ended.stopped:
                problem = ended.stopped or ended.complaints.decode("utf-8", "replace").strip()[:200]
                tools, self.lacks = None, f"{self._settings.ffprobe} does not run"
            else:
                version = ended.out.split(b"\n", 1)[0].split(b" Copyright", 1)[0].decode("utf-8", "replace")[:100]
                tools = msgspec.structs.replace(tools, version=version)
        if tools is None:
            if self.lacks != before:
                _log.warning("media_off", lacks=self.lacks, problem=problem)
            return False
        await self._say_bars()
        self._tools = tools
        return True

    def _find(self) -> Tools | None:
        named = (self._settings.ffprobe, self._settings.ffmpeg)
        found = [program(name) for name in named]
        missing = [name for name, path in zip(named, found, strict=True) if path is None]
        self.lacks = f"{' and '.join(missing)} not found" if missing else None
        return None if missing else Tools(*(str(path) for path in found))

    async def _say_bars(self) -> None:
        open_bars = {name: held for name, held in (await report()).items() if held != "yes"}
        if open_bars:
            _log.warning("media_cage_has_gaps", **open_bars)

    # --- the queue

    async def _sweep(self) -> None:
        """From the newest to the oldest; something newer that is sealed meanwhile comes first."""
        before: int | None = None
        while rows := await asyncio.to_thread(self._needs.shelf.unexamined, PAGE, before):
            self.counters["waiting"] = await asyncio.to_thread(self._needs.shelf.count_unexamined)
            for row in rows:
                before = row.log_index
                if row.id in self._spared:
                    continue
                await self._calm()
                await self._examine(row)
                if self._needs.arrivals()[0] != self._sealed:
                    return
        self.counters["waiting"] = len(self._spared)

    async def _calm(self) -> None:
        """Let footage through first, for a while: a site that is always busy gets its facts all the same."""
        ends_s = self._needs.clock.now().mono_s + self._pace.patience_s
        while True:
            octets = self._needs.arrivals()[1]
            await asyncio.sleep(self._pace.pause_s)
            arrived = self._needs.arrivals()[1] - octets
            if arrived <= BUSY_OCTETS_S * self._pace.pause_s or self._needs.clock.now().mono_s >= ends_s:
                return
            self.counters["held_back"] += 1

    async def _examine(self, row: Exhibit) -> None:
        began_s = self._needs.clock.now().mono_s
        try:
            await self._record(row, await self._find_out(row))
        except (EvidenceError, OSError) as problem:
            self._spare(row.id, problem)
        finally:
            self.counters["seconds"] += self._needs.clock.now().mono_s - began_s

    async def _find_out(self, row: Exhibit) -> Findings:
        assert self._tools is not None
        with contextlib.ExitStack() as stack:
            image = await asyncio.to_thread(self._image, stack, ExhibitId(row.id))
            return await Examination(image, self._tools, self._limits).run(complete=row.complete is True)

    def _image(self, stack: contextlib.ExitStack, exhibit: ExhibitId) -> Image:
        with self._needs.masters.opened(exhibit) as master:
            return stack.enter_context(imaged(master.read, master.size))

    async def _record(self, row: Exhibit, found: Findings) -> None:
        """The picture first, then the entry that names it; what was disposed of meanwhile is left alone."""
        exhibit = ExhibitId(row.id)
        now = await asyncio.to_thread(self._needs.shelf.exhibit, exhibit)
        if now is None or now.gone:
            return
        facts: dict[str, Any] = {"what": "media"}
        if found.still is not None:
            facts["thumbnail"] = await asyncio.to_thread(self._needs.pictures.put, exhibit, found.still)
            self.counters["thumbnails"] += 1
        detail = as_detail(found.facts, found.verdict) | {"tool": self._tools.version if self._tools else ""}
        await self._needs.custody.record(Act("derive", ACTOR, exhibit, facts, detail))
        self.counters["examined"] += 1
        self._count(found.verdict.playable)
        if found.verdict.playable == "not_examined":
            self._count(f"failed_{found.verdict.reason}")

    def _spare(self, exhibit: str, problem: Exception) -> None:
        """Not now: tried again with the next full turn."""
        reasons = {StoreBusyError: "busy", IntegrityError: "integrity", OSError: "system"}
        reason = next((word for kind, word in reasons.items() if isinstance(problem, kind)), "unreadable")
        self._count(f"failed_{reason}")
        _log.warning("media_not_examined", exhibit=exhibit, problem=str(problem))
        if len(self._spared) >= SPARED_MAX:
            self._spared.pop(next(iter(self._spared)))
        self._spared[exhibit] = None

    def _count(self, name: str) -> None:
        self.counters[name] = self.counters.get(name, 0) + 1
