"""What the commands say, read: sound, odd and hostile words; and the verdict."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.canonical import canonical
from gateway.media.facts import (
    Decoded,
    Facts,
    Verdict,
    as_detail,
    lacks_memory,
    read_decoding,
    read_probe,
    verdict,
)

VIDEO = {"codec_type": "video", "codec_name": "h264", "duration": "12.000000", "disposition": {"attached_pic": 0}}
AUDIO = {"codec_type": "audio", "codec_name": "aac", "duration": "11.9"}
FORMAT = {
    "format_name": "mov,mp4,m4a,3gp,3g2,mj2",
    "duration": "12.023281",
    "probe_score": 100,
    "tags": {"major_brand": "isom", "creation_time": "2026-11-21T21:05:03.000000Z"},
}


def said(*streams: dict[str, Any], **form: Any) -> bytes:
    """Ffprobe's JSON."""
    return json.dumps({"programs": [], "streams": streams, "format": {**FORMAT, **form}}).encode()


def read(*streams: dict[str, Any], **form: Any) -> Facts:
    """Facts that there are."""
    facts = read_probe(said(*streams, **form))
    assert facts is not None
    return facts


def test_an_ordinary_recording() -> None:
    """Container, codecs in order, seconds, the device's own time."""
    at = datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
    assert read(VIDEO, AUDIO) == Facts("mp4", ("h264", "aac"), 12.023, at, has_picture=True, has_sound=True)


def test_containers() -> None:
    """QuickTime by its brand; others by their first name; what is no name is none."""
    assert read(VIDEO, tags={"major_brand": "qt  "}).container == "mov"
    assert read(VIDEO, format_name="matroska,webm").container == "matroska"
    assert read(VIDEO, format_name="<script>").container is None


def test_a_guess_is_nothing() -> None:
    """A score of 25 or less, no streams, or no JSON at all."""
    assert read_probe(said(VIDEO, probe_score=25)) is None
    assert read_probe(said()) is None
    for odd in (b"", b"{", b"[]", b'{"streams": 5}', b"\xff\xfe", b'{"format": {"probe_score": "x"}}', b"[" * 200_000):
        assert read_probe(odd) is None


def test_a_cover_is_no_picture() -> None:
    """A sound file with a picture on its sleeve has sound; other streams are not listed."""
    cover = {"codec_type": "video", "codec_name": "mjpeg", "disposition": {"attached_pic": 1}}
    facts = read(AUDIO, cover, {"codec_type": "data", "codec_name": "bin_data"})
    assert (facts.codecs, facts.has_picture, facts.has_sound) == (("aac",), False, True)


@pytest.mark.parametrize("duration", ["", "N/A", "-1", "nan", "inf", "1e9", "9" * 12, "0x10", "١٢"])
def test_durations_that_are_none(duration: str) -> None:
    """Only decimal seconds within ten years."""
    assert read({**VIDEO, "duration": duration}, duration=duration).duration_s is None


def test_duration_of_the_streams() -> None:
    """Where the container says none, the longest of its streams."""
    assert read(VIDEO, AUDIO, duration="").duration_s == 12.0


@pytest.mark.parametrize(
    "said_at", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z", "2026-13-01T00:00:00Z", "yesterday", "", "9999"]
)
def test_clocks_never_set(said_at: str) -> None:
    """The container's epoch is no time; nor is what cannot be read."""
    assert read(VIDEO, tags={"creation_time": said_at}).created_at is None


def test_creation_time_of_a_stream() -> None:
    """Where the container has none, its first stream's; another type is passed over."""
    stream = {**VIDEO, "tags": {"creation_time": "2026-11-21T22:05:03+01:00"}}
    assert read({**AUDIO, "tags": {"creation_time": 5}}, stream, tags={}).created_at == datetime(
        2026, 11, 21, 21, 5, 3, tzinfo=UTC
    )


WORDS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
TAGS = st.dictionaries(st.sampled_from(["creation_time", "major_brand", "x"]), WORDS, max_size=3)
STREAMS = st.fixed_dictionaries(
    {},
    optional={
        "codec_type": st.sampled_from(["video", "audio", "data", ""]) | st.text(max_size=9),
        "codec_name": st.text(max_size=40),
        "duration": st.text(max_size=20) | st.floats().map(str),
        "disposition": st.dictionaries(st.just("attached_pic"), WORDS, max_size=1),
        "tags": TAGS,
    },
)


