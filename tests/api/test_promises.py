"""Whatever goes out over HTTP is as unit.schema.json and /asyncapi.yaml promise: every way out, every record."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest

from gateway.api.asyncapi import OURS, RECORDS
from tests.api.site import Site
from tests.api.test_feed_socket import Desk, connected, read_until
from tests.api.test_stream import Reader, following
from tests.api.test_stream import read_until as read_events
from tests.feed.schema import check_feature
from tests.feed.squares import feature, file_of, square

ZONES = file_of(
    feature(square(-0.3, 52.5, -0.2, 52.6), id="a", properties={"name": "Ay"}),
    feature(square(-0.3, 52.7, -0.2, 52.8), id="b", properties={"name": "Bee"}),
)
PAIR = """
[[person]]
id = "P-0016"
name = "Officer 16"
agency = "PCC"
role = "CSO"
powers = [{ id = "csas.begging" }]
[[unit]]
id = "PCC.PAIR-1"
callsign = "PAIR1"
agency = "PCC"
members = ["P-0016", "P-0015"]
[[device]]
id = "bcn-16"
kind = "beacon"
agency = "PCC"
[[booking]]
device = "bcn-16"
holder = "P-0016"
from = 2026-01-01T00:00:00Z
how = "kiosk"
"""
MESSAGES = {"position": "unitPosition", "duty": "unitDuty", "emergency": "emergencyRecord", "zone": "zoneCrossing"}
MESSAGES |= {"coverage": "zoneCoverage", "status": "status", "snapshot": "snapshot"}


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Site]:
    """Two zones, a unit of two, one that records, one of whom nothing is heard."""
    (tmp_path / "zones.geojson").write_bytes(ZONES)
    rules = [{"zone": "a", "power": "pcn", "after_s": 0.0}, {"zone": "b", "power": "pcn", "after_s": 0.0}]
    drawn = {"zones": str(tmp_path / "zones.geojson")}
    with Site(tmp_path, more_roster=PAIR, map=drawn, feed={"coverage": rules}) as site:
        site.position("bcn-14", 52.55, -0.25)
        site.position("bcn-16", 52.56, -0.25)
        site.tell("recording_started", recording="now", n=1)
        site.status(3)
        yield site


def happen(site: Site) -> None:
    """Somebody leaves a zone for the other, changes duty, presses."""
    for step in range(4):
        site.position("bcn-14", 52.75, -0.25 + step / 10_000)
    site.position("bcn-16", 52.561, -0.25, age_s=-30)
    site.status(8)
    site.press("bcn-16")


class Promise:
    """The document's schemas, and what was held against them."""

    def __init__(self, client: httpx.Client) -> None:
        self.document = client.get("/asyncapi.yaml").json()
        self.seen: set[str] = set()
        self.features: list[dict[str, Any]] = []

    def check(self, message: str, said: Any) -> None:
        """One message or record; every Feature in it by unit.schema.json."""
        ref = self.document["components"]["messages"][message]["payload"]["$ref"]
        jsonschema.Draft202012Validator({"$ref": ref, "components": self.document["components"]}).validate(said)
        self.seen.add(message)
        for one in [said] if message == "unitPosition" else said.get("features", []):
            self.feature(one)

    def feature(self, one: dict[str, Any]) -> None:
        """A unit."""
        check_feature(one)
        self.features.append(one["properties"])


def judged(promise: Promise) -> None:
    """What was seen has what it is about."""
    members = [properties["members"] for properties in promise.features]
    assert {len(each) for each in members} >= {1, 2}
    assert {zone for properties in promise.features for zone in properties.get("zones", ())} == {"a", "b"}
    assert any(properties.get("recording") for properties in promise.features)
    assert all(isinstance(properties["overtime"], bool) for properties in promise.features)
    assert {properties["source"] for properties in promise.features} >= {"mqtt", "none"}


def test_server_sent_events(town: Site, shared: Path) -> None:
    """Snapshot, positions, duty, emergency, zones, rules, status."""
    reader = Reader()
    with town.client(town.token()) as client:
        promise = Promise(client)
        take = reader.take

        def checking(event: Any) -> None:
            if event.event in MESSAGES and event.event != "snapshot":
                promise.check(MESSAGES[event.event], json.loads(event.data))
            elif event.event == "snapshot":
                for one in json.loads(event.data)["features"]:
                    promise.feature(one)
            take(event)

        reader.take = checking  # type: ignore[method-assign]
        with following(town, town.token()) as events:
            read_events(events, reader, lambda: bool(reader.statuses))
            happen(town)
            read_events(events, reader, lambda: promise.seen >= {*RECORDS, "status"})
    judged(promise)


async def test_websocket(town: Site, shared: Path) -> None:
    """Every message, every record of every batch; each says which gateway it is of, and which epoch."""
    desk = Desk()
    with town.client(town.token()) as client:
        promise = Promise(client)
    take = desk.take

    def checking(said: dict[str, Any]) -> dict[str, Any]:
        promise.check(said["type"], said)
        assert (said["instance"], bool(said["epoch"])) == ("test-1", True)
        for one in said.get("records", []):
            promise.check(MESSAGES[one["event"]], one["record"])
        return take(said)

    desk.take = checking  # type: ignore[method-assign]
    async with connected(town, town.token()) as ws:
        await ws.send_json({"type": "subscribe"})
        await read_until(ws, desk, lambda: "snapshot" in promise.seen)
        happen(town)
        await read_until(ws, desk, lambda: promise.seen >= {*OURS, *RECORDS} - {"emergencyRecord"})
    judged(promise)


def test_rest(town: Site, shared: Path) -> None:
    """Snapshot, one unit, nearest, long-poll; each answer says which gateway it is from."""
    with town.client(town.token()) as client:
        promise = Promise(client)
        first = client.get("/v1/units")
        assert first.headers["Lapel-Instance"] == "test-1"
        at = first.json()["lapel:stream"]
        happen(town)
        ends_s = time.monotonic() + 10
        while not any("b" in properties.get("zones", ()) for properties in promise.features):
            assert time.monotonic() < ends_s
            for one in client.get("/v1/units").json()["features"]:
                promise.feature(one)
                promise.feature(client.get(f"/v1/units/{one['id']}").json())
        for one in first.json()["features"]:
            promise.feature(one)
        for one in client.get("/v1/units/nearest?lat=52.56&lon=-0.25&limit=9").json()["results"]:
            promise.feature(one["feature"])
        while not promise.seen >= set(RECORDS) - {"zoneCrossing"}:  # told to who follows, not to who comes back
            assert time.monotonic() < ends_s, promise.seen
            since = client.get(f"/v1/units?after={at['epoch']}-{at['seq']}").json()
            at = since["lapel:stream"]
            for one in since["features"]:
                promise.check("unitPosition", one)
            for one in since["lapel:records"]:
                promise.check(MESSAGES[one["event"]], one["record"])
    judged(promise)
