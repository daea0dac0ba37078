"""The camera driver over real brokers: what is answered, when, and what is never said too early."""

from __future__ import annotations

import asyncio
import hashlib
import json
from contextlib import asynccontextmanager, contextmanager

import pytest

from drivers.camera.driver import MIB, Settings, build
from gateway.domain.events import CameraReport, EmergencyReport, PositionReport
from gateway.domain.evidence import RecordingKey, Sealed
from gateway.domain.ids import DeviceId, ExhibitId
from gateway.errors import ConfigError, IntegrityError, LinkError, SegmentError, StoreBusyError
from gateway.ports import BrokerAddress, DriverContext
from tests.drivers.camera.sink import Sink
from tests.drivers.links.rig import BROKERS, Intake, StillClock, broker, device, running, until

CAMERA = "lapel/v1/camera/cam-0042"
REC = "20261121T210503Z-0017"
KEY = RecordingKey(DeviceId("cam-0042"), REC)
FILE = f"{CAMERA}/file/{REC}"


@pytest.fixture(params=BROKERS)
async def mqtt(request):
    """Each broker in turn."""
    async with broker(request.param) as one:
        yield one


class Rig:
    """A driver that runs, its sink and intake, and a camera."""

    def __init__(self, driver, sink, intake, camera) -> None:
        self.driver, self.sink, self.intake, self.camera = driver, sink, intake, camera

    async def send(self, suffix: str, payload: bytes = b"", *, root: str = FILE) -> None:
        """Publish one command."""
        await asyncio.to_thread(self.camera.send, f"{root}/{suffix}", payload)

    def post(self, suffix: str, payload: bytes = b"") -> None:
        """Publish without waiting for anything."""
        self.camera.client.publish(f"{FILE}/{suffix}", payload, 1)

    def answers(self) -> list[dict]:
        """Every response heard."""
        return [json.loads(payload) for topic, payload in self.camera.heard if topic == f"{CAMERA}/response"]

    async def answer(self, topic: str) -> dict:
        """The first response to a command."""
        await until(lambda: any(one.get("topic") == topic for one in self.answers()))
        return next(one for one in self.answers() if one.get("topic") == topic)


@asynccontextmanager
async def rig(address: BrokerAddress, *, sink=None, intake=None, settings=None):
    """Everything running."""
    sink, intake = sink or Sink(), intake or Intake()
    context = DriverContext("cams", StillClock(), intake, sink, address)
    driver = build(settings or Settings(), context)
    async with device(address, "cam-0042", f"{CAMERA}/response") as camera, running(driver.run()) as errors:
        await until(lambda: driver.health().state == "up")
        yield Rig(driver, sink, intake, camera)
        assert errors == []


def init(size: int | None = None, **more) -> bytes:
    """An init payload."""
    return json.dumps({"v": 1, "name": f"{REC}.mp4", "size": size, **more}).encode()


