"""A derivative made of a master by the ffmpeg commands in their cage: the master is read, what comes out is poured."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec

from gateway.domain.evidence import Range
from gateway.domain.ids import ExhibitId
from gateway.evidence.derived.wish import CLIPS, Made, MakingError, Wish
from gateway.evidence.rows import Exhibit
from gateway.media import commands
from gateway.media.boxes import WHOLE_MAX, layout
from gateway.media.child import Limits, Pour, poured, program, run
from gateway.media.cutting import AROUND_S, Cut, cut, read_packets
from gateway.media.examination import Tools
from gateway.media.examiner import Masters
from gateway.media.image import Image, imaged
from gateway.media.settings import MediaSettings

PACKETS_MAX = 64 << 20
VERSION_MAX = 64 * 1024
GROWTH = 4
LEAST_OUT = 64 << 20
_ISO = frozenset({None, "mp4", "mov"})


class Maker:
    """Makes what a wish says; `make` is what a deriver asks for."""

    def __init__(self, settings: MediaSettings, masters: Masters) -> None:
        """Nothing is looked for yet."""
        self._settings, self._masters = settings, masters
        self._limits = Limits(settings.derive_seconds, settings.derive_memory_mb)

    async def make(self, row: Exhibit, wish: Wish, pour: Pour) -> Made:
        """Read the master, pour what is made of it; MakingError says why nothing is."""
        tools, found = await self._found(), None
        if wish.recipe in CLIPS or wish.recipe == "still":
            found = await self._cut(tools, row, wish)
        with contextlib.ExitStack() as stack:
            image = await asyncio.to_thread(self._image, stack, row, self._spans(row, wish, found))
            command, made = _order(tools, image.source, row, wish, found)
            most = max(LEAST_OUT, GROWTH * (row.size or 0))
            ended = await poured(command, self._limits, most, pour, image.fd)
        if ended.stopped is not None or ended.code:
            raise MakingError(ended.stopped or _said(ended.complaints))
        return made

    async def _found(self) -> Tools:
        named = (self._settings.ffprobe, self._settings.ffmpeg)
        paths = [await asyncio.to_thread(program, name) for name in named]
        missing = [name for name, path in zip(named, paths, strict=True) if path is None]
        if missing:
            raise MakingError(f"{' and '.join(missing)} not found")
        tools = Tools(*(str(path) for path in paths))
        ended = await run([tools.ffmpeg, "-version"], Limits(60, self._limits.memory_mb), VERSION_MAX)
        if ended.code or ended.stopped:
            raise MakingError(f"{self._settings.ffmpeg} does not run: {ended.stopped or _said(ended.complaints)}")
        version = ended.out.split(b"\n", 1)[0].split(b" Copyright", 1)[0].decode("utf-8", "replace")[:100]
        return msgspec.structs.replace(tools, version=version)

    async def _cut(self, tools: Tools, row: Exhibit, wish: Wish) -> Cut:
        """The groups of pictures that the wish needs, by the index of the recording."""
        from_s, to_s = _span_s(wish)
        with contextlib.ExitStack() as stack:
            image = await asyncio.to_thread(self._image, stack, row, ())
            around = max(0.0, from_s - AROUND_S), to_s + AROUND_S
            listing = commands.packets(tools.ffprobe, image.source, *around)
            ended = await run(listing, self._limits, PACKETS_MAX, image.fd)
        found = cut(read_packets(ended.out), from_s, to_s)
        if ended.stopped is not None or found is None:
            raise MakingError(ended.stopped or f"nothing is to be seen or heard from {from_s:g} s on")
        return found

    def _spans(self, row: Exhibit, wish: Wish, found: Cut | None) -> Sequence[Range]:
        """What of the master has to be in memory, beyond its index; MakingError where that is too much."""
        size = row.size or 0
        if size <= WHOLE_MAX:
            return ()
        span = (0, size) if found is None or not self._boxed(row) else found.span
        if span[1] - span[0] > self._settings.derive_source_mb << 20:
            needed = (span[1] - span[0]) >> 20
            raise MakingError(
                f"{wish.recipe} needs {needed} MB of the master in memory, "
                f"[media] derive_source_mb allows {self._settings.derive_source_mb}"
            )
        return (span,)

    def _boxed(self, row: Exhibit) -> bool:
        """Whether its index says where each second lies (ISO base media): then a span of it is enough."""
        with self._masters.opened(ExhibitId(row.id)) as master:

            def read(start: int, end: int) -> bytes:
                return b"".join(master.read(start, end))

            return layout(read, master.size).sound

    def _image(self, stack: contextlib.ExitStack, row: Exhibit, more: Sequence[Range]) -> Image:
        with self._masters.opened(ExhibitId(row.id)) as master:
            return stack.enter_context(imaged(master.read, master.size, more))


def _span_s(wish: Wish) -> tuple[float, float]:
    if wish.recipe == "still":
        at_s = wish.at_s or 0.0
        return at_s, at_s + 0.001
    return wish.from_s or 0.0, wish.to_s or 0.0


def _order(tools: Tools, source: str, row: Exhibit, wish: Wish, found: Cut | None) -> tuple[list[str], Made]:
    """The command line, and what will be said of it: without the program, the source called MASTER."""
    bounds: tuple[float | None, float | None] = (None, None)
    suffix = kind = None
    match wish.recipe, found:
        case "clip_copy", Cut():
            bounds = found.from_s, found.to_s
            form = "mp4" if row.container in _ISO else "matroska"
            if form != "mp4":
                suffix, kind = ".mkv", "video/x-matroska"
            command = commands.clip_copy(tools.ffmpeg, source, (found.from_s, found.to_s), form)
        case "clip_exact", Cut():
            bounds = wish.from_s or 0.0, min(wish.to_s or 0.0, found.to_s)
            command = commands.clip_exact(tools.ffmpeg, source, bounds[0] or 0.0, bounds[1] or 0.0)
        case "still", _:
            command = commands.picture(tools.ffmpeg, source, wish.at_s or 0.0)
        case "audio", _:
            command = commands.sound(tools.ffmpeg, source)
        case _:
            command = commands.h264_copy(tools.ffmpeg, source)
    shown = tuple("MASTER" if word == source else word for word in command[1:])
    return command, Made(tools.version, shown, *bounds, suffix, kind)


def _said(complaints: bytes) -> str:
    """The first thing that the command complained of; a hostile file's words, so few of them."""
    line = next((line for line in complaints.decode("utf-8", "replace").splitlines() if line.strip()), "it failed")
    return "".join(letter if letter.isprintable() else "?" for letter in line)[:200]
