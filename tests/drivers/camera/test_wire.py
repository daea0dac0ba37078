"""Upload protocol v1: topics and payloads to commands, answers to JSON."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

import pytest

from drivers.camera import wire
from drivers.camera.wire import Abort, CommandError, Fin, Init, Piece, Response, StatusQuery
from gateway.domain.evidence import RecordingFin, RecordingKey, Segment
from gateway.domain.ids import DeviceId
from tests import peers

REC = "20261121T210503Z-0017"
KEY = RecordingKey(DeviceId("cam-0042"), REC)
FILE = f"lapel/v1/camera/cam-0042/file/{REC}"
SHA = "ab" * 32


@pytest.mark.parametrize(
    ("words", "payload", "command", "suffix"),
    [
        ("0", b"x", Piece(Segment(KEY, 0, b"x")), "…/0"),
        (f"1048576/{SHA}", b"", Piece(Segment(KEY, 1048576, b"", SHA)), "…/1048576"),
        (f"7/{SHA.upper()}", b"x", Piece(Segment(KEY, 7, b"x", SHA)), "…/7"),
        ("status", b"", StatusQuery(KEY), "…/status"),
        ("abort", b"", Abort(KEY), "…/abort"),
        ("fin/5242880", b"", Fin(RecordingFin(KEY, 5242880)), "…/fin/5242880"),
        (f"fin/5/{SHA}", b"a.b.c", Fin(RecordingFin(KEY, 5, SHA, b"a.b.c")), "…/fin/5"),
    ],
)
def test_commands(words, payload, command, suffix):
    """Each topic of part A, and how its answer names it."""
    assert wire.parse(f"{FILE}/{words}", payload) == command
    assert wire.suffix_of(command) == suffix
    assert wire.key_of(command) == KEY


def test_init_in_full():
    """Every key of the table."""
    body = {
        "v": 1,
        "name": "a.mp4",
        "size": 10,
        "checksum": SHA,
        "content_type": "video/mp4",
        "started_at": "2026-11-21T21:05:03Z",
        "ended_at": "2026-11-21T22:06:40+01:00",
        "segments_ttl": 3600,
        "user_data": {"trigger": "button"},
        "later": "ignored",
    }
    command = wire.parse(f"{FILE}/init", json.dumps(body).encode())
    assert isinstance(command, Init)
    offer = command.offer
    assert (offer.key, offer.name, offer.size, offer.checksum, offer.content_type) == (
        KEY,
        "a.mp4",
        10,
        SHA,
        "video/mp4",
    )
    assert offer.started_at == datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
    assert offer.ended_at == datetime(2026, 11, 21, 21, 6, 40, tzinfo=UTC)
    assert offer.user_data == {"trigger": "button", "segments_ttl": 3600}


def test_a_live_recording_has_no_size():
    """Size absent or null."""
    assert wire.parse(f"{FILE}/init", b'{"name":"a"}').offer.size is None
    assert wire.parse(f"{FILE}/init", b'{"name":"a","size":null}').offer.size is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("size", -1),
        ("size", "ten"),
        ("size", True),
        ("size", 1.5),
        ("size", 10**16),
        ("checksum", "abc"),
        ("checksum", 5),
        ("started_at", "noon"),
        ("started_at", "2026-11-21T21:05:03"),
        ("ended_at", 17),
        ("ended_at", "0001-01-01T00:00:00+14:00"),
        ("content_type", {}),
        ("user_data", "text"),
    ],
)
def test_an_odd_key_of_init_never_refuses_the_recording(key, value):
    """It is kept as it came; the rest is read."""
    offer = wire.parse(f"{FILE}/init", json.dumps({"name": "a", key: value}).encode()).offer
    assert offer.name == "a"
    assert offer.user_data["unreadable"] == {key: value}
    assert getattr(offer, key) == ({"unreadable": {key: value}} if key == "user_data" else None)


@pytest.mark.parametrize("name", [None, "", 5, "x" * 2000])
def test_a_recording_without_a_usable_name_is_called_by_its_id(name):
    """EMQX asks for a name; a camera without one still has footage."""
    assert wire.parse(f"{FILE}/init", json.dumps({"name": name}).encode()).offer.name == REC


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"null", b'"x"', b"{", b"\xff", b'{"a":' * 5000, b" " * 70_000 + b"{}"]
)
def test_an_init_that_is_no_object_is_malformed(payload):
    """0x83, with whom to answer."""
    with pytest.raises(CommandError, match="init") as caught:
        wire.parse(f"{FILE}/init", payload)
    assert (caught.value.key, caught.value.suffix) == (KEY, "…/init")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ("", "offset"),
        ("-1", "offset"),
        ("+1", "offset"),
        ("1_0", "offset"),
        ("01", "offset"),
        (" 1", "offset"),
        ("\uff11", "offset"),
        ("1" * 17, "offset"),
        ("0/ab", "checksum"),
        ("0/" + "g" * 64, "checksum"),
        ("0/", "checksum"),
        (f"0/{SHA}/x", "no command"),
        ("fin", "offset"),
        ("fin/x", "size"),
        ("fin/1/2", "checksum"),
        (f"fin/1/{SHA}/x", "no command"),
        ("init/x", "offset"),
        ("status/x", "offset"),
        ("stop", "offset"),
    ],
)
def test_malformed_topics_name_what_is_wrong(words, problem):
    """Numbers are strict, digests are 64 hex digits."""
    with pytest.raises(CommandError, match=problem) as caught:
        wire.parse(f"{FILE}/{words}", b"")
    assert caught.value.key == KEY
    assert caught.value.suffix.startswith("…/")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "lapel/v1/camera",
        "lapel/v1/camera/cam/file",
        "lapel/v1/camera/cam/file/rec",
        "lapel/v1/camera/gateway/file/rec/0",
        "lapel/v1/camera/a b/file/rec/0",
        "lapel/v1/camera//file/rec/0",
        "lapel/v1/camera/cam/file//0",
        "lapel/v1/camera/cam/file/a\x07b/0",
        "lapel/v1/camera/cam/file/" + "é" * 128 + "/0",
        "lapel/v1/camera/cam/event",
        "x" + FILE + "/0",
    ],
)
def test_topics_that_name_no_recording(topic):
    """Nobody to answer."""
    with pytest.raises(CommandError) as caught:
        wire.parse(topic, b"")
    assert caught.value.key is None


@pytest.mark.parametrize("recording", ["REC 0017", "фильм-1", "a.b", "..", "0", "x" * 255])
def test_any_printable_level_is_a_recording(recording):
    """Footage is not refused for its camera's naming."""
    assert wire.parse(f"lapel/v1/camera/c/file/{recording}/0", b"").segment.key.recording == recording


