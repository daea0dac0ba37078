"""Programs of others and the feed: the public AsyncAPI parser; a WebSocket client cut off across a kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest
from httpx_sse import connect_sse
from paho.mqtt.enums import CallbackAPIVersion

from gateway.api.asyncapi import document
from tests import peers
from tests.api.site import ROSTER
from tests.foreign.lively import lively
from tests.foreign.node import packages
from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port, mosquitto

HERE = Path(__file__).parent / "feed"
CUTS = 50
STEPS = 80
UNITS = {"bcn-14": "PCC.CSO-014", "bcn-15": "PCC.CSO-015", "bcn-1187": "CAMBS.PC-1187"}
TOLD = "CAMBS.PC-1187"


def node(script: str, *words: str) -> subprocess.Popen[str]:
    """One of the scripts beside this file, with its packages."""
    try:
        modules = packages(HERE)
    except OSError as reason:
        peers.left_out(f"{reason} is missing")
    environment = {**os.environ, "LAPEL_NODE": str(modules)}
    line = ["node", str(HERE / script), *words]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def said(process: subprocess.Popen[str], patience_s: float = 60.0) -> dict[str, Any]:
    """What it prints at its end."""
    out, wrong = process.communicate(timeout=patience_s)
    assert process.returncode == 0, wrong
    return json.loads(out)


@pytest.mark.timeout(200)
def test_the_public_parser_reads_the_document(tmp_path: Path) -> None:
    """Without an error, every channel and message in it; and it finds what is wrong in one that is wrong."""
    good, bad = document("1.2.3"), document("1.2.3")
    bad["operations"]["tellEvents"]["channel"] = {"$ref": "#/channels/nowhere"}
    found = []
    for content in (good, bad):
        (tmp_path / "asyncapi.yaml").write_text(json.dumps(content))
        found.append(said(node("parse.mjs", str(tmp_path / "asyncapi.yaml"))))
    assert found[0]["wrong"] == []
    assert found[0]["version"] == "3.0.0"
    assert set(found[0]["channels"]) == {channel["address"] for channel in good["channels"].values()}
    assert set(found[0]["messages"]) == set(good["components"]["messages"])
    assert found[1]["wrong"]


class Night:
    """Officers who walk, change status and press, over broker and HTTP, while the gateway is killed."""

    def __init__(self, gateway: GatewayProcess, broker: int, token: str) -> None:
        self.gateway, self.token = gateway, token
        self.pressed: set[str] = set()
        self._beacons = paho.Client(CallbackAPIVersion.VERSION2, "beacons")
        self._beacons.connect("127.0.0.1", broker)
        self._beacons.loop_start()

    def walk(self, step: int) -> None:
        """Five metres each."""
        for number, device in enumerate(UNITS):
            at = {"lat": latitude(number, step), "lon": -0.24, "time": int(time.time() * 1000), "accuracy_m": 8}
            self._beacons.publish(f"lapel/v1/beacon/{device}/position", json.dumps(place(at)), 1)

    def act(self, step: int) -> None:
        """A status, and now and then an emergency; answered, and so on disk, on return."""
        with httpx.Client(base_url=self.gateway.address, headers={"Authorization": f"Bearer {self.token}"}) as client:
            put = client.put("/v1/units/PCC.CSO-014/duty", json={"code": 2 + step % 2})
            assert put.status_code == 200, put.text
            if step % 20 == 0:
                unit = list(UNITS.values())[step // 20 % 3]
                self.pressed.add(client.post("/v1/emergencies", json={"unit": unit}).json()["id"])

    def over(self) -> None:
        """Home."""
        self._beacons.disconnect()
        self._beacons.loop_stop()


def latitude(number: int, step: int) -> float:
    """Where each is at that step."""
    return round(52 + number / 10 + step / 20_000, 5)


def place(at: dict[str, Any]) -> dict[str, Any]:
    """As OwnTracks says it."""
    return {"_type": "location", "lat": at["lat"], "lon": at["lon"], "tst": at["time"] // 1000, "acc": 8}


class Events:
    """A consumer of server-sent events, cut off as often, in a thread of its own."""

    def __init__(self, address: str, token: str, seed: int) -> None:
        self.known: dict[str, Any] = {
            "units": {},
            "urgent": [],
            "seqs": [],
            "epochs": [],
            "snapshots": 0,
            "cuts": 0,
            "statuses": 0,
        }
        self._address, self._token, self._draw = address, token, random.Random(seed)
        self._cursor = ""
        self.last = latitude(2, STEPS - 1)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def end(self) -> dict[str, Any]:
        """What it knows in the end."""
        self._thread.join(60)
        assert not self._thread.is_alive(), self.known["units"]
        return self.known

    def _enough(self) -> bool:
        return self.known["cuts"] >= CUTS and self.known["units"].get(TOLD) == self.last

    def _follow(self) -> None:
        while not self._enough():
            with contextlib.suppress(httpx.HTTPError):
                self._turn()
            time.sleep(0.02)

    def _turn(self) -> None:
        until_s = time.monotonic() + self._draw.random() * 0.12
        headers = {"Authorization": f"Bearer {self._token}"} | ({"Last-Event-ID": self._cursor} if self._cursor else {})
        with (
            httpx.Client(base_url=self._address, headers=headers, timeout=5) as client,
            connect_sse(client, "GET", "/v1/feed") as source,
        ):
            for event in source.iter_sse():
                self._take(event.event, event.id, json.loads(event.data))
                cut = self.known["cuts"] < CUTS and time.monotonic() > until_s
                if cut or self._enough():
                    self.known["cuts"] += cut
                    return

    def _take(self, event: str, cursor: str, content: dict[str, Any]) -> None:
        if event == "status":
            assert cursor == self._cursor, "a status moves no cursor"
            self.known["statuses"] += 1
            return
        known, self._cursor = self.known, cursor
        epoch, _, seq = cursor.rpartition("-")
        known["seqs"].append(int(seq))
        if known["epochs"][-1:] != [epoch]:
            known["epochs"].append(epoch)
        if event == "snapshot":
            known["snapshots"] += 1
            known["units"] = {one["id"]: shown(one) for one in content["features"]}
        elif event == "position":
            known["units"][content["id"]] = shown(content)
        else:
            key = content.get("id") if event == "emergency" else content.get("unit")
            value = content.get("state") if event == "emergency" else content.get("code")
            known["urgent"].append({"event": event, "seq": int(seq), "key": key, "value": value})


def shown(unit: dict[str, Any]) -> float | None:
    """Its latitude."""
    return unit["geometry"]["coordinates"][1] if unit["geometry"] else None


@pytest.mark.timeout(200)
def test_a_status_moves_no_cursor(tmp_path: Path) -> None:
    """The stock EventSource client, cut off behind statuses: it comes back with the cursor of the last record."""
    with lively(tmp_path) as (gateway, token):
        known = said(node("events.mjs", f"{gateway.address}v1/feed", token, "4"))
    assert known["moved"] == 0
    assert known["asked"] == [None, *known["cursors"]]
    assert known["snapshots"] == 1
    assert known["inputs"]["beacons"]["state"] == "up"


@pytest.mark.timeout(200)
def test_cut_off_at_fifty_moments_across_a_kill(tmp_path: Path) -> None:
    """WebSocket and server-sent events: one epoch, numbers rising, every urgent record, each unit's latest."""
    (tmp_path / "roster.toml").write_text(ROSTER)
    port = free_port()
    with mosquitto(tmp_path) as broker:
        text = configuration(
            tmp_path / "data",
            broker,
            kinds=("beacon",),
            roster={"file": str(tmp_path / "roster.toml")},
            evidence={"enabled": False},
            api={"port": port},
            feed={"tick_ms": 20, "mqtt_interval_s": 10.0},
        )
        gateway = GatewayProcess(tmp_path, text)
        try:
            gateway.start().ready()
            night(gateway, broker)
        finally:
            gateway.kill()


