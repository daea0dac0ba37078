"""Upload protocol v1: topics and payloads to commands, answers to JSON (docs: camera upload, part A).

Sans-IO. What is odd about a recording never refuses it: an unreadable key of `init` is kept as it
came under `user_data.unreadable`, and only a command that says nothing at all is malformed (0x83).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import msgspec

from gateway.domain.evidence import (
    FormerLog,
    Range,
    Recall,
    RecordingFin,
    RecordingKey,
    RecordingOffer,
    Segment,
    ShownReceipt,
)
from gateway.domain.ids import DeviceId, device_id
from gateway.domain.time import from_rfc3339
from gateway.errors import WireError

PREFIX = "lapel/v1/camera"
DOCK_PREFIX = "lapel/v1/dock"
FOOTAGE = (f"{PREFIX}/+/file/#", f"{DOCK_PREFIX}/+/camera/+/file/#")
TELEMETRY = (f"{PREFIX}/+/status", f"{PREFIX}/+/event")

OK, RESEND, BAD, MALFORMED, NOT_NOW = 0x00, 0x10, 0x80, 0x83, 0x97
RECORDING_LIMIT = 255
"""Bytes of a recording's id, a whole topic level (as EMQX's file transfer allows)."""
TOPIC_LIMIT = 2048
"""Characters of a topic: more than the longest command with the longest names."""
REASON_LIMIT = 200
INIT_LIMIT = 64 * 1024
RANGES_LIMIT = 1000
"""An answer names no more ranges than this; what it leaves out comes with the next one."""
QUARANTINE_LIMIT = 4096
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class Init(msgspec.Struct, frozen=True):
    """`…/init`: a recording is offered."""

    offer: RecordingOffer


class Piece(msgspec.Struct, frozen=True):
    """`…/{offset}[/{sha256}]`: a segment."""

    segment: Segment


class StatusQuery(msgspec.Struct, frozen=True):
    """`…/status`: asks what is durable and what is missing."""

    key: RecordingKey


class Fin(msgspec.Struct, frozen=True):
    """`…/fin/{size}[/{sha256}]`: everything has been sent; the payload is the device manifest or empty."""

    fin: RecordingFin


class Abort(msgspec.Struct, frozen=True):
    """`…/abort`: no more will come."""

    key: RecordingKey


Command = Init | Piece | StatusQuery | Fin | Abort


class CommandError(WireError):
    """A command that can't be read; key and suffix say whom to answer, where they are known."""

    def __init__(self, problem: str, *, key: RecordingKey | None = None, suffix: str = "") -> None:
        """Keep what an answer needs."""
        self.key, self.suffix = key, suffix
        super().__init__(problem)


class Response(msgspec.Struct, frozen=True, omit_defaults=True):
    """An answer on `…/{device}/response`; keys are present where they say something."""

    recording: str
    v: int = msgspec.field(default_factory=lambda: 1)
    topic: str | None = None
    reason_code: int = msgspec.field(default_factory=lambda: OK)
    reason_description: str = msgspec.field(default_factory=lambda: "success")
    window_bytes: int | None = None
    durable: tuple[Range, ...] | None = None
    missing: tuple[Range, ...] | None = None
    retry_after_s: int | None = None
    receipt: dict[str, Any] | None = None


_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Any])


def respond(response: Response) -> bytes:
    """Print an answer."""
    return _encode(response)


def recall(asked: Recall) -> bytes:
    """Print what cameras are asked to offer again: of each log that was succeeded the indexes that are missing."""
    return _encode({"v": 1, "vkey": asked.vkey, "recall": [_former(log) for log in asked.former]})


def _former(log: FormerLog) -> dict[str, Any]:
    return {"origin": log.origin, "missing": log.missing}


def recall_topic(device: DeviceId) -> str:
    """Name the topic that a camera listens on."""
    return f"{PREFIX}/{device}/response"


def response_topic(key: RecordingKey) -> str:
    """Name the topic that whoever sent the command listens on: the camera, or the dock that speaks for it."""
    if key.via is not None:
        return f"{DOCK_PREFIX}/{key.via}/camera/{key.device}/response"
    return f"{PREFIX}/{key.device}/response"


def key_of(command: Command) -> RecordingKey:
    """Name the recording a command is about."""
    match command:
        case Init(offer=part) | Piece(segment=part) | Fin(fin=part):
            return part.key
        case StatusQuery(key=key) | Abort(key=key):
            return key


def suffix_of(command: Command) -> str:
    """Name the command as an answer does: `…/init`, `…/3145728`, `…/fin/5242880`."""
    match command:
        case Init():
            return "…/init"
        case Piece(segment=segment):
            return f"…/{segment.offset}"
        case StatusQuery():
            return "…/status"
        case Fin(fin=fin):
            return f"…/fin/{fin.size}"
        case Abort():
            return "…/abort"


def device_of(topic: str) -> DeviceId:
    """Read the device level of any camera topic; WireError when it is no id."""
    levels = topic.split("/", 4)
    if len(levels) < 5 or not topic.startswith(f"{PREFIX}/"):
        raise WireError("topic: not a camera's")
    try:
        return device_id(levels[3])
    except ValueError as problem:
        raise WireError(f"topic: {problem}") from problem


