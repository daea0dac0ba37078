"""Derivatives by the real commands in the cage, judged by ffprobe; limits and hostile masters."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.evidence.derived.wish import Made, MakingError, Wish
from gateway.evidence.rows import Exhibit
from gateway.media import making
from gateway.media.examination import Tools
from gateway.media.making import Maker
from gateway.media.settings import MediaSettings
from tests.media.films import film, pieces


class Open:
    """A master in memory; what is read of it is counted."""

    def __init__(self, content: bytes) -> None:
        self.size, self._content, self.octets = len(content), content, 0

    def read(self, start: int, end: int) -> Iterator[bytes]:
        for piece in pieces(self._content)(start, end):
            self.octets += len(piece)
            yield piece


class Masters:
    """The vault of one master."""

    def __init__(self, content: bytes) -> None:
        self.open = Open(content)

    @contextlib.contextmanager
    def opened(self, exhibit: Any) -> Iterator[Open]:
        yield self.open


async def made(content: bytes, recipe: str, **more: Any) -> tuple[Made, bytes]:
    """What comes of a master."""
    settings = {name: more.pop(name) for name in list(more) if name.startswith(("derive_", "ff"))}
    container = more.pop("container", "mp4")
    row = Exhibit(id="X-1", size=len(content), sha256="0" * 64, container=container)
    out = bytearray()

    async def pour(piece: bytes) -> None:
        out.extend(piece)

    wish = Wish("X-1", recipe, "p", "a", **more)  # type: ignore[arg-type]
    said = await Maker(MediaSettings(**settings), Masters(content)).make(row, wish, pour)
    return said, bytes(out)


def probed(tools: Tools, content: bytes) -> dict[str, Any]:
    """What ffprobe says of it, every frame decoded."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        words = ["-v", "error", "-count_frames", "-show_format", "-show_streams", "-of", "json", "-i", file.name]
        done = subprocess.run([tools.ffprobe, *words], capture_output=True, check=True)
    assert done.stderr == b""
    return dict(json.loads(done.stdout))


def frames(tools: Tools, content: bytes) -> int:
    """How many pictures decode."""
    return next(int(each["nb_read_frames"]) for each in probed(tools, content)["streams"] if "width" in each)


@pytest.mark.parametrize("form", ["film_at_front", "film_at_end", "film_in_fragments"])
async def test_a_clip_of_whole_groups(tools: Tools, form: str, request: pytest.FixtureRequest) -> None:
    """Seconds 3 to 5.5 of a film with a key frame every 2: it really is 2 to 6, 100 pictures, and says so."""
    said, content = await made(request.getfixturevalue(form), "clip_copy", from_s=3.0, to_s=5.5)
    assert (said.from_s, said.to_s) == (pytest.approx(2, abs=0.03), pytest.approx(6, abs=0.03))
    assert frames(tools, content) == 100
    assert float(probed(tools, content)["format"]["duration"]) == pytest.approx(4, abs=0.15)
    assert said.command[said.command.index("-c") :][:2] == ("-c", "copy")
    assert "MASTER" in said.command
    assert said.tool.startswith("ffmpeg version")


async def test_a_clip_to_the_picture(tools: Tools, film_at_front: bytes) -> None:
    """Exactly what was asked for, encoded anew; the same order gives the same bytes."""
    said, content = await made(film_at_front, "clip_exact", from_s=3.0, to_s=5.52)
    assert (said.from_s, said.to_s, frames(tools, content)) == (3.0, 5.52, 63)
    assert (await made(film_at_front, "clip_exact", from_s=3.0, to_s=5.52))[1] == content
    until_end, _ = await made(film_at_front, "clip_exact", from_s=11.0, to_s=99.0)
    assert until_end.to_s == pytest.approx(12.0, abs=0.05)


async def test_other_recipes(tools: Tools, film_at_front: bytes, film_in_matroska: bytes) -> None:
    """A still in full, the sound, a copy that plays everywhere; what is no MP4 stays what it is when it is cut."""
    _, still = await made(film_at_front, "still", at_s=3.3)
    (picture,) = probed(tools, still)["streams"]
    assert (picture["codec_name"], picture["width"], picture["height"]) == ("png", 320, 240)
    _, sound = await made(film_at_front, "audio")
    assert [each["codec_name"] for each in probed(tools, sound)["streams"]] == ["flac"]
    _, copy = await made(film_in_matroska, "h264_copy", container="matroska")
    assert [each["codec_name"] for each in probed(tools, copy)["streams"]] == ["h264", "aac"]
    assert frames(tools, copy) == 300
    said, cut = await made(film_in_matroska, "clip_copy", from_s=3.0, to_s=3.5, container="matroska")
    assert (said.suffix, "matroska" in probed(tools, cut)["format"]["format_name"]) == (".mkv", True)


async def test_only_the_span_of_a_large_master_is_in_memory(
    tools: Tools, film_at_end: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit of what is shown whole, the clip is the same; what needs the whole says so."""
    expected = (await made(film_at_end, "clip_copy", from_s=3.0, to_s=5.5))[1]
    shown = film(tools, film_at_end, "mp4")
    filler = (200_000_000).to_bytes(4, "big") + b"free" + bytes(200_000_000 - 8)
    large = shown + filler
    masters = Masters(large)
    out = bytearray()

    async def pour(piece: bytes) -> None:
        out.extend(piece)

    row = Exhibit(id="X-1", size=len(large), sha256="0" * 64, container="mp4")
    maker = Maker(MediaSettings(derive_source_mb=64), masters)
    await maker.make(row, Wish("X-1", "clip_copy", "p", "a", 3.0, 5.5), pour)
    assert frames(tools, bytes(out)) == frames(tools, expected) == 100
    assert masters.open.octets < 100_000_000
    with pytest.raises(MakingError, match="derive_source_mb allows 64"):
        await maker.make(row, Wish("X-1", "h264_copy", "p", "a"), pour)


async def test_what_cannot_be_made_says_why(tools: Tools, film_at_front: bytes, monkeypatch: Any) -> None:
    """No film, nothing there, no time, too much: a MakingError with the reason, whatever the master is."""
    with pytest.raises(MakingError, match="nothing is to be seen"):
        await made(b"no film at all" * 100, "clip_copy", from_s=0.0, to_s=1.0)
    with pytest.raises(MakingError, match="nothing is to be seen"):
        await made(film_at_front, "clip_copy", from_s=60.0, to_s=61.0)
    with pytest.raises(MakingError, match="Invalid data"):
        await made(b"no film at all" * 100, "h264_copy")
    with pytest.raises(MakingError, match="not found"):
        await made(film_at_front, "audio", ffmpeg="no-such-ffmpeg")
    silent = film(tools, film_at_front, "mp4", "-an")
    with pytest.raises(MakingError):
        await made(silent, "audio")
    monkeypatch.setattr(making, "LEAST_OUT", 10_000)
    monkeypatch.setattr(making, "GROWTH", 0)
    with pytest.raises(MakingError, match="output_limit"):
        await made(film_at_front, "h264_copy")


async def test_who_takes_it_may_refuse(film_at_front: bytes) -> None:
    """A disk that is full ends the command, and the error is the disk's."""

    async def pour(_piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    row = Exhibit(id="X-1", size=len(film_at_front), sha256="0" * 64, container="mp4")
    with pytest.raises(OSError, match="No space"):
        await Maker(MediaSettings(), Masters(film_at_front)).make(row, Wish("X-1", "h264_copy", "p", "a"), pour)
