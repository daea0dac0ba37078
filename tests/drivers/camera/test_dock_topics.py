"""Topics of docks that speak for cameras, and tricks in topics: read exactly, or refused with the reason."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.camera import wire
from drivers.camera.driver import Settings, build
from drivers.camera.share import RECORDINGS_MAX, speaker
from drivers.camera.wire import Abort, CommandError, Fin, Init, Piece, StatusQuery
from gateway.domain.evidence import RecordingKey
from gateway.domain.ids import DeviceId
from gateway.ports import BrokerAddress, DriverContext
from tests.drivers.camera.sink import Sink
from tests.drivers.links.rig import Intake, StillClock, broker, device, running, until

KEY = RecordingKey(DeviceId("cam-0042"), "rec-1", DeviceId("dock-1"))
FILE = "lapel/v1/dock/dock-1/camera/cam-0042/file/rec-1"
SHA = hashlib.sha256(b"abcd").hexdigest()
TRICKS = [
    *("..", ".", "../../cam-2", "a/b", "", "+", "#", "a+b", "cam#", "a\x00b", "x" * 65, "x" * 10_000, "é", "cam-0042 "),
    *("cam\u2215x", "\uff43am-1", "\u202ecam", "gateway", "-cam", "cam\n", "%2e%2e", "$SYS", "cam-0042\u200b"),
]


@pytest.mark.parametrize(
    ("words", "kind"), [("init", Init), ("7", Piece), ("status", StatusQuery), ("fin/4", Fin), ("abort", Abort)]
)
def test_every_command_names_its_dock(words, kind):
    """The dock is part of whose conversation it is, and of where the answer goes."""
    command = wire.parse(f"{FILE}/{words}", b"{}" if kind is Init else b"")
    assert isinstance(command, kind)
    assert wire.key_of(command) == KEY
    assert wire.response_topic(KEY) == "lapel/v1/dock/dock-1/camera/cam-0042/response"
    if isinstance(command, Init):
        assert command.offer.via == "dock-1"


def test_a_camera_itself_has_no_dock():
    """And is answered on its own topic."""
    command = wire.parse("lapel/v1/camera/cam-0042/file/rec-1/init", b"{}")
    assert (command.offer.via, command.offer.key.via) == (None, None)
    assert wire.response_topic(command.offer.key) == "lapel/v1/camera/cam-0042/response"


@pytest.mark.parametrize("name", TRICKS)
@pytest.mark.parametrize("shape", ["camera/{}", "dock/{}/camera/cam-1", "dock/dock-1/camera/{}"])
def test_a_trick_in_a_devices_level_is_refused(name, shape):
    """Whoever it would have been: nobody is answered, and the reason stays short."""
    with pytest.raises(CommandError) as caught:
        wire.parse(f"lapel/v1/{shape.format(name)}/file/rec-1/0", b"x")
    assert caught.value.key is None
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize(
    "topic",
    [
        "lapel/v1/dock/dock-1/file/rec-1/0",
        "lapel/v1/dock/dock-1/camera/cam-1",
        "lapel/v1/dock/dock-1/camera/cam-1/response",
        "lapel/v1/dock/dock-1/camera/cam-1/status",
        "lapel/v1/dock/dock-1/camera/cam-1/camera/cam-2/file/rec-1/0",
        "lapel/v1/camera/cam-1/camera/cam-2/file/rec-1/0",
        "lapel/v1/dock/dock-1/dock/dock-2/camera/cam-1/file/rec-1/0",
        "lapel/v2/camera/cam-1/file/rec-1/0",
        "LAPEL/v1/camera/cam-1/file/rec-1/0",
        "/lapel/v1/camera/cam-1/file/rec-1/0",
        "lapel//v1/camera/cam-1/file/rec-1/0",
        "lapel/v1/camera/cam-1/FILE/rec-1/0",
        "lapel/v1/camera/cam-1/file/rec-1",
        "lapel/v1/camera/cam-1/file/" + "x" * 256 + "/0",
        "lapel/v1/camera/cam-1/file/a\x00b/0",
        "lapel/v1/camera/cam-1/file/rec-1/0" + "/" * 5000,
    ],
)
def test_no_other_shape_is_a_command(topic):
    """Levels are compared whole, and as many as there must be."""
    with pytest.raises(CommandError):
        wire.parse(topic, b"x")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
@settings(derandomize=True, deadline=None)
def test_what_is_read_is_what_the_levels_say(device, dock, recording):
    """No text in one level can speak for another: what the broker granted by level is what we read."""
    for topic, via in (
        (f"lapel/v1/camera/{device}/file/{recording}/0", None),
        (f"lapel/v1/dock/{dock}/camera/{device}/file/{recording}/0", dock),
    ):
        try:
            key = wire.key_of(wire.parse(topic, b"x"))
        except CommandError:
            continue
        levels = topic.split("/")
        assert (key.via is None) == (levels[2] == "camera")
        assert key.via is None or (key.via == levels[3] == via)
        assert key.device == (levels[3] if key.via is None else levels[5])


async def test_answers_go_to_whoever_asked():
    """A camera and a dock send the same recording at once: two conversations, each answered on its own topic."""
    async with broker("mosquitto") as one:
        driver = build(Settings(), DriverContext("cams", StillClock(), Intake(), Sink(), one.address))
        ends = ("lapel/v1/camera/cam-0042", "lapel/v1/dock/dock-1/camera/cam-0042")
        async with (
            device(one.address, "both", *(f"{end}/response" for end in ends)) as peer,
            running(driver.run()) as errors,
        ):
            await until(lambda: driver.health().state == "up")
            for end in ends:
                said = json.dumps({"name": "a", "size": 4, "user_data": {"end": end}}).encode()
                await asyncio.to_thread(peer.send, f"{end}/file/rec-1/init", said)
                await asyncio.to_thread(peer.send, f"{end}/file/rec-1/0/{SHA}", b"abcd")
                await asyncio.to_thread(peer.send, f"{end}/file/rec-1/fin/4/{SHA}", b"")
            await until(lambda: sum(b'"receipt"' in payload for _, payload in peer.heard) == 2)
            receipted = {topic for topic, payload in peer.heard if b'"receipt"' in payload}
            assert receipted == {f"{end}/response" for end in ends}
            assert driver.health().counters["malformed"] == 0
        assert errors == []


async def test_a_trick_over_a_real_broker_is_quarantined_with_its_reason():
    """What the broker lets through and is no device's goes to quarantine; the driver goes on."""
    intake = Intake()
    async with broker("mosquitto") as one:
        driver = build(Settings(), DriverContext("cams", StillClock(), intake, Sink(), one.address))
        async with device(one.address, "x", "lapel/v1/camera/cam-1/response") as peer, running(driver.run()) as errors:
            await until(lambda: driver.health().state == "up")
            names = ["..", "", "x" * 10_000, "é", "gateway", "a b"]
            for name in names:
                await asyncio.to_thread(peer.send, f"lapel/v1/camera/{name}/file/rec-1/0", b"x")
                await asyncio.to_thread(peer.send, f"lapel/v1/dock/{name}/camera/cam-1/file/rec-1/0", b"x")
            await until(lambda: driver.health().counters["malformed"] == 2 * len(names))
            await asyncio.to_thread(peer.send, "lapel/v1/camera/cam-1/file/../init", b'{"name": "../../x", "size": 1}')
            await until(lambda: any(topic.endswith("cam-1/response") for topic, _ in peer.heard))
        assert errors == []
    assert len(intake.quarantined) == 2 * len(names)
    assert all(reason for _, reason in intake.quarantined)


def test_a_dock_takes_of_its_own_share_of_the_memory():
    """With as many conversations under way as it may have under a camera's name, the camera's own goes on."""
    driver = build(Settings(), DriverContext("cams", StillClock(), Intake(), Sink(), BrokerAddress("127.0.0.1", 1)))
    for number in range(RECORDINGS_MAX + 1):
        driver.footage.receive(FILE.replace("rec-1", f"rec-{number}") + "/0", b"abcd", lambda: None)
    assert driver.health().counters["flooded"] == 1
    driver.footage.receive("lapel/v1/camera/cam-0042/file/rec-1/0", b"abcd", lambda: None)
    assert driver.health().counters["flooded"] == 1
    assert (speaker(KEY), speaker(RecordingKey(DeviceId("cam-0042"), "rec-1"))) == ("dock-1", "cam-0042")
