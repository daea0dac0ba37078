"""A second gateway without evidence on the same broker, as a standby of the feed: the first is killed, it goes on."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.api.site import ROSTER
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

UNITS = {"bcn-14": "PCC.CSO-014", "bcn-15": "PCC.CSO-015", "bcn-1187": "CAMBS.PC-1187"}
FEED, STATUS = "lapel/v1/feed/#", "lapel/v1/gateway/status"


class Beacons:
    """Three officers who walk, over the one broker; what lies retained there."""

    def __init__(self, broker: int) -> None:
        self.lying: dict[str, dict[str, Any]] = {}
        self.emptied: list[str] = []
        self.steps = 0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "beacons")
        self._client.on_message = self._heard
        self._client.connect("127.0.0.1", broker)
        self._client.loop_start()
        self._client.subscribe([(FEED, 1), (STATUS, 1)])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._walk, daemon=True)
        self._thread.start()

    def _heard(self, _client: object, _user: object, message: paho.MQTTMessage) -> None:
        if message.payload:
            self.lying[message.topic] = json.loads(message.payload)
        else:
            self.emptied.append(message.topic)
            self.lying.pop(message.topic, None)

    def _walk(self) -> None:
        while not self._over.wait(0.2):
            self.steps += 1
            for device in UNITS:
                self.say(device)

    def say(self, device: str, **more: object) -> None:
        """Where somebody is."""
        at = {"_type": "location", "lat": latitude(device, self.steps), "lon": -0.24, "acc": 8, "tst": int(time.time())}
        self._client.publish(f"owntracks/{device}/phone", json.dumps({**at, **more}), 1)

    def tell(self, topic: str, **said: object) -> None:
        """Whatever else a device says."""
        self._client.publish(topic, json.dumps({"v": 1, **said}), 1)

    def owners(self) -> set[str]:
        """Whose the units' topics are."""
        return {said["instance"] for topic, said in dict(self.lying).items() if "/unit/" in topic}

    def home(self) -> None:
        """The end."""
        self._over.set()
        self._thread.join(5)
        self._client.disconnect()
        self._client.loop_stop()


def latitude(device: str, steps: int) -> float:
    """A metre a step."""
    return round(52 + list(UNITS).index(device) / 10 + steps / 100_000, 6)


class Desk:
    """A consumer of one gateway."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self.token = gateway.token()
        self.at(gateway)

    def at(self, gateway: GatewayProcess) -> None:
        """Where it listens now."""
        headers = {"Authorization": f"Bearer {self.token}"}
        self.client = httpx.Client(base_url=gateway.address, headers=headers, timeout=10)

    def units(self) -> dict[str, float]:
        """Where everybody is."""
        features = self.client.get("/v1/units").json()["features"]
        return {one["id"]: one["geometry"]["coordinates"][1] for one in features if one["geometry"]}

    def epoch(self) -> tuple[str, str]:
        """Which gateway, which epoch."""
        answer = self.client.get("/v1/units")
        return answer.headers["Lapel-Instance"], answer.json()["lapel:stream"]["epoch"]

    def emergencies(self) -> list[tuple[str, list[str]]]:
        """Of whom, and by which triggers."""
        found = self.client.get("/v1/emergencies").json()["emergencies"]
        return [(one["unit"], sorted(one["triggers"])) for one in found]

    def problem(self) -> str:
        """What its way out over the broker says."""
        return str(self.client.get("/v1/drivers").json()["inputs"]["feed-out"]["problem"])


@contextlib.contextmanager
def pair(folder: Path, *, standby_mqtt: bool) -> Iterator[tuple[GatewayProcess, GatewayProcess, Beacons]]:
    """Both of them, and those who walk."""
    made = []
    with mosquitto(folder) as broker:
        for name, mqtt in (("first", True), ("second", standby_mqtt)):
            (folder / name).mkdir()
            (folder / name / "roster.toml").write_text(ROSTER)
            text = configuration(
                folder / name / "data",
                broker,
                kinds=("beacon",),
                gateway={"instance": name, "data": str(folder / name / "data")},
                roster={"file": str(folder / name / "roster.toml")},
                store={"reserve_mb": 0},
                evidence={"enabled": name == "first"},
                feed={"tick_ms": 50, "heartbeat_s": 1.0, "mqtt": mqtt},
            )
            camera = '[[driver]]\nkind = "camera"\nname = "cameras"\n' + (
                "" if name == "first" else "uploads = false\n"
            )
            made.append(GatewayProcess(folder / name, text + camera))
        beacons = Beacons(broker)
        try:
            for gateway in made:
                gateway.start().ready()
            yield made[0], made[1], beacons
        finally:
            beacons.home()
            for gateway in made:
                gateway.kill()


@pytest.mark.parametrize("standby_mqtt", [False, True])
def test_the_first_is_killed(tmp_path: Path, standby_mqtt: bool) -> None:
    """The second has every unit and goes on; what devices raised is on both, what a console raised on its own alone."""
    with pair(tmp_path, standby_mqtt=standby_mqtt) as (first, second, beacons):
        desks = Desk(first), Desk(second)
        for desk in desks:
            until(lambda desk=desk: set(desk.units()) == set(UNITS.values()), 10, "every unit on both", 0.05)
        (one, other) = (desk.epoch() for desk in desks)
        assert (one[0], other[0], one[1] != other[1]) == ("first", "second", True)
        beacons.tell("lapel/v1/beacon/bcn-14/position", sos=True)
        beacons.tell("lapel/v1/camera/cam-0042/event", at="2026-11-21T21:06:02Z", event="panic")
        desks[0].client.post("/v1/emergencies", json={"unit": UNITS["bcn-1187"]})
        by_devices = (UNITS["bcn-14"], ["beacon_sos", "camera_panic"])
        until(lambda: by_devices in desks[1].emergencies(), 10, "the buttons on the second", 0.05)
        until(lambda: by_devices in desks[0].emergencies(), 10, "the buttons on the first", 0.05)
        assert (UNITS["bcn-1187"], ["manual"]) in desks[0].emergencies()
        assert [unit for unit, _ in desks[1].emergencies()] == [UNITS["bcn-14"]]
        until(lambda: beacons.owners() == {"first"}, 10, "the broker's topics are the first's", 0.05)
        if standby_mqtt:
            assert "first" in desks[1].problem()
        first.kill()
        killed = beacons.steps
        until(lambda: beacons.lying[STATUS]["state"] == "offline" or standby_mqtt, 5, "the will", 0.05)
        wanted = {unit: latitude(device, killed + 3) for device, unit in UNITS.items()}
        until(lambda: all(desks[1].units()[unit] >= wanted[unit] for unit in wanted), 10, "it goes on", 0.05)
        assert desks[1].epoch() == other
        if standby_mqtt:
            until(lambda: beacons.owners() == {"second"}, 45, "the heir fills the topics", 0.1)
            first.start().ready()
            desks[0].at(first)
            until(lambda: "second" in desks[0].problem(), 10, "the first waits now", 0.2)
            assert beacons.owners() == {"second"}
        else:
            assert beacons.owners() == {"first"}
        assert [topic for topic in beacons.emptied if "/unit/" in topic] == []
