"""A gateway process behind a real broker with something of everything: what programs of others are let loose on."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.api.site import ROSTER
from tests.faults.camera_process import CameraProcess, footage
from tests.feed.squares import feature, file_of, square
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

BEACONS = ("bcn-14", "bcn-15", "bcn-1187")
ZONES = file_of(
    feature(square(-0.3, 52.0, -0.2, 52.25), id="south", properties={"name": "South"}),
    feature(square(-0.3, 52.25, -0.2, 52.5), "MultiPolygon", id="north", properties={"name": "North"}),
)
RULES = '[[feed.coverage]]\nzone = "south"\npower = "pcn"\n[[feed.coverage]]\nzone = "north"\npower = "constable"\n'
CAMERA = '[[device]]\nid = "cam-0001"\nkind = "camera"\nagency = "PCC"\n'


class Walk:
    """Officers who walk while the others' programs ask: what is asked for changes meanwhile."""

    def __init__(self, broker: int) -> None:
        self._beacons = paho.Client(CallbackAPIVersion.VERSION2, "beacons")
        self._beacons.connect("127.0.0.1", broker)
        self._beacons.loop_start()
        self._over = threading.Event()
        self._steps = 0
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def press(self, device: str) -> None:
        """The button of a beacon."""
        self._say(device, {"sos": True})

    def over(self) -> None:
        """Home."""
        self._over.set()
        self._thread.join(5)
        self._beacons.disconnect()
        self._beacons.loop_stop()

    def _go(self) -> None:
        while not self._over.wait(0.5):
            self._steps += 1
            for device in BEACONS:
                self._say(device, {})

    def _say(self, device: str, more: dict[str, object]) -> None:
        number = BEACONS.index(device)
        north = round(52.1 + number / 10 + self._steps / 20_000, 5)
        at = {"latitude": north, "longitude": -0.24, "accuracy_m": 8}
        whole = {"v": 1, "fix_time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **at, **more}
        self._beacons.publish(f"lapel/v1/beacon/{device}/position", json.dumps(whole), 1)


@contextlib.contextmanager
def lively(folder: Path) -> Iterator[tuple[GatewayProcess, str]]:
    """The gateway at work, and the token of somebody who may all."""
    (folder / "roster.toml").write_text(ROSTER + CAMERA)
    (folder / "zones.geojson").write_bytes(ZONES)
    with mosquitto(folder) as broker:
        text = configuration(
            folder / "data",
            broker,
            kinds=("beacon", "camera"),
            roster={"file": str(folder / "roster.toml")},
            store={"reserve_mb": 0},
            map={"zones": str(folder / "zones.geojson")},
            feed={"tick_ms": 50, "heartbeat_s": 1.0},
        )
        gateway = GatewayProcess(folder, text + RULES)
        walk = None
        try:
            token = gateway.start().ready().token()
            walk = Walk(broker)
            footage(folder / "20261121T210503Z-0017.mp4", 700_001, 7)
            vkey = folder / "data" / "evidence" / "log" / "log.vkey"
            camera = CameraProcess(folder / "20261121T210503Z-0017.mp4", broker, vkey, pace_kib=0)
            try:
                camera.waits_for(lambda: camera.receipted, 30, "the camera has its receipt")
            finally:
                camera.close()
            walk.press("bcn-15")
            with httpx.Client(base_url=gateway.address, headers={"Authorization": f"Bearer {token}"}) as client:
                until(lambda: len(client.get("/v1/units").json()["features"]) == 3, 10, "three units", 0.1)
                until(lambda: client.get("/v1/emergencies").json()["emergencies"], 10, "an emergency", 0.1)
            yield gateway, token
        finally:
            if walk is not None:
                walk.over()
            gateway.kill()
