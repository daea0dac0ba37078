"""Recordings as they come, by the real commands: whole, cut, holed, false and hostile."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from gateway.media import boxes
from gateway.media.child import Limits
from gateway.media.examination import Tools, is_jpeg
from gateway.media.facts import Verdict
from tests.media.films import SECONDS, box, examined, film, large_box

MADE = datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
PLAYABLE = Verdict("playable")


@pytest.mark.parametrize("which", ["film_at_end", "film_at_front", "film_in_fragments", "film_in_matroska"])
async def test_whole_recordings(which: str, tools: Tools, request: pytest.FixtureRequest) -> None:
    """Playable, with every fact, and a picture."""
    found = await examined(request.getfixturevalue(which), tools)
    facts = found.facts
    assert found.verdict == PLAYABLE
    assert facts is not None
    assert facts.container == ("matroska" if "matroska" in which else "mp4")
    assert facts.codecs == ("h264", "aac")
    assert facts.duration_s == pytest.approx(SECONDS, abs=0.1)
    assert facts.created_at == MADE
    assert found.still is not None
    assert is_jpeg(found.still)
    assert 1_000 < len(found.still) < 60_000


@pytest.mark.parametrize("which", ["film_at_front", "film_in_fragments", "film_in_matroska"])
async def test_cut_at_seventy_percent(which: str, tools: Tools, request: pytest.FixtureRequest) -> None:
    """What has its index in front plays to where it was cut, and says why no further."""
    whole = request.getfixturevalue(which)
    found = await examined(whole[: len(whole) * 7 // 10], tools)
    assert found.verdict == Verdict("partial", "ends_early")
    assert found.still is not None


async def test_an_end_that_does_not_decode(film_at_front: bytes, tools: Tools) -> None:
    """Zeros for the last seconds, of which nobody told: partial."""
    octets = len(film_at_front) // 2
    found = await examined(film_at_front[:-octets] + bytes(octets), tools)
    assert found.verdict == Verdict("partial", "end_does_not_decode")


async def test_cut_before_its_index(film_at_end: bytes, tools: Tools) -> None:
    """An index at the end that never came is no recording yet; the bytes are kept all the same."""
    for octets in (len(film_at_end) * 7 // 10, film_at_end.rindex(b"moov") + 900):
        found = await examined(film_at_end[:octets], tools)
        assert found.verdict == Verdict("unplayable", "ends_early")
        assert found.facts is None


async def test_cut_inside_an_index_in_front(film_at_front: bytes, tools: Tools) -> None:
    """Half an index leads to no picture."""
    found = await examined(film_at_front[: film_at_front.index(b"moov") + 400], tools)
    assert found.verdict.playable == "unplayable"
    assert found.still is None


async def test_zeros_where_bytes_are_missing(film_at_front: bytes, tools: Tools) -> None:
    """The seal knows of the hole: partial, though its end decodes. In the index, it is nothing."""
    holed = bytearray(film_at_front)
    holed[len(holed) // 2 : len(holed) // 2 + 50_000] = bytes(50_000)
    assert (await examined(bytes(holed), tools, complete=False)).verdict == Verdict("partial", "incomplete")
    holed[:20_000] = bytes(20_000)
    assert (await examined(bytes(holed), tools, complete=False)).verdict == Verdict("unplayable", "incomplete")


async def test_sound_alone(tools: Tools, film_at_end: bytes) -> None:
    """A recording without a picture plays; it has no thumbnail."""
    found = await examined(film(tools, film_at_end, "mp4", "-vn"), tools)
    assert found.verdict == PLAYABLE
    assert found.facts is not None
    assert (found.facts.codecs, found.facts.has_picture, found.still) == (("aac",), False, None)


async def test_a_film_of_less_than_a_second(tools: Tools, film_at_end: bytes) -> None:
    """Shorter than what is decoded of each end."""
    found = await examined(film(tools, film_at_end, "mp4", "-t", "0.4"), tools)
    assert found.verdict == PLAYABLE
    assert found.still is not None


NOTHING = {
    "empty": b"",
    "random": os.urandom(200_000),
    "text": b"not a film at all\n" * 2_000,
    "zeros": bytes(100_000),
    "archive": b"PK\x03\x04" + bytes(5_000) + b"PK\x05\x06" + bytes(18),
    "nested": b"",
    "claims 4 GB": box(b"ftyp", b"isom0000isom") + box(b"moov", bytes(900), size=0xFFFFFFF0),
    "claims 2^62": box(b"ftyp", b"isom0000isom") + large_box(b"moov", bytes(900), size=1 << 62),
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "concatenation": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "huge picture": b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 65_535, 65_535, 8, 2, 0, 0, 0),
}
for _ in range(3_000):
    NOTHING["nested"] = box(b"moov", NOTHING["nested"])
NOTHING["nested"] = box(b"ftyp", b"isom0000isom") + NOTHING["nested"]


@pytest.mark.parametrize("name", NOTHING)
async def test_what_is_no_recording(name: str, tools: Tools) -> None:
    """Unplayable, or given up for memory; quickly, and never an error."""
    found = await examined(NOTHING[name], tools)
    assert found.verdict.playable in {"unplayable", "not_examined"}
    assert found.still is None


async def test_many_broken_films(film_at_front: bytes, tools: Tools) -> None:
    """Bits turned over in the index: whatever comes of it, a verdict does."""
    for seed in range(6):
        broken = bytearray(film_at_front)
        for step in range(40):
            broken[(seed * 7_919 + step * 311) % 9_000 + 8] ^= 0xFF
        found = await examined(bytes(broken), tools)
        assert found.verdict.playable in {"playable", "partial", "unplayable", "not_examined"}


@pytest.mark.parametrize("which", ["film_at_end", "film_at_front", "film_in_fragments", "film_in_matroska"])
async def test_a_large_recording_through_its_holes(
    which: str, tools: Tools, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image of parts gives the same facts as the whole, and the cut is seen in it too."""
    whole = request.getfixturevalue(which)
    complete = await examined(whole, tools)
    for name, octets in (("WHOLE_MAX", 400_000), ("HEAD", 120_000), ("TAIL", 120_000), ("INDEX_MAX", 60_000)):
        monkeypatch.setattr(boxes, name, octets)
    monkeypatch.setattr("gateway.media.image.WHOLE_MAX", 400_000)
    monkeypatch.setattr("gateway.media.examination.TAIL", 120_000)
    assert len(whole) > 500_000
    found = await examined(whole, tools)
    assert (found.facts, found.verdict) == (complete.facts, PLAYABLE)
    assert found.still is not None
    cut = await examined(whole[: len(whole) * 9 // 10], tools)
    assert cut.verdict.playable == ("unplayable" if which == "film_at_end" else "partial")


# --- commands that a file has turned


async def turned(stand_in: Callable[[str], str], script: str, seconds: float = 2) -> Verdict:
    """The verdict where the prober does this."""
    path = stand_in(script)
    found = await examined(b"x" * 100, Tools(path, path), Limits(seconds, 1024))
    return found.verdict


async def test_a_prober_that_hangs(stand_in: Callable[[str], str]) -> None:
    """Not examined, and why."""
    hang = "while :; do read x < /dev/null; done"
    assert await turned(stand_in, hang, 1) == Verdict("not_examined", "time_limit")


async def test_a_prober_that_crashes(stand_in: Callable[[str], str]) -> None:
    """A crash says nothing of the recording."""
    assert await turned(stand_in, "kill -SEGV $$; ulimit -t 1; while :; do :; done") in (
        Verdict("not_examined", "crashed"),
        Verdict("not_examined", "time_limit"),
    )


async def test_a_prober_that_babbles(stand_in: Callable[[str], str]) -> None:
    """Too much is not examined; rubbish is not recognised."""
    assert await turned(stand_in, "while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", 9) == Verdict(
        "not_examined", "output_limit"
    )
    assert await turned(stand_in, "echo '{]'") == Verdict("unplayable", "not_recognised")


async def test_facts_survive_a_decoder_that_hangs(
    stand_in: Callable[[str], str], tools: Tools, film_at_front: bytes
) -> None:
    """What the prober found stays; only the verdict is missing."""
    slow = stand_in("while :; do read x < /dev/null; done")
    found = await examined(film_at_front, Tools(tools.ffprobe, slow), Limits(3, 1024))
    assert found.verdict == Verdict("not_examined", "time_limit")
    assert found.facts is not None
    assert found.facts.codecs == ("h264", "aac")


def test_pictures() -> None:
    """A JPEG by both its ends, and no larger than it may be."""
    assert is_jpeg(b"\xff\xd8\xff" + bytes(9) + b"\xff\xd9")
    assert not is_jpeg(b"\xff\xd8\xff" + bytes(300_000) + b"\xff\xd9")
    assert not is_jpeg(b"<svg>")
    assert not is_jpeg(b"")
