"""An emergency that no person acknowledges: a real beacon's press, a machine that has it at once, kill -9, the siren.

Also: camera, beacon, radio and the control room's own word, each by its real way in, are one person's one emergency.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from gateway.domain.time import from_rfc3339
from tests.scenarios.follower import Follower
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until
from tests.scenarios.radio_line import call, lines, position, status
from tests.scenarios.test_emergency import ask

ALARM_S = float(os.environ.get("LAPEL_ALARM_S", "4"))
"""15 is what an operator has by default; the suite has no time for it."""
PERSONS = range(14, 14 + 6)
ROSTER = "v = 1\n" + "".join(
    f"""
[[person]]
id = "P-{n}"
name = "Officer {n}"
agency = "PCC"
role = "CSO"
issi = {2341000 + n}
[[unit]]
id = "PCC.CSO-{n}"
callsign = "CSO{n}"
agency = "PCC"
members = ["P-{n}"]
"""
    + "".join(
        f"""
[[device]]
id = "{kind}-{n}"
kind = "{what}"
agency = "PCC"
[[booking]]
device = "{kind}-{n}"
holder = "P-{n}"
from = 2026-01-01T00:00:00Z
how = "kiosk"
"""
        for kind, what in (("bcn", "beacon"), ("cam", "camera"))
    )
    for n in PERSONS
)


class Room:
    """Gateway, broker, devices, control room."""

    def __init__(self, folder: Path, broker: int, gateway: GatewayProcess) -> None:
        self.folder, self.gateway, self.token = folder, gateway, ""
        self._devices = paho.Client(CallbackAPIVersion.VERSION2, "devices")
        self._devices.connect("127.0.0.1", broker)
        self._devices.loop_start()

    def send(self, topic: str, payload: dict[str, Any]) -> None:
        """From a device, at least once."""
        self._devices.publish(topic, json.dumps(payload), 1).wait_for_publish(5)

    def beacon(self, n: int) -> None:
        """The button of a beacon."""
        at = datetime.now().astimezone().isoformat()
        where = {"v": 1, "fix_time": at, "latitude": 52.57, "longitude": -0.24, "sos": True}
        self.send(f"lapel/v1/beacon/bcn-{n}/position", where)

    def camera(self, n: int) -> None:
        """The button of a camera."""
        at = datetime.now().astimezone().isoformat()
        self.send(f"lapel/v1/camera/cam-{n}/event", {"v": 1, "event": "panic", "at": at})

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """As the control room."""
        return ask(self.gateway, self.token, path, body)

    def calls(self) -> list[tuple[float, dict[str, Any]]]:
        """When the siren's program was run (seconds since 1970), and what it was told."""
        file = self.folder / "calls"
        rows = [line.split(" ", 1) for line in file.read_text().splitlines()] if file.exists() else []
        return [(float(at), json.loads(said)) for at, said in rows]

    def close(self) -> None:
        """Everybody home."""
        self.gateway.kill()
        self._devices.disconnect()
        self._devices.loop_stop()


@contextlib.contextmanager
def room(folder: Path, **feed: Any) -> Iterator[Room]:
    """A gateway that takes beacons and cameras from a real broker, and a siren's program."""
    (folder / "roster.toml").write_text(ROSTER)
    siren = folder / "siren"
    siren.write_text(f'#!/bin/sh\nread said\necho "$(date +%s.%N) $said" >> "{folder}/calls"\n')
    siren.chmod(0o755)
    with mosquitto(folder) as broker:
        text = configuration(
            folder / "data",
            broker,
            kinds=("beacon", "camera"),
            roster={"file": str(folder / "roster.toml")},
            evidence={"enabled": False},
            feed={"emergency_alarm_s": ALARM_S, "alarm_hook": [str(siren)], **feed},
        )
        made = Room(folder, broker, GatewayProcess(folder, text))
        try:
            yield made
        finally:
            made.close()


async def a_machine_has_it(room: Room, number: str) -> None:
    """A dispatch system's client that acknowledges by itself."""
    headers = {"Authorization": f"Bearer {room.token}"}
    address = f"{room.gateway.address.rstrip('/')}/v1/feed/ws"
    async with aiohttp.ClientSession(headers=headers) as session, session.ws_connect(address) as line:
        await line.send_json({"type": "subscribe"})
        async for message in line:
            said = message.json()
            if said["type"] == "emergency":
                await line.send_json({"type": "ack", "seq": said["seq"]})
                if said["id"] == number and said["delivered"]:
                    return


