"""A camera that is smashed in the middle of an upload: silent for ever, and counted as lost on purpose."""

from __future__ import annotations

import time
from pathlib import Path

from firmware_stubs.camera import Camera
from firmware_stubs.footage import Footage
from firmware_stubs.gear import Gear
from firmware_stubs.mqtt import Broker
from firmware_stubs.upload import Habits, Phase
from tests.firmware_stubs.test_camera import GatewayOnTheWire


def test_smashed_at_70_percent(broker, tmp_path: Path) -> None:
    """What it had sent is durable; it neither ends the upload nor takes up the next recording."""
    gateway = GatewayOnTheWire(broker)
    (tmp_path / "log.vkey").write_text(gateway.double.log.vkey)
    said: list[dict[str, object]] = []
    habits = Habits(pace=512 * 1024, smash_at=0.7)
    camera = Camera(Broker.parse(broker.address, None, None), "cam-0001", tmp_path / "log.vkey", said.append, habits)
    for name in ("first", "second"):
        (tmp_path / name).write_bytes(name.encode() * 100_000)
        camera.offer(Footage.of(tmp_path / name, "cam-0001", name))
    camera.start()
    ends = time.monotonic() + 15
    while not camera.smashed and time.monotonic() < ends:
        time.sleep(0.02)
    camera.join(5)
    assert not camera.is_alive()
    (upload,) = camera.uploads
    assert upload.phase is Phase.SMASHED
    assert 0.7 * upload.recording.size <= upload.durable.octets < upload.recording.size
    assert [each["event"] for each in said if each["event"] in ("smashed", "receipt")] == ["smashed"]
    totals = Gear(cameras={"cam-0001": camera}).totals()
    assert (totals["recordings_abandoned"], totals["recordings_held"]) == (1, 1)
    facts = {"device": "cam-0001", "recording": "first", "size": 500_000, "durable": upload.durable.octets}
    assert totals["recordings_smashed"] == [facts]
    gateway.close()
