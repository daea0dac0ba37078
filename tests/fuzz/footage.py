"""What is fuzzed of cameras and beacons: a topic on the first line, the payload behind it."""

from __future__ import annotations

from datetime import UTC, datetime

from drivers.beacon import wire as beacon_wire
from drivers.camera import telemetry, wire
from drivers.camera.transfer import Job, Transfer
from gateway.domain.events import EmergencyReport
from gateway.domain.evidence import UploadState
from gateway.domain.time import Instant
from gateway.errors import WireError

NOW = Instant(100.0, datetime(2026, 11, 21, tzinfo=UTC))
TOPICS = beacon_wire.Topics((*beacon_wire.TOPICS,))


def _split(octets: bytes) -> tuple[str, bytes]:
    """As a broker hands them over: the topic is UTF-8, without NUL."""
    topic, _, payload = octets.partition(b"\n")
    return topic.decode("utf-8", "replace").replace("\0", ""), payload


def fuzz_camera(octets: bytes) -> None:
    """A command or a CommandError, of a camera or of a dock; what is read can be answered, and the answer printed."""
    topic, payload = _split(octets)
    for prefix in (wire.PREFIX, wire.DOCK_PREFIX):
        _converse(f"{prefix}/{topic}", payload)


def _converse(topic: str, payload: bytes) -> None:
    try:
        command = wire.parse(topic, payload)
    except wire.CommandError as problem:
        if problem.key is not None and not problem.suffix:
            raise AssertionError("nobody to answer") from problem
        wire.respond(wire.Response("r", topic=problem.suffix, reason_description=problem.problem))
        return
    key = wire.key_of(command)
    assert "/" not in key.device + key.recording, "a level has more than one"
    transfer = Transfer(key, 1 << 20)
    job = Job(command)
    assert transfer.take(job)
    assert transfer.startable() == [job]
    state = UploadState(key, None, ((0, 1),), ((1, 2),), 1 << 20)
    if isinstance(command, wire.Piece):
        wire.agrees(command.segment)
        transfer.kept(job, state)
    else:
        transfer.settled(job, state)
    answer = transfer.answer()
    assert answer is not None, "no answer"
    wire.respond(answer.response)
    assert transfer.idle, "something is left"


def fuzz_telemetry(octets: bytes) -> None:
    """Never an exception; a panic that can be read as one always comes out, and first."""
    topic, payload = _split(octets)
    reading = telemetry.read(f"{wire.PREFIX}/{topic}", payload, NOW, "fuzz")
    for event in reading.events[1:]:
        assert not isinstance(event, EmergencyReport), "an emergency behind something else"


def fuzz_beacon(octets: bytes) -> None:
    """Events and problems, never an exception; those that are urgent first."""
    topic, payload = _split(octets)
    reading = beacon_wire.read(TOPICS, topic, payload, NOW)
    kinds = [isinstance(event, EmergencyReport) for event in reading.events]
    assert kinds == sorted(kinds, reverse=True), "an emergency behind something else"
    try:
        beacon_wire.decode(TOPICS, topic, payload, NOW)
    except WireError:
        return


FOOTAGE_TARGETS = {"camera": fuzz_camera, "telemetry": fuzz_telemetry, "beacon": fuzz_beacon}

FOOTAGE_SEEDS: dict[str, list[bytes]] = {
    "camera": [
        b'cam-1/file/r-1/init\n{"v":1,"name":"a.mp4","size":5,"checksum":"' + b"a" * 64 + b'"}',
        b'cam-1/file/r-1/init\n{"name":"a","started_at":"2026-11-21T21:05:03Z","user_data":{"tags":["x"]}}',
        b"cam-1/file/r-1/1048576/" + b"0" * 64 + b"\nfootage",
        b"cam-1/file/r-1/fin/5/" + b"F" * 64 + b"\ney.ey.sig",
        b'dock-1/camera/cam-1/file/r-1/init\n{"v":1,"name":"a.mp4","size":5}',
        b"dock-1/camera/cam-1/file/r-1/0\nfootage",
        b"cam-1/file/r-1/status\n",
        b"cam-1/file/../abort\n",
        b"cam-1/file/r-1/fin/99999999999999999999\n",
    ],
    "telemetry": [
        b'cam-1/event\n{"v":1,"at":"2026-11-21T21:05:03Z","event":"panic","latitude":52.5,"longitude":-0.2}',
        b'cam-1/status\n{"v":1,"at":"2026-11-21T21:05:03Z","battery_pct":81,"storage_free_mb":100}',
        b'cam-1/event\n{"event":"recording_started","recording":"r","n":17,"trigger":"button"}',
    ],
    "beacon": [
        b'owntracks/a/b\n{"_type":"location","lat":52.5,"lon":-0.2,"tst":1795000000,"acc":5,"batt":80}',
        b'lapel/v1/beacon/b-1/position\n{"v":1,"latitude":52.5,"longitude":-0.2,"sos":true}',
        b'owntracks/a/b\n[{"class":"TPV","mode":3,"lat":1,"lon":2,"time":"2026-11-21T00:00:00Z"}]',
        b"lapel/v1/beacon/b-1/position\n$GNRMC,103607.00,A,5327.03942,N,00214.42462,W,0.046,,060321,,,A,V*0F\n$GPGGA,,*00",
        b'lapel/v1/beacon/b-1/position\n{"type":"Feature","geometry":{"type":"Point","coordinates":[-0.2,52.5]}}',
    ],
}
