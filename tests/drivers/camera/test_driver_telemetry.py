"""The camera driver's telemetry, what it cannot read, a defective store, and limits that make no sense."""

from __future__ import annotations

import json

import pytest

from drivers.camera.driver import Settings, build
from gateway.domain.events import CameraReport, EmergencyReport, PositionReport
from gateway.errors import ConfigError
from gateway.ports import BrokerAddress, DriverContext
from tests.drivers.camera.test_driver import CAMERA, KEY, REC, init, mqtt, rig
from tests.drivers.links.rig import Intake, StillClock, broker, until

__all__ = ["mqtt"]


@pytest.mark.parametrize(
    "suffix", ["", "what", "-1", "1.5", "00", "0/xyz", "fin", "fin/x", "fin/1/2/3", "init/2", "0/" + "a" * 63]
)
async def test_malformed_commands_are_answered_and_quarantined(suffix):
    """0x83 with the reason; the frame is kept; the driver goes on."""
    async with broker("mosquitto") as one, rig(one.address) as r:
        await r.send(suffix, b"z" * 5000)
        await until(r.answers)
        answer = r.answers()[0]
        assert answer["reason_code"] == 0x83
        assert answer["recording"] == REC
        frame, reason = r.intake.quarantined[0]
        assert answer["reason_description"] == reason
        assert frame.device == "cam-0042"
        assert frame.payload.startswith(b"sha256:")
        await r.send("init", init(4))
        assert (await r.answer("…/init"))["reason_code"] == 0


async def test_an_invalid_device_level_is_quarantined_without_an_answer(mqtt):
    """There is nobody to answer."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(1), root="lapel/v1/camera/bad id/file/x")
        await until(lambda: r.intake.quarantined)
        assert r.answers() == []


async def test_panic_comes_through_with_its_position_and_before_everything(mqtt):
    """EmergencyReport, then the position."""
    async with rig(mqtt.address) as r:
        body = {
            "v": 1,
            "at": "2026-11-21T21:06:02Z",
            "event": "panic",
            "latitude": 52.5,
            "longitude": -0.24,
            "accuracy_m": 8,
        }
        await r.send("event", json.dumps(body).encode(), root=CAMERA)
        await until(lambda: len(r.intake.events) == 2)
        emergency, position = r.intake.events
        assert isinstance(emergency, EmergencyReport)
        assert emergency.trigger == "camera_panic"
        assert isinstance(position, PositionReport)
        assert position.source == "bwc"
        assert emergency.fix == position.fix
        assert r.intake.frames[0].device == "cam-0042"


async def test_a_listener_hears_panic_and_leaves_footage_to_another(mqtt):
    """Up without a footage connection; no answer to any command, for another instance's would be contradicted."""
    async with rig(mqtt.address, settings=Settings(uploads=False)) as r:
        await r.send("init", init(7))
        await r.send("status")
        await r.send("event", b'{"v":1,"at":"2026-11-21T21:06:02Z","event":"panic"}', root=CAMERA)
        await until(lambda: len(r.intake.events) == 1)
        assert r.answers() == []
        assert not r.driver.footage.connected
        assert r.driver.health().problem is None


async def test_telemetry_is_acknowledged_only_when_intake_kept_it(mqtt):
    """PUBACK after the journal."""
    intake = Intake(prompt=False)
    async with rig(mqtt.address, intake=intake) as r:
        await r.send("status", json.dumps({"v": 1, "battery_pct": 71}).encode(), root=CAMERA)
        await r.send("event", b"{", root=CAMERA)
        await until(lambda: len(intake.receipts) == 2)
        assert r.driver._telemetry.unacknowledged == 2
        intake.release()
        await until(lambda: r.driver._telemetry.unacknowledged == 0)
        assert isinstance(intake.events[0], CameraReport)
        assert len(intake.quarantined) == 1


async def test_a_defect_in_the_store_leaves_telemetry_up(mqtt):
    """Footage restarts by itself; a panic meanwhile comes through at once."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(4))
        await r.answer("…/init")
        r.sink.fault = ZeroDivisionError("defect")
        await r.send("0", b"abcd")
        await until(lambda: r.driver.health().state == "degraded")
        assert "defect" in r.driver.health().problem
        await r.send("event", json.dumps({"event": "panic"}).encode(), root=CAMERA)
        await until(lambda: r.intake.events)
        r.sink.fault = None
        await until(lambda: r.sink.durable(KEY) == ((0, 4),))
        await until(lambda: r.driver.health().state == "up")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (Settings(segment_bytes=0), "driver.segment_bytes"),
        (Settings(window_bytes=1), "driver.window_bytes"),
        (Settings(memory_bytes=1), "driver.memory_bytes"),
    ],
)
def test_limits_that_contradict_each_other_are_config_errors(settings, key):
    """Named by key."""
    context = DriverContext("cams", StillClock(), None, object(), BrokerAddress("h", 1))
    with pytest.raises(ConfigError) as caught:
        build(settings, context)
    assert caught.value.key == key


def test_a_gateway_without_broker_or_store_is_a_config_error():
    """Said at start."""
    with pytest.raises(ConfigError, match="broker"):
        build(Settings(), DriverContext("cams", StillClock(), None, object(), None))
    with pytest.raises(ConfigError, match="store"):
        build(Settings(), DriverContext("cams", StillClock(), None, None, BrokerAddress("h", 1)))
