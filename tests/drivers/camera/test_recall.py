"""After a restore a camera that is heard is asked for what its receipts prove; its receipt comes with the offer."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from drivers.camera import wire
from drivers.camera.driver import RECALL_EVERY_S, Settings, build
from gateway.domain.evidence import FormerLog, Recall, ShownReceipt
from gateway.domain.ids import DeviceId
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
    """Once at first, however much it says; again after a while, since it may not have listened."""
    async with heard(ASKED) as (driver, camera, clock):
        for _ in range(3):
            camera.send(f"{CAMERA}/status", STATUS)
        await until(lambda: len(camera.heard) == 1)
        assert json.loads(camera.heard[0][1]) == json.loads(wire.recall(ASKED))
        was = clock.now()
        clock.now = lambda: type(was)(was.mono_s + RECALL_EVERY_S + 1, was.utc)
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
