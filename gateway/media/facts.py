"""What ffprobe and ffmpeg said of a recording, read; and the verdict. Their words are a hostile file's words."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from gateway.domain.time import from_rfc3339, rfc3339

Playable = Literal["playable", "partial", "unplayable", "not_examined"]
SCORE_MIN = 26
"""Below, a demultiplexer's claim is a guess by the file's looks (AVPROBE_SCORE_RETRY is 25)."""
CODECS_MAX = 16
DURATION_MAX_S = 10 * 366 * 86_400.0
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
_SHOWN = frozenset({"video", "audio"})
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
"""Containers count from 1904 or 1970: an earlier time is a clock that was never set."""
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)
_ISO_MEDIA, _QUICKTIME = "mov", "qt"
_CUT = re.compile(rb"partial file|ended prematurely|truncat", re.IGNORECASE)
_TROUBLE = re.compile(rb"invalid data|error while decoding|concealing|error splitting|corrupt", re.IGNORECASE)
_NO_MEMORY = re.compile(rb"cannot allocate memory|failed to alloc|out of memory|unable to allocate", re.IGNORECASE)
_FRAME = re.compile(rb"^frame=\s*(\d{1,9})$", re.MULTILINE)
_OUT_US = re.compile(rb"^out_time_us=\s*(\d{1,18})$", re.MULTILINE)


class Stream(msgspec.Struct, frozen=True):
    """What is read of one stream."""

    codec_type: str = ""
    codec_name: str = ""
    duration: str = ""
    disposition: dict[str, Any] = {}
    tags: dict[str, Any] = {}


class Format(msgspec.Struct, frozen=True):
    """What is read of the container."""

    format_name: str = ""
    duration: str = ""
    probe_score: int = 0
    tags: dict[str, Any] = {}


class _Probe(msgspec.Struct, frozen=True):
    streams: list[Stream] = []
    format: Format = Format()


class Facts(msgspec.Struct, frozen=True):
    """Facts of a container that was read; times as the file has them, which is the device's word."""

    container: str | None = None
    codecs: tuple[str, ...] = ()
    duration_s: float | None = None
    created_at: datetime | None = None
    has_picture: bool = False
    has_sound: bool = False


class Decoded(msgspec.Struct, frozen=True):
    """What decoding a part of a recording came to; cut: the container went on where the file did not."""

    frames: int = 0
    seconds: float = 0.0
    trouble: bool = False
    cut: bool = False

    @property
    def anything(self) -> bool:
        """Whether anything came out at all."""
        return self.frames > 0 or self.seconds > 0


def read_probe(said: bytes) -> Facts | None:
    """Read ffprobe's JSON; None where it recognised nothing, or says something else than it documents."""
    try:
        probe = msgspec.json.decode(said.decode("utf-8", "replace"), type=_Probe)
    except (msgspec.DecodeError, RecursionError):
        return None
    if probe.format.probe_score < SCORE_MIN or not probe.streams:
        return None
    shown = [stream for stream in probe.streams if stream.codec_type in _SHOWN and not _is_cover(stream)]
    names = [stream.codec_name for stream in shown if _NAME.fullmatch(stream.codec_name)]
    kinds = {stream.codec_type for stream in shown}
    return Facts(
        _container(probe.format),
        tuple(names[:CODECS_MAX]),
        _duration(probe),
        _created(probe),
        has_picture="video" in kinds,
        has_sound="audio" in kinds,
    )


def _is_cover(stream: Stream) -> bool:
    return bool(stream.disposition.get("attached_pic"))


def _container(form: Format) -> str | None:
    """The first of the demultiplexer's names; of the ISO family, whether it is QuickTime's or MP4."""
    name = form.format_name.split(",")[0]
    if name == _ISO_MEDIA:
        return "mov" if str(form.tags.get("major_brand", "")).strip() == _QUICKTIME else "mp4"
    return name if _NAME.fullmatch(name) else None


def _duration(probe: _Probe) -> float | None:
    stated = [probe.format.duration] if probe.format.duration else [stream.duration for stream in probe.streams]
    known = [seconds for text in stated if (seconds := _seconds(text)) is not None]
    return max(known, default=None)


def _seconds(text: str) -> float | None:
    if not re.fullmatch(r"\d{1,12}(?:\.\d{1,12})?", text, re.ASCII):
        return None
    seconds = round(float(text), 3)
    return seconds if math.isfinite(seconds) and seconds <= DURATION_MAX_S else None


def _created(probe: _Probe) -> datetime | None:
    for tags in (probe.format.tags, *(stream.tags for stream in probe.streams)):
        said = tags.get("creation_time")
        if isinstance(said, str) and (moment := _moment(said)) is not None:
            return moment
    return None


def _moment(text: str) -> datetime | None:
    try:
        moment = from_rfc3339(text)
    except (ValueError, OverflowError):
        return None
    return moment if _EARLIEST <= moment <= _LATEST else None


def read_decoding(progress: bytes, complaints: bytes) -> Decoded:
    """Read ffmpeg's -progress lines and what it complained of."""
    frames = [int(number) for number in _FRAME.findall(progress)]
    micros = [int(number) for number in _OUT_US.findall(progress)]
    seconds = max(micros, default=0) / 1e6
    trouble, cut = (pattern.search(complaints) is not None for pattern in (_TROUBLE, _CUT))
    return Decoded(max(frames, default=0), seconds, trouble=trouble, cut=cut)


def lacks_memory(complaints: bytes) -> bool:
    """Whether a command gave up for want of memory, which says nothing of the recording."""
    return _NO_MEMORY.search(complaints) is not None


class Verdict(msgspec.Struct, frozen=True):
    """How far the recording plays, and why where it does not, or not to its end."""

    playable: Playable
    reason: str | None = None


def verdict(facts: Facts | None, head: Decoded, tail: Decoded | None, *, complete: bool, ends_early: bool) -> Verdict:
    """Judge; tail None where the end could not be looked at (no duration, or not in the image)."""
    if facts is None:
        cut = "incomplete" if not complete else "ends_early"
        return Verdict("unplayable", cut if ends_early or not complete else "not_recognised")
    if not (facts.has_picture or facts.has_sound):
        return Verdict("unplayable", "no_picture_or_sound")
    if not head.anything:
        return Verdict("unplayable", "nothing_decodes")
    doubts = {
        "incomplete": not complete,
        "ends_early": ends_early or (tail is not None and tail.cut),
        "end_does_not_decode": tail is not None and (tail.trouble or not tail.anything),
    }
    reason = next((name for name, holds in doubts.items() if holds), None)
    return Verdict("playable" if reason is None else "partial", reason)


def as_detail(facts: Facts | None, judged: Verdict) -> dict[str, Any]:
    """The words of a custody entry; what is not known is not said."""
    known = facts or Facts()
    said: dict[str, Any] = {
        "container": known.container,
        "codecs": list(known.codecs) or None,
        "duration_s": known.duration_s,
        "media_created_at": None if known.created_at is None else rfc3339(known.created_at),
        "playable": judged.playable,
        "media_reason": judged.reason,
    }
    return {name: word for name, word in said.items() if word is not None}