@pytest.mark.timeout(120)
async def test_acked_by_a_machine_killed_and_still_loud(tmp_path: Path) -> None:
    """Loud at its time after the press, not after the restart; over with the word of a named person."""
    with room(tmp_path) as site:
        site.gateway.start().ready()
        site.token = site.gateway.token()
        pressed_s = time.time()
        site.beacon(14)
        until(lambda: site.ask("/v1/emergencies")["emergencies"], 10, "the press")
        (one,) = site.ask("/v1/emergencies")["emergencies"]
        assert abs(from_rfc3339(one["raised_at"]).timestamp() - pressed_s) < 1
        await a_machine_has_it(site, one["id"])
        log = tmp_path / "data/feed/urgent.log"
        until(lambda: b'"delivered":true' in log.read_bytes(), 5, "the delivery is on disk")
        time.sleep(max(0.0, pressed_s + ALARM_S / 3 - time.time()))
        site.gateway.kill()
        assert site.calls() == []
        site.gateway.start().ready()
        back_s = time.time() - pressed_s
        until(site.calls, ALARM_S + 10, "the siren", 0.02)
        at_s, said = site.calls()[0]
        told = site.gateway.events("emergency_unacknowledged")
        print(f"loud {at_s - pressed_s:.2f} s after the press, the gateway back after {back_s:.2f} s")
        assert (said["alarm"], said["emergency"]["id"], said["emergency"]["delivered"]) == ("raised", one["id"], True)
        assert said["emergency"]["acknowledged_by"] is None
        assert max(ALARM_S, back_s) - 0.3 <= at_s - pressed_s <= max(ALARM_S, back_s) + 1.5
        assert [(each["level"], each["emergency"]) for each in told] == [("critical", one["id"])]
        assert "lapel_feed_emergencies_unacknowledged 1.0" in metrics(site)
        until(lambda: len(site.calls()) > 1, ALARM_S + 3, "it lasts")
        site.ask(f"/v1/emergencies/{one['id']}/ack", {"by": "Inspector 3"})
        until(lambda: site.calls()[-1][1]["alarm"] == "over", 3, "it is over")
        assert [call["alarm"] for _, call in site.calls()] == ["raised", "lasts", "over"]
        assert "lapel_feed_emergencies_unacknowledged 0.0" in metrics(site)
        assert "lapel_alarm_hook_failures 0.0" in metrics(site)


def metrics(site: Room) -> str:
    """As Prometheus reads them."""
    headers = {"Authorization": f"Bearer {site.token}"}
    request = urllib.request.Request(site.gateway.address.rstrip("/") + "/metrics", None, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.timeout(120)
def test_every_way_of_one_person_is_one_emergency(tmp_path: Path) -> None:
    """Camera, beacon, radio by status, position and call, and the control room's word: in several orders, one each."""
    with room(tmp_path, emergency_alarm_s=60.0) as site, lines(1) as (radio,):
        driver = f'[[driver]]\nkind = "tetra"\nname = "terminal"\nport = "{radio.port}"\n'
        site.gateway.config.write_text(site.gateway.config.read_text() + driver)
        site.gateway.start().ready()
        site.token = site.gateway.token()
        ways = {
            "camera_panic": site.camera,
            "beacon_sos": site.beacon,
            "tetra_status": lambda n: radio.say(status(2341000 + n)),
            "lip_reason": lambda n: radio.say(position(2341000 + n, reason=2)),
            "tetra_call": lambda n: radio.say(call(2341000 + n)),
            "manual": lambda n: site.ask("/v1/emergencies", {"unit": f"PCC.CSO-{n}"}),
        }
        names = list(ways)
        with Follower(site.gateway.address, site.token) as follower:
            for shift, n in enumerate(PERSONS):
                order = names[shift:] + names[:shift]
                for number, way in enumerate(order):
                    ways[way](n)
                    follower.first("emergency", person=f"P-{n}", triggers=order[: number + 1])
        known = site.ask("/v1/emergencies")["emergencies"]
        assert sorted(one["person"] for one in known) == sorted(f"P-{n}" for n in PERSONS)
        assert {one["unit"] for one in known} == {f"PCC.CSO-{n}" for n in PERSONS}
        assert all(set(one["triggers"]) == set(names) and one["presses"] == len(names) for one in known)
        assert all(site.ask("/v1/emergencies", {"person": one["person"]})["id"] == one["id"] for one in known)
        first = known[0]
        site.ask(f"/v1/emergencies/{first['id']}/clear", {"by": "Sgt 7", "outcome": "assisted"})
        raised = site.ask("/v1/emergencies", {"unit": first["unit"]})
        assert (raised["id"] != first["id"], raised["state"]) == (True, "active")
