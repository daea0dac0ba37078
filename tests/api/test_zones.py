"""Zones over HTTP."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from geojson_pydantic import Feature

from tests.api.site import PATIENCE_S, Site
from tests.feed.squares import feature, file_of, square

BEATS = file_of(
    feature(square(-0.3, 52.5, -0.2, 52.6), id="bc", properties={"name": "City"}),
    feature(square(-0.2, 52.5, -0.1, 52.6), "MultiPolygon", id="be", properties={"name": "East"}),
)
RULES = [{"zone": "beat:bc", "power": "pcn"}, {"zone": "beat:be", "power": "constable", "after_s": 0.0}]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A gateway with zones and one unit in the first, asked by one who may."""
    root: Path = tmp_path_factory.mktemp("zones")
    (root / "beats.geojson").write_bytes(BEATS)
    drawn = {"zones": str(root / "beats.geojson"), "zone_kind": "beat"}
    with Site(root, map=drawn, feed={"coverage": RULES}) as site, site.client(site.token()) as client:
        site.position()
        until = time.monotonic() + PATIENCE_S
        while not _known(client):
            assert time.monotonic() < until, "the rules are not known"
            time.sleep(0.05)
        yield client


def _known(client: httpx.Client) -> bool:
    return all(rule["covered"] is not None for rule in client.get("/v1/zones").json()["coverage"])


def test_zones_their_units_and_rules(client: httpx.Client) -> None:
    """Who is where, and whether the rules hold."""
    body = client.get("/v1/zones").json()
    city, east = body["zones"]
    assert city == {"id": "beat:bc", "name": "City", "bbox": [-0.3, 52.5, -0.2, 52.6], "members": ["PCC.CSO-014"]}
    assert (east["id"], east["members"]) == ("beat:be", [])
    assert [rule["covered"] for rule in body["coverage"]] == [True, False]


def test_one_zone_as_geojson(client: httpx.Client) -> None:
    """With its outline, as any GIS reads it."""
    answer = client.get("/v1/zones/beat:be")
    assert answer.headers["Content-Type"].startswith("application/geo+json")
    found = answer.json()
    Feature.model_validate(found)
    assert found["geometry"]["coordinates"] == [[json.loads(json.dumps(square(-0.2, 52.5, -0.1, 52.6)))]]
    assert found["properties"] == {"name": "East", "members": []}


def test_no_such_zone(client: httpx.Client) -> None:
    """Named, wherever it is asked for: nobody is found in a zone that there is not, and that must not look so."""
    assert "'beat:x'" in client.get("/v1/zones/beat:x").json()["detail"]
    refused = client.get("/v1/units/nearest?lat=52.57&lon=-0.24&zone=beat:x")
    assert (refused.status_code, refused.json()["detail"]) == (422, "zone: there is no zone 'beat:x'")


def test_nearest_in_a_zone(client: httpx.Client) -> None:
    """The filter, and the feature that says the same."""
    found = client.get("/v1/units/nearest?lat=52.57&lon=-0.24&zone=beat:bc,beat:be").json()["results"]
    assert [one["feature"]["properties"]["zones"] for one in found] == [["beat:bc"]]
    assert client.get("/v1/units/nearest?lat=52.57&lon=-0.24&zone=beat:be").json()["rejected"]["zone"] == 1


def test_units_of_a_zone(client: httpx.Client) -> None:
    """The snapshot's filter, and the stream's refusal."""
    found = client.get("/v1/units?zone=beat:bc").json()["features"]
    assert [one["id"] for one in found] == ["PCC.CSO-014"]
    assert client.get("/v1/units?zone=beat:be").json()["features"] == []
    assert client.get("/v1/feed?zone=beat:x").status_code == client.get("/v1/units?zone=beat:x").status_code == 422


def test_metrics(client: httpx.Client) -> None:
    """How many rules have nobody."""
    text = client.get("/metrics").text
    assert "\nlapel_feed_zones_uncovered 1.0\n" in text
    assert "\nlapel_feed_zone_faults 0.0\n" in text
