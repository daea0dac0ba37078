"""Films made by the real encoder, and what becomes of them."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from gateway.media.child import Limits
from gateway.media.examination import Examination, Findings, Tools
from gateway.media.image import imaged

CREATED = "2026-11-21T21:05:03Z"
SECONDS = 12
LIMITS = Limits(20, 1024)


def film(tools: Tools, source: bytes | None = None, form: str = "mp4", *more: str) -> bytes:
    """A test picture with a tone; or another film in another container."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before", Path(folder) / "after"
        if source is None:
            made = ["-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25", "-f", "lavfi", "-i", "sine=440"]
            made += ["-t", str(SECONDS), "-c:v", "libx264", "-preset", "ultrafast", "-g", "50", "-c:a", "aac"]
            made += ["-threads", "1"]
        else:
            before.write_bytes(source)
            made = ["-i", str(before), "-c", "copy"]
        command = [tools.ffmpeg, "-v", "error", "-y", *made, "-metadata", f"creation_time={CREATED}"]
        subprocess.run([*command, *more, "-f", form, str(after)], check=True, stdin=subprocess.DEVNULL)
        return after.read_bytes()


def pieces(content: bytes, octets: int = 65_536) -> Callable[[int, int], Iterator[bytes]]:
    """A recording as the vault reads it."""

    def read(start: int, end: int) -> Iterator[bytes]:
        for at in range(start, min(end, len(content)), octets):
            yield content[at : min(at + octets, end)]

    return read


async def examined(content: bytes, tools: Tools, limits: Limits = LIMITS, *, complete: bool = True) -> Findings:
    """What the real commands find."""
    with imaged(pieces(content), len(content)) as image:
        return await Examination(image, tools, limits).run(complete=complete)


def box(kind: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    """One box; size states another than its own."""
    return struct.pack(">I4s", len(content) + 8 if size is None else size, kind) + content


def large_box(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    """One box with a 64-bit size."""
    return struct.pack(">I4sQ", 1, kind, len(content) + 16 if size is None else size) + content


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))