async def test_a_whole_upload_ends_with_the_receipt(mqtt):
    """init, pipelined segments, fin, receipt; content as sent, digests checked."""
    content = bytes(range(256)) * (3 * MIB // 256)
    whole = hashlib.sha256(content).hexdigest()
    async with rig(mqtt.address) as r:
        await r.send("init", init(len(content)))
        first = await r.answer("…/init")
        assert first == {
            "v": 1,
            "topic": "…/init",
            "recording": REC,
            "reason_code": 0,
            "reason_description": "success",
            "window_bytes": 8 * MIB,
            "durable": [],
            "missing": [[0, len(content)]],
        }
        for offset in range(0, len(content), 256 * 1024):
            piece = content[offset : offset + 256 * 1024]
            r.post(f"{offset}/{hashlib.sha256(piece).hexdigest()}", piece)
        r.post(f"fin/{len(content)}/{whole}", b"a.b.c")
        last = await r.answer(f"…/fin/{len(content)}")
        assert last["receipt"]["sha256"] == whole
        assert last["reason_code"] == 0
        assert r.sink.content(KEY, len(content)) == content
        assert r.sink.fins[0].manifest == b"a.b.c"
        durable = [one["durable"] for one in r.answers() if "topic" not in one]
        assert durable[-1] == [[0, len(content)]]
        assert r.sink.most_writing > 1, "segments must be written side by side"
        assert [one for one in r.answers() if one["v"] != 1] == []


async def test_nothing_is_called_durable_before_keep_returned(mqtt):
    """With the store held back no answer comes and the broker keeps the message."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(4))
        await r.answer("…/init")
        r.sink.gate.clear()
        await r.send("0", b"abcd")
        await until(lambda: r.sink.writing == 1)
        await asyncio.sleep(0.1)
        assert len(r.answers()) == 1
        assert r.driver.footage._in.unacknowledged == 1
        r.sink.gate.set()
        await until(lambda: len(r.answers()) == 2)
        assert r.answers()[1]["durable"] == [[0, 4]]
        await until(lambda: r.driver.footage._in.unacknowledged == 0)


async def test_a_segment_that_was_not_kept_comes_again_after_a_restart(mqtt):
    """The gateway dies between receipt and fdatasync: the broker redelivers."""
    held = Sink()
    async with rig(mqtt.address, sink=held) as r:
        await r.send("init", init(4))
        await r.answer("…/init")
        held.gate.clear()
        await r.send("0", b"abcd")
        await until(lambda: held.writing == 1)
    held.gate.set()
    async with rig(mqtt.address, sink=held) as r:
        await until(lambda: held.durable(KEY) == ((0, 4),))
        await until(lambda: [one["durable"] for one in r.answers()] == [[[0, 4]]])


async def test_fin_waits_for_the_segments_before_it(mqtt):
    """A pipelined fin is a barrier."""
    async with rig(mqtt.address) as r:
        r.sink.gate.clear()
        r.post("init", init(8))
        r.post("0", b"abcd")
        r.post("4", b"efgh")
        r.post("fin/8")
        await until(lambda: r.sink.writing == 2)
        await asyncio.sleep(0.05)
        assert ("finish", 8) not in r.sink.log
        r.sink.gate.set()
        assert "receipt" in await r.answer("…/fin/8")


async def test_fin_with_holes_names_them(mqtt):
    """0x10 and the missing ranges; then only those are sent."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(12))
        await r.send("4", b"efgh")
        await r.send("fin/12")
        answer = await r.answer("…/fin/12")
        assert (answer["reason_code"], answer["reason_description"]) == (0x10, "incomplete")
        assert answer["missing"] == [[0, 4], [8, 12]]
        assert "receipt" not in answer
        await r.send("0", b"abcd")
        await r.send("8", b"ijkl")
        await r.send("fin/12")
        await until(lambda: any("receipt" in one for one in r.answers()))


async def test_status_tells_what_is_durable(mqtt):
    """The query EMQX lacks."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(8))
        await r.send("0", b"abcd")
        await r.send("status")
        answer = await r.answer("…/status")
        assert (answer["durable"], answer["missing"], answer["window_bytes"]) == ([[0, 4]], [[4, 8]], 8 * MIB)


async def test_status_of_an_unknown_recording_says_so(mqtt):
    """Never offered."""
    async with rig(mqtt.address) as r:
        await r.send("status")
        answer = await r.answer("…/status")
        assert (answer["reason_code"], answer["reason_description"]) == (0x80, "unknown_recording")


async def test_a_sealed_recording_offered_again_gets_its_receipt(mqtt):
    """On init, status and fin alike."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(4))
        await r.send("0", b"abcd")
        await r.send("fin/4")
        receipt = (await r.answer("…/fin/4"))["receipt"]
        r.camera.heard.clear()
        await r.send("init", init(4))
        assert (await r.answer("…/init"))["receipt"] == receipt
        await r.send("status")
        assert (await r.answer("…/status"))["receipt"] == receipt
        await r.send("fin/4")
        assert (await r.answer("…/fin/4"))["receipt"] == receipt


async def test_abort_seals_what_came(mqtt):
    """No footage goes away by abort."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(8))
        await r.send("0", b"abcd")
        await r.send("abort")
        assert (await r.answer("…/abort"))["receipt"]["size"] == 4


async def test_a_wrong_digest_is_refused_and_the_recording_goes_on(mqtt):
    """0x80 checksum_mismatch; nothing of it is kept; the right one passes."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(4))
        await r.send("0/" + "0" * 64, b"abcd")
        answer = await r.answer("…/0")
        assert (answer["reason_code"], answer["reason_description"]) == (0x80, "checksum_mismatch")
        assert r.sink.durable(KEY) == ()
        await r.send("0/" + hashlib.sha256(b"abcd").hexdigest(), b"abcd")
        await until(lambda: r.answers()[-1].get("durable") == [[0, 4]])


@pytest.mark.parametrize(
    ("fault", "code", "reason", "retry"),
    [
        (SegmentError("segment_conflict"), 0x80, "segment_conflict", None),
        (StoreBusyError("disk_reserve", 45), 0x97, "disk_reserve", 45),
        (IntegrityError("blob differs"), 0x97, "store_fault", 60),
    ],
)
async def test_what_the_store_refuses_is_named_and_acknowledged(mqtt, fault, code, reason, retry):
    """0x80, 0x97: the answer says which segment, and the broker doesn't send it for ever."""
    async with rig(mqtt.address) as r:
        await r.send("init", init(4))
        await r.answer("…/init")
        r.sink.fault = fault
        await r.send("0", b"abcd")
        answer = await r.answer("…/0")
        assert (answer["reason_code"], answer["reason_description"]) == (code, reason)
        assert answer.get("retry_after_s") == retry
        await until(lambda: r.driver.footage._in.unacknowledged == 0)
        r.sink.fault = None
        await r.send("0", b"abcd")
        await until(lambda: r.answers()[-1].get("durable") == [[0, 4]])


async def test_beyond_the_window_is_not_now(mqtt):
    """What a camera sends beyond its window is dropped, said so, and acknowledged."""
    async with rig(mqtt.address, sink=Sink(window_bytes=8)) as r:
        await r.send("init", init(16))
        await r.answer("…/init")
        r.sink.gate.clear()
        for offset in range(0, 16, 4):
            r.post(str(offset), b"abcd")
        answer = await r.answer("…/8")
        assert (answer["reason_code"], answer["reason_description"]) == (0x97, "window_exceeded")
        assert answer["retry_after_s"] == 1
        assert r.sink.writing == 2
        r.sink.gate.set()
        await until(lambda: r.sink.durable(KEY) == ((0, 8),))
        await until(lambda: r.driver.footage._in.unacknowledged == 0)


async def test_a_segment_larger_than_the_limit_is_bad(mqtt):
    """0x80 segment_too_large."""
    settings = Settings(window_bytes=8, memory_bytes=8, segment_bytes=4)
    async with rig(mqtt.address, settings=settings) as r:
        await r.send("init", init(5))
        await r.send("0", b"abcde")
        assert (await r.answer("…/0"))["reason_description"] == "segment_too_large"


async def test_memory_is_bounded_over_all_cameras(mqtt):
    """Beyond the budget the footage connection is not read; telemetry is."""
    settings = Settings(window_bytes=4096, memory_bytes=8192, segment_bytes=4096)
    sink = Sink(window_bytes=4096)
    async with rig(mqtt.address, settings=settings, sink=sink) as r:
        sink.gate.clear()
        for number in range(8):
            root = f"lapel/v1/camera/cam-{number}/file/rec"
            await r.send("init", init(3000), root=root)
            await r.send("0", b"x" * 3000, root=root)
        await asyncio.sleep(0.1)
        assert r.driver.health().counters["held_bytes"] <= 8192 + 4096
        assert r.driver.health().counters["pauses"] == 1
        await r.send("event", json.dumps({"v": 1, "event": "panic"}).encode(), root=CAMERA)
        await until(lambda: r.intake.events)
        sink.gate.set()
        await until(lambda: sum(bool(sink.pieces.get(key)) for key in sink.offers) == 8)
        await until(lambda: r.driver.health().counters["held_bytes"] == 0)


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


class Receipts:
    """Who listens for new receipts."""

    def __init__(self) -> None:
        self.listeners = []

    @contextmanager
    def heard_by(self, listener):
        """As the port."""
        self.listeners.append(listener)
        try:
            yield
        finally:
            self.listeners.remove(listener)


async def test_a_receipt_that_says_more_is_sent_unasked(mqtt):
    """To the camera's own topic, while it is connected; afterwards nobody listens."""
    receipts = Receipts()
    context = DriverContext("cams", StillClock(), Intake(), Sink(), mqtt.address, receipts=receipts)
    driver = build(Settings(), context)
    sealed = Sealed(KEY, ExhibitId("X-1"), 1, "00", 0, {"v": 1, "copies": 2}, ())
    async with device(mqtt.address, "cam-0042", f"{CAMERA}/response") as camera, running(driver.run()):
        await until(lambda: driver.health().state == "up" and receipts.listeners)
        await receipts.listeners[0](sealed)
        await until(lambda: camera.heard)
        said = json.loads(camera.heard[0][1])
        assert (said["recording"], said["topic"], said["receipt"]) == (REC, "…/receipt", {"v": 1, "copies": 2})
        assert driver.health().counters["renewed"] == 1
    assert receipts.listeners == []
    with pytest.raises(LinkError):
        await driver.footage.renewed(sealed)