def test_a_manifest_of_any_length_refuses_no_recording():
    """What is too long for a manifest is for the store to say: it is no reason to refuse the footage."""
    found = wire.parse(f"{FILE}/fin/1", b"x" * 300_000)
    assert len(found.fin.manifest) == 300_000


def test_every_answer_of_the_shared_example_is_printed_key_by_key():
    """Same keys, same order, v first among the constants."""
    path = peers.shared("examples/wire/camera.jsonl")
    answers = [one["payload"] for one in map(json.loads, path.read_text().splitlines()) if one["to"] == "camera"]
    assert len(answers) == 5
    for answer in answers:
        if isinstance(answer.get("receipt"), str):
            answer["receipt"] = {"v": 1}
        keys = {name: tuple(map(tuple, value)) if isinstance(value, list) else value for name, value in answer.items()}
        assert json.loads(wire.respond(Response(**keys))) == answer


def test_commands_of_the_shared_example_are_read():
    """Every line a camera sends."""
    path = peers.shared("examples/wire/camera.jsonl")
    kinds = []
    for line in map(json.loads, path.read_text().splitlines()):
        if line["to"] == "gateway":
            topic = line["topic"].replace("<sha256 hex of the segment>", SHA).replace("<sha256 hex of the whole>", SHA)
            payload = line["payload"] if isinstance(line["payload"], str) else json.dumps(line["payload"])
            kinds.append(type(wire.parse(topic, payload.encode())))
    assert kinds == [Init, Piece, Piece, StatusQuery, Fin]


def test_digests_are_compared():
    """Stated and right, stated and wrong, not stated."""
    right = hashlib.sha256(b"abcd").hexdigest()
    assert wire.agrees(Segment(KEY, 0, b"abcd", right))
    assert not wire.agrees(Segment(KEY, 0, b"abce", right))
    assert wire.agrees(Segment(KEY, 0, b"abcd"))


def test_quarantine_never_copies_footage():
    """Long payloads by digest, short ones whole."""
    assert wire.trimmed(b"x" * 4096) == b"x" * 4096
    long = b"x" * 4097
    assert wire.trimmed(long) == b"sha256:" + hashlib.sha256(long).hexdigest().encode() + b" length:4097"
