"""After a restore a camera that is heard is asked for what its receipts prove; its receipt comes with the offer."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.camera import wire
from drivers.camera.driver import Settings, build
from drivers.camera.recalling import AGAIN_S, RECALL_EVERY_S, RECALLED_KEPT, Recalling
from drivers.links.mqtt_link import MqttLink
from gateway.domain.evidence import FormerLog, Recall, ShownReceipt
from gateway.domain.ids import DeviceId
from gateway.errors import LinkError
from gateway.ports import DriverContext
from tests.drivers.camera.sink import Sink
from tests.drivers.camera.test_driver import CAMERA
from tests.drivers.links.rig import Intake, StillClock, broker, device, running, until

LONG = datetime(2100, 1, 1, tzinfo=UTC)
ASKED = Recall("a.test/log/g2+00000000+AAAA", (FormerLog("a.test/log", "v", ((3, 5),)),), LONG)
STATUS = json.dumps({"v": 1, "at": "2026-11-21T21:00:00Z", "battery_pct": 71}).encode()
SHOWN = {"exhibit": "X-1", "log_index": 3, "entry": "AAAA", "proof": "c2sp.org/tlog-proof@v1"}


def test_what_is_printed() -> None:
    """The key from now on, and of each log before its missing indexes; on the camera's own topic."""
    told = json.loads(wire.recall(ASKED))
    assert told == {"v": 1, "vkey": ASKED.vkey, "recall": [{"origin": "a.test/log", "missing": [[3, 5]]}]}
    assert wire.recall_topic(DeviceId("cam-0042")) == f"{CAMERA}/response"


def test_a_receipt_in_an_offer() -> None:
    """Read as shown; one that cannot be read is kept as it came, and the recording is offered all the same."""
    read = wire.parse(f"{CAMERA}/file/r/init", json.dumps({"name": "r", "receipt": SHOWN}).encode())
    assert isinstance(read, wire.Init)
    assert read.offer.receipt == ShownReceipt(**SHOWN)
    for bad in ("x", [], {"exhibit": 1}, {**SHOWN, "log_index": "3"}):
        read = wire.parse(f"{CAMERA}/file/r/init", json.dumps({"name": "r", "receipt": bad}).encode())
        assert isinstance(read, wire.Init)
        assert read.offer.receipt is None
        assert read.offer.user_data["unreadable"] == {"receipt": bad}


@asynccontextmanager
async def heard(recall: Recall | None):
    """A driver, a camera that listens, and a clock to be moved."""
    clock = StillClock()
    async with broker("embedded") as one:
        context = DriverContext("cams", clock, Intake(), Sink(), one.address, recall=lambda: recall)
        driver = build(Settings(), context)
        async with device(one.address, "cam-0042", f"{CAMERA}/response") as camera, running(driver.run()) as errors:
            await until(lambda: driver.health().state == "up")
            yield driver, camera, clock
            assert errors == []


async def test_a_camera_that_is_heard_is_asked() -> None:
    """Once at first, however much it says; again soon, since it may not have listened."""
    async with heard(ASKED) as (driver, camera, clock):
        for _ in range(3):
            camera.send(f"{CAMERA}/status", STATUS)
        await until(lambda: len(camera.heard) == 1)
        assert json.loads(camera.heard[0][1]) == json.loads(wire.recall(ASKED))
        was = clock.now()
        clock.now = lambda: type(was)(was.mono_s + AGAIN_S + 1, was.utc)
        camera.send(f"{CAMERA}/status", STATUS)
        await until(lambda: len(camera.heard) == 2)
        assert driver.footage.counters["recalls"] == 2


@pytest.mark.parametrize("recall", [None, Recall("v", (), datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=1))])
async def test_nobody_is_asked_for_nothing(recall: Recall | None) -> None:
    """Nothing was lost, or it is too long ago for any camera to have it."""
    async with heard(recall) as (driver, camera, _clock):
        camera.send(f"{CAMERA}/status", STATUS)
        await until(lambda: driver.footage.counters["frames"] == 1)
        assert camera.heard == []
        assert driver.footage.counters["recalls"] == 0


