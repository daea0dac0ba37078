"""One recording examined: what it is, one picture of it, and whether it plays to its end."""

from __future__ import annotations

import time

import msgspec

from gateway.media import commands
from gateway.media.boxes import TAIL
from gateway.media.child import Ended, Limits, run
from gateway.media.facts import Decoded, Facts, Verdict, read_decoding, read_probe, verdict
from gateway.media.image import Image

PROBE_MAX = 256 * 1024
STILL_MAX = 256 * 1024
PROGRESS_MAX = 256 * 1024
_LEAST_S = 1.0
"""A command that is given less than this is not begun."""


class Tools(msgspec.Struct, frozen=True):
    """The commands by absolute path, and what they call themselves."""

    ffprobe: str
    ffmpeg: str
    version: str = ""


class Findings(msgspec.Struct, frozen=True):
    """What was found out; still is a JPEG, or None."""

    facts: Facts | None
    verdict: Verdict
    still: bytes | None = None


class _StoppedError(Exception):
    """A command was stopped: nothing more is asked of this recording."""


class Examination:
    """The commands on one image, all within one span of time."""

    def __init__(self, image: Image, tools: Tools, limits: Limits) -> None:
        """Begin the span now."""
        self._image, self._tools, self._limits = image, tools, limits
        self._ends_s = time.monotonic() + limits.seconds
        self._facts: Facts | None = None
        self._still: bytes | None = None

    async def run(self, *, complete: bool) -> Findings:
        """Examine; complete is what the seal says of the bytes."""
        try:
            judged = await self._judge(complete=complete)
        except _StoppedError as stopped:
            judged = Verdict("not_examined", str(stopped))
        return Findings(self._facts, judged, self._still)

    async def _judge(self, *, complete: bool) -> Verdict:
        probed = await self._run(commands.probe(self._tools.ffprobe, self._image.source), PROBE_MAX)
        facts = self._facts = read_probe(probed.out)
        head, tail = Decoded(), None
        if facts is not None and (facts.has_picture or facts.has_sound):
            head = await self._head(facts)
            tail = await self._tail(facts) if head.anything else None
        return verdict(facts, head, tail, complete=complete, ends_early=self._image.layout.ends_early)

    async def _head(self, facts: Facts) -> Decoded:
        """A picture that came out is a picture that decodes; without one, see whether anything does."""
        if facts.has_picture:
            made = (await self._run(commands.still(self._tools.ffmpeg, self._image.source), STILL_MAX)).out
            if is_jpeg(made):
                self._still = made
                return Decoded(frames=1)
        return _decoded(await self._run(commands.head(self._tools.ffmpeg, self._image.source), PROGRESS_MAX))

    async def _tail(self, facts: Facts) -> Decoded | None:
        """The end, where it is known when that is. In an image with holes only a cut counts: the holes are ours."""
        if not facts.duration_s:
            return None
        seconds = min(commands.TAIL_S, facts.duration_s)
        if not self._image.whole:
            seconds = min(seconds, facts.duration_s * TAIL / 2 / self._image.layout.size)
        ended = _decoded(await self._run(commands.tail(self._tools.ffmpeg, self._image.source, seconds), PROGRESS_MAX))
        return ended if self._image.whole or ended.cut else None

    async def _run(self, command: list[str], most: int) -> Ended:
        left_s = self._ends_s - time.monotonic()
        if left_s < _LEAST_S:
            raise _StoppedError("time_limit")
        ended = await run(command, Limits(left_s, self._limits.memory_mb), most, self._image.fd)
        if ended.stopped is not None:
            raise _StoppedError(ended.stopped)
        return ended


def _decoded(ended: Ended) -> Decoded:
    return read_decoding(ended.out, ended.complaints)


def is_jpeg(content: bytes) -> bool:
    """Whether it begins and ends as a JPEG does, and is no larger than a thumbnail may be."""
    return len(content) <= STILL_MAX and content.startswith(b"\xff\xd8\xff") and content.endswith(b"\xff\xd9")