def night(gateway: GatewayProcess, broker: int) -> None:
    """Followed by two who are cut off; in the middle of it the gateway is killed and comes back."""
    shift = Night(gateway, broker, gateway.token())
    address = gateway.address.rstrip("/").replace("http", "ws") + "/v1/feed/ws"
    socket = node("follow.mjs", address, shift.token, str(CUTS), TOLD, str(latitude(2, STEPS - 1)))
    events = Events(gateway.address, shift.token, 1)
    for step in range(STEPS):
        if step == STEPS // 2:
            gateway.kill()
            gateway.start().ready()
        shift.act(step)
        shift.walk(step)  # behind the act: whoever has the last place has heard of the last act
        time.sleep(0.06)
    known = {}
    ends_s = time.monotonic() + 40
    while socket.poll() is None and time.monotonic() < ends_s:
        shift.walk(STEPS - 1)
        time.sleep(0.25)
    known["ws"], known["sse"] = said(socket, 5), events.end()
    shift.over()
    gateway.terminate()
    kept = on_disk(gateway)
    for way, one in known.items():
        judged(way, one, shift, kept)


def on_disk(gateway: GatewayProcess) -> tuple[set[int], set[int]]:
    """The numbers of every duty and of every word on an emergency that the urgent log kept over the kill."""
    lines = (gateway.config.parent / "data" / "feed" / "urgent.log").read_bytes().splitlines()[1:]
    found = [json.loads(line) for line in lines]
    return {one["seq"] for one in found if "code" in one}, {one["seq"] for one in found if "triggers" in one}


def judged(way: str, known: dict[str, Any], shift: Night, kept: tuple[set[int], set[int]]) -> None:
    """What a consumer must know in the end, whatever it was cut off from.

    Every act was answered: none is gone. An unacknowledged emergency is said again and again: those who have
    left meanwhile have every word up to where they left.
    """
    duties, emergencies = kept
    print(way, {name: known[name] for name in ("epochs", "snapshots", "cuts")}, len(known["seqs"]))
    assert known["cuts"] >= CUTS
    assert (len(known["epochs"]), known["snapshots"]) == (1, 1)
    assert known["seqs"] == sorted(set(known["seqs"]))
    urgent = {one["seq"] for one in known["urgent"]}
    assert len(duties) == STEPS
    assert {seq for seq in duties if seq > known["seqs"][0]} <= urgent
    assert {seq for seq in emergencies if known["seqs"][0] < seq <= known["seqs"][-1]} <= urgent
    assert {one["key"] for one in known["urgent"] if one["event"] == "emergency"} == shift.pressed
    assert {name: known["units"][name] for name in UNITS.values()} == {
        name: latitude(number, STEPS - 1) for number, name in enumerate(UNITS.values())
    }