@given(st.lists(STREAMS, max_size=40), TAGS, st.text(max_size=40), st.text(max_size=20) | st.floats().map(str))
def test_any_words_give_facts_that_can_be_written(
    streams: list[dict[str, Any]], tags: dict[str, Any], name: str, duration: str
) -> None:
    """Whatever stands where, the facts are bounded, of their types, and canonical JSON."""
    raw = said(*streams, tags=tags, format_name=name, duration=duration)
    facts = read_probe(raw)
    if facts is None:
        return
    assert len(facts.codecs) <= 16
    assert all(codec.isascii() and len(codec) <= 32 for codec in facts.codecs)
    assert facts.duration_s is None or 0 <= facts.duration_s < 1e9
    assert len(canonical(as_detail(facts, Verdict("playable")))) < 1000


@given(st.binary(max_size=400))
def test_any_bytes_are_read(raw: bytes) -> None:
    """Nothing is ever raised."""
    read_probe(raw)
    read_decoding(raw, raw)
    lacks_memory(raw)


@given(WORDS)
def test_any_json_is_read(document: Any) -> None:
    """Nothing is ever raised by another document either."""
    read_probe(json.dumps(document).encode())


def test_decoding() -> None:
    """The last count of frames and of microseconds; trouble is what was complained of."""
    progress = b"frame=1\nout_time_us=40000\nprogress=continue\nframe=100\nout_time_us=4004717\nprogress=end\n"
    assert read_decoding(progress, b"") == Decoded(100, 4.004717, trouble=False)
    assert read_decoding(b"frame=N/A\nout_time_us=N/A\n", b"").anything is False
    assert read_decoding(progress, b"[mov @ 0x5] stream 0, offset 0x1e8420: partial file").cut
    assert read_decoding(progress, b"[matroska,webm @ 0xb] File ended prematurely").cut
    broken = read_decoding(progress, b"Error while decoding stream #0:0: Invalid data found when processing input")
    assert (broken.trouble, broken.cut) == (True, False)
    assert read_decoding(progress, b"deprecated pixel format used") == Decoded(100, 4.004717)


def test_memory() -> None:
    """A command without memory says nothing of the recording."""
    assert lacks_memory(b"file:x: Cannot allocate memory")
    assert not lacks_memory(b"moov atom not found")


FACTS = Facts("mp4", ("h264",), 12.0, None, has_picture=True)
WELL = Decoded(50, 2.0)


@pytest.mark.parametrize(
    ("expected", "facts", "head", "tail", "complete", "ends_early"),
    [
        (Verdict("playable"), FACTS, WELL, WELL, True, False),
        (Verdict("playable"), FACTS, WELL, None, True, False),
        (Verdict("unplayable", "not_recognised"), None, WELL, WELL, True, False),
        (Verdict("unplayable", "ends_early"), None, Decoded(), None, True, True),
        (Verdict("unplayable", "incomplete"), None, Decoded(), None, False, True),
        (Verdict("unplayable", "no_picture_or_sound"), Facts("mp4"), WELL, WELL, True, False),
        (Verdict("unplayable", "nothing_decodes"), FACTS, Decoded(), None, True, False),
        (Verdict("partial", "incomplete"), FACTS, WELL, WELL, False, True),
        (Verdict("partial", "ends_early"), FACTS, WELL, WELL, True, True),
        (Verdict("partial", "ends_early"), FACTS, WELL, Decoded(9, 1.0, trouble=True, cut=True), True, False),
        (Verdict("partial", "end_does_not_decode"), FACTS, WELL, Decoded(), True, False),
        (Verdict("partial", "end_does_not_decode"), FACTS, WELL, Decoded(7, 0.3, trouble=True), True, False),
    ],
)
def test_verdicts(
    expected: Verdict, facts: Facts | None, head: Decoded, tail: Decoded | None, complete: bool, ends_early: bool
) -> None:
    """Each verdict with its reason; the seal's word before the container's."""
    assert verdict(facts, head, tail, complete=complete, ends_early=ends_early) == expected


def test_what_is_not_known_is_not_said() -> None:
    """A detail holds what was found, and times as text."""
    at = datetime(2026, 11, 21, 21, 5, 3, 120_000, tzinfo=UTC)
    facts = Facts("mp4", ("h264",), 1.5, at, has_picture=True)
    assert as_detail(facts, Verdict("partial", "ends_early")) == {
        "container": "mp4",
        "codecs": ["h264"],
        "duration_s": 1.5,
        "media_created_at": "2026-11-21T21:05:03.120Z",
        "playable": "partial",
        "media_reason": "ends_early",
    }
    assert as_detail(None, Verdict("not_examined", "time_limit")) == {
        "playable": "not_examined",
        "media_reason": "time_limit",
    }