async def test_one_that_offers_is_asked() -> None:
    """It waits for an answer, so it listens, however seldom its status comes; a dock that brings is not asked."""
    async with heard(ASKED) as (driver, camera, _clock):
        camera.send("lapel/v1/dock/dock-7/camera/cam-0099/file/rec-1/init", b'{"v":1,"name":"r.mp4"}')
        camera.send(f"{CAMERA}/file/rec-1/init", b'{"v":1,"name":"r.mp4"}')
        await until(lambda: any(b"recall" in payload for _, payload in camera.heard))
        assert driver.footage.counters["recalls"] == 1


async def test_heard_before_it_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The telemetry connection may be up first: its camera is asked at its next word, not in five minutes."""
    run = MqttLink.run

    async def late(link: MqttLink) -> None:
        if link.client_id.endswith("-answers"):
            await asyncio.sleep(0.5)
        await run(link)

    monkeypatch.setattr(MqttLink, "run", late)
    async with broker("embedded") as one:
        context = DriverContext("cams", StillClock(), Intake(), Sink(), one.address, recall=lambda: ASKED)
        driver = build(Settings(), context)
        async with device(one.address, "cam-0042", f"{CAMERA}/response") as camera, running(driver.run()) as errors:
            await until(lambda: driver.health().state == "degraded")
            camera.send(f"{CAMERA}/status", STATUS)
            await until(lambda: driver.footage.counters["frames"] == 1)
            assert driver.footage.counters["recalls"] == 0
            await until(lambda: driver.health().state == "up")
            camera.send(f"{CAMERA}/status", STATUS)
            await until(lambda: len(camera.heard) == 1)
            assert errors == []


async def test_a_question_that_did_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection went with it: asked again at the next word."""
    async with heard(ASKED) as (driver, camera, _clock):
        publish, refused = MqttLink.publish, []

        async def broken(link: MqttLink, topic: str, payload: bytes, **more: bool) -> None:
            if not refused:
                refused.append(topic)
                raise LinkError("gone")
            await publish(link, topic, payload, **more)

        monkeypatch.setattr(MqttLink, "publish", broken)
        camera.send(f"{CAMERA}/status", STATUS)
        await until(lambda: refused)
        camera.send(f"{CAMERA}/status", STATUS)
        await until(lambda: len(camera.heard) == 1)
        assert driver.footage.counters["recalls"] == 1


class TestRecalling:
    """The pauses."""

    def test_ever_more_seldom(self) -> None:
        """Seven times in the first quarter of an hour of a camera that speaks each second, then each five minutes."""
        asking, camera = Recalling(), DeviceId("cam-1")
        asked = [second for second in range(2000) if asking.turn(camera, float(second))]
        assert asked == [0, 10, 30, 70, 150, 310, 610, 910, 1210, 1510, 1810]

    def test_bounded(self) -> None:
        """As many are remembered as there may be cameras; the others are asked anew."""
        asking = Recalling()
        for number in range(RECALLED_KEPT + 1):
            assert asking.turn(DeviceId(f"cam-{number}"), 0.0)
        assert asking.turn(DeviceId("cam-0"), 1.0)

    @given(st.lists(st.tuples(st.floats(0, 400), st.booleans()), max_size=60))
    def test_never_sooner_than_it_says(self, words: list[tuple[float, bool]]) -> None:
        """Between two questions that left there are at least ten seconds, and never more than five minutes of words."""
        asking, camera, now_s, left = Recalling(), DeviceId("cam-1"), 0.0, []
        for pause_s, leaves in words:
            now_s += pause_s
            if asking.turn(camera, now_s):
                if leaves:
                    left.append(now_s)
                else:
                    asking.failed(camera)
            elif left:
                assert now_s - left[-1] < RECALL_EVERY_S
        assert all(later - before >= AGAIN_S - 1e-6 for before, later in pairwise(left))