def parse(topic: str, payload: bytes) -> Command:
    """Read one command of part A, of a camera or of a dock in its place; CommandError for anything else."""
    try:
        device, via, levels = _speaker(topic)
    except (ValueError, WireError) as problem:
        raise CommandError(_said(problem)) from problem
    if len(levels) < 3 or levels[0] != "file":
        raise CommandError("topic: no command")
    key = RecordingKey(device, _recording(levels[1]), via)
    words = levels[2:]
    suffix = "/".join(["…", *words[:2]])[:80]
    try:
        return _read(key, words, payload)
    except WireError as problem:
        raise CommandError(problem.problem, key=key, suffix=suffix) from problem


def _speaker(topic: str) -> tuple[DeviceId, DeviceId | None, list[str]]:
    """Whose recording, the dock that speaks for the camera, and the levels behind: levels are compared whole."""
    if len(topic) > TOPIC_LIMIT:
        raise WireError(f"topic: {len(topic)} characters, more than {TOPIC_LIMIT}")
    match topic.split("/"):
        case ["lapel", "v1", "camera", device, *levels]:
            return device_id(device), None, levels
        case ["lapel", "v1", "dock", dock, "camera", device, *levels]:
            return device_id(device), device_id(dock), levels
    raise WireError("topic: not a camera's")


def _said(problem: ValueError | WireError) -> str:
    """The reason in short: a name of 10 kB is not repeated in it."""
    text = problem.problem if isinstance(problem, WireError) else f"topic: {problem}"
    return text if len(text) <= REASON_LIMIT else f"{text[:REASON_LIMIT]}…"


def _recording(text: str) -> str:
    if not text or not text.isprintable() or len(text.encode()) > RECORDING_LIMIT:
        raise CommandError("topic: the recording's id is empty, too long or not printable")
    return text


def _read(key: RecordingKey, words: list[str], payload: bytes) -> Command:
    match words:
        case ["init"]:
            return Init(_offer(key, payload))
        case ["status"]:
            return StatusQuery(key)
        case ["abort"]:
            return Abort(key)
        case ["fin", size, *rest] if len(rest) < 2:
            return Fin(RecordingFin(key, _number(size, "size"), _stated(rest), payload))
        case [offset, *rest] if len(rest) < 2:
            return Piece(Segment(key, _number(offset, "offset"), payload, _stated(rest)))
    raise WireError("topic: no command")


def _stated(rest: list[str]) -> str | None:
    """Read the optional SHA-256 level."""
    return _digest(rest[0]) if rest else None


def _number(text: str, what: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise WireError(f"{what}: {text[:24]!r} is not a decimal number")
    return int(text)


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise WireError("checksum: not 64 hex digits")
    return text.lower()


def _offer(key: RecordingKey, payload: bytes) -> RecordingOffer:
    """Read `init`: any JSON object will do; only `name` is expected, the rest is optional."""
    if len(payload) > INIT_LIMIT:
        raise WireError(f"init: {len(payload)} bytes, more than {INIT_LIMIT}")
    try:
        found = _object.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as problem:
        raise WireError(f"init: not a JSON object: {problem}") from problem
    odd: dict[str, Any] = {}
    name = _taken(found, "name", _name, odd) or key.recording
    size, checksum = _taken(found, "size", _size, odd), _taken(found, "checksum", _text_digest, odd)
    kind = _taken(found, "content_type", _name, odd)
    started, ended = _taken(found, "started_at", from_rfc3339, odd), _taken(found, "ended_at", from_rfc3339, odd)
    extra = dict(_taken(found, "user_data", _mapping, odd) or {})
    if "segments_ttl" in found:
        extra.setdefault("segments_ttl", found["segments_ttl"])
    receipt = _taken(found, "receipt", _receipt, odd)
    if odd:
        extra["unreadable"] = odd
    return RecordingOffer(key, name, size, checksum, kind, started, ended, extra, key.via, receipt)


def _taken(found: dict[str, Any], key: str, read: Callable[[Any], Any], odd: dict[str, Any]) -> Any:  # noqa: ANN401
    """Read one key of `init`; what can't be read is kept as it came."""
    value = found.get(key)
    if value is None:
        return None
    try:
        return read(value)
    except (ValueError, TypeError, OverflowError, WireError):
        odd[key] = value
        return None


def _name(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > 1024:
        raise ValueError(value)
    return value


def _size(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 10**16:
        raise ValueError(value)
    return value


def _text_digest(value: object) -> str:
    return _digest(_name(value))


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def _receipt(value: object) -> ShownReceipt:
    """Read what a camera shows of a receipt: what it proves is not judged here."""
    try:
        return msgspec.convert(value, ShownReceipt)
    except msgspec.ValidationError as problem:
        raise ValueError(problem) from problem


def agrees(segment: Segment) -> bool:
    """Compare a segment with the SHA-256 that its topic states; True where it states none."""
    return segment.sha256 is None or hashlib.sha256(segment.content).hexdigest() == segment.sha256


def trimmed(payload: bytes) -> bytes:
    """Give what quarantine keeps of a frame: footage is named by its digest, never copied there."""
    if len(payload) <= QUARANTINE_LIMIT:
        return payload
    return b"sha256:%b length:%d" % (hashlib.sha256(payload).hexdigest().encode(), len(payload))
