"""Positions in by the drivers' port, units out over HTTP, as other people's checkers read them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from geojson_pydantic import FeatureCollection

from tests.api.site import Site
from tests.feed.schema import check_feature

BANDSTAND = {"lat": 52.5739, "lon": -0.2403}


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Three units: on foot 100 m away, a cyclist 1 km, a car 3 km; the first two available, the car committed."""
    with Site(tmp_path_factory.mktemp("town")) as site:
        site.position("bcn-14", 52.5748, -0.2403)
        site.position("bcn-15", 52.5829, -0.2403)
        site.position("bcn-1187", 52.6009, -0.2403, age_s=8)
        site.status(2, 2341014)
        site.status(2, 2341015)
        site.status(8, 2341187)
        with site.client(site.token()) as client:
            yield client


def ids(client: httpx.Client, query: str = "") -> list[str]:
    """Which units a query shows."""
    response = client.get(f"/v1/units{query}")
    assert response.status_code == 200, response.text
    return sorted(feature["id"] for feature in response.json()["features"])


def nearest(client: httpx.Client, **query: Any) -> dict[str, Any]:
    """A ranking from the bandstand."""
    response = client.get("/v1/units/nearest", params=BANDSTAND | query)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_snapshot_is_geojson(town: httpx.Client, shared: Path) -> None:
    """Valid to geojson-pydantic and to the published schema; it says where in the stream it was taken."""
    response = town.get("/v1/units")
    assert response.headers["Content-Type"] == "application/geo+json"
    whole = response.json()
    FeatureCollection.model_validate(whole)
    assert len(whole["features"]) == 3
    for feature in whole["features"]:
        check_feature(feature)
    stream = whole["lapel:stream"]
    assert stream["epoch"]
    assert stream["seq"] >= max(feature["properties"]["seq"] for feature in whole["features"])
    assert stream["generated_at"].endswith("Z")


def test_what_a_unit_is(town: httpx.Client, shared: Path) -> None:
    """Who, where, from when, by which device, on which duty, with which battery."""
    feature = town.get("/v1/units/PCC.CSO-014").json()
    check_feature(feature)
    said = feature["properties"]
    assert feature["geometry"]["coordinates"] == [-0.2403, 52.5748]
    assert (said["callsign"], said["collar"], said["issi"]) == ("CSO14", "7714", 2341014)
    assert (said["duty"]["state"], said["duty"]["deployable"], said["duty"]["source"]) == (
        "available",
        True,
        "sds_status",
    )
    assert (said["source"], said["fresh"], said["battery_pct"]) == ("mqtt", "live", 71)
    assert said["sources"][0]["device"] == "bcn-14"
    assert set(said["members"][0]["devices"]) >= {"bcn-14"}
    assert said["powers"] == ["pcn", "csas.litter"]


def test_one_of_the_snapshot_is_the_one_alone(town: httpx.Client) -> None:
    """The same Feature both ways."""
    features = {each["id"]: each for each in town.get("/v1/units").json()["features"]}
    for name, feature in features.items():
        assert town.get(f"/v1/units/{name}").json() == feature


def test_a_unit_nobody_knows(town: httpx.Client) -> None:
    """404 that names it."""
    response = town.get("/v1/units/PCC.NOBODY")
    assert (response.status_code, "PCC.NOBODY" in response.json()["detail"]) == (404, True)


def test_a_unit_without_a_position_is_shown_without_one(site: Site, shared: Path) -> None:
    """The whole roster is on the feed from the start; geometry null, never invented."""
    with site.client(site.token()) as client:
        features = client.get("/v1/units").json()["features"]
        assert len(features) == 3
        for feature in features:
            check_feature(feature)
            assert (feature["geometry"], feature["properties"]["fresh"]) == (None, "never")
        ranking = nearest(client)
    assert (ranking["results"], ranking["rejected"]) == ([], {"no_position": 3})


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?agency=PCC", {"PCC.CSO-014", "PCC.CSO-015"}),
        ("?agency=PCC,CAMBS", {"PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187"}),
        ("?agency=PCC&agency=CAMBS", {"PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187"}),
        ("?agency=NOBODY", set()),
        ("?role=PC", {"CAMBS.PC-1187"}),
        ("?power=pcn", {"PCC.CSO-014", "CAMBS.PC-1187"}),
        ("?power=pcn,csas.litter", {"PCC.CSO-014"}),
        ("?power=csas.alcohol", {"PCC.CSO-015"}),
        ("?duty=available", {"PCC.CSO-014", "PCC.CSO-015"}),
        ("?duty=8", {"CAMBS.PC-1187"}),
        ("?duty=committed,available&agency=CAMBS", {"CAMBS.PC-1187"}),
        ("?bbox=-0.25,52.57,-0.23,52.58", {"PCC.CSO-014"}),
        ("?bbox=179,-90,-0.23,90", {"PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187"}),
        ("?bbox=0,0,1,1", set()),
        ("?max_age_s=3600", {"PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187"}),
    ],
)
def test_filters(town: httpx.Client, query: str, expected: set[str]) -> None:
    """Any of the agencies, roles, duties; every power; inside the box, over the antimeridian too."""
    assert set(ids(town, query)) == expected


def test_filter_by_age(site: Site) -> None:
    """A position older than asked for is not shown."""
    site.position("bcn-14", age_s=30)
    site.position("bcn-15", age_s=0)
    with site.client(site.token()) as client:
        assert ids(client, "?max_age_s=20") == ["PCC.CSO-015"]
        assert ids(client, "?max_age_s=60") == ["PCC.CSO-014", "PCC.CSO-015"]


# --- nearest


def test_ranked(town: httpx.Client) -> None:
    """Who can go first, then by time; distance, bearing, estimate and why are told."""
    ranking = nearest(town)
    assert [each["unit"] for each in ranking["results"]] == ["PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187"]
    first = ranking["results"][0]
    assert 95 < first["distance_m"] < 105
    assert first["bearing_deg"] in (0.0, 360.0)
    assert first["eta_s"] == pytest.approx(first["distance_m"] * 1.35 / 1.6, rel=0.01)
    assert "foot" in first["eta_basis"]
    assert 0 <= first["age_s"] < 60
    assert "duty available, deployable" in first["why"]
    assert first["feature"]["id"] == "PCC.CSO-014"
    assert first["feature"]["geometry"]["coordinates"] == [-0.2403, 52.5748]
    assert ranking["considered"] == 3


def test_only_units_with_the_power(town: httpx.Client) -> None:
    """Whoever lacks it is not offered, and counted."""
    ranking = nearest(town, power="pcn")
    assert [each["unit"] for each in ranking["results"]] == ["PCC.CSO-014", "CAMBS.PC-1187"]
    assert ranking["rejected"] == {"power": 1}
    assert all("power pcn" in each["why"] for each in ranking["results"])
    none = nearest(town, power="of.attorney")
    assert (none["results"], none["rejected"]) == ([], {"power": 3})


def test_a_power_that_has_expired_is_none(town: httpx.Client) -> None:
    """CSO15's `pcn` ended in 2020: neither shown, nor filtered by, nor ranked by; their other power is."""
    assert town.get("/v1/units/PCC.CSO-015").json()["properties"]["powers"] == ["csas.alcohol"]
    assert "PCC.CSO-015" not in ids(town, "?power=pcn")
    assert "PCC.CSO-015" not in [each["unit"] for each in nearest(town, power="pcn")["results"]]
    assert [each["unit"] for each in nearest(town, power="csas.alcohol")["results"]] == ["PCC.CSO-015"]


def test_every_reason_is_counted_once(town: httpx.Client) -> None:
    """Units considered = offered + rejected, whatever is asked."""
    for query in (
        {"power": "pcn"},
        {"agency": "PCC"},
        {"role": "PC"},
        {"duty": "available"},
        {"exclude": "PCC.CSO-014"},
        {"max_age_s": 0},
        {"power": "pcn", "agency": "PCC", "duty": "available", "exclude": "CAMBS.PC-1187"},
    ):
        ranking = nearest(town, **query)
        assert ranking["considered"] == len(ranking["results"]) + sum(ranking["rejected"].values()), query
        assert ranking["considered"] == 3
    assert nearest(town, agency="PCC")["rejected"] == {"agency": 1}
    assert nearest(town, role="PC")["rejected"] == {"role": 2}
    assert nearest(town, duty="available")["rejected"] == {"duty": 1}
    assert nearest(town, exclude="PCC.CSO-014")["rejected"] == {"excluded": 1}
    assert nearest(town, max_age_s=0)["rejected"] == {"age": 3}


def test_limit(town: httpx.Client) -> None:
    """As many as asked for, the best of them."""
    assert [each["unit"] for each in nearest(town, limit=1)["results"]] == ["PCC.CSO-014"]
    assert len(nearest(town, limit=500)["results"]) == 3


def test_off_duty_and_in_an_emergency(site: Site) -> None:
    """Off duty is private: neither shown nor ranked; in an emergency one is shown, and not sent."""
    site.position("bcn-14")
    site.position("bcn-15", 52.58)
    site.status(11, 2341014)
    with site.client(site.token()) as client:
        assert "PCC.CSO-014" not in ids(client)
        assert client.get("/v1/units/PCC.CSO-014").status_code == 404
        assert [each["unit"] for each in nearest(client)["results"]] == ["PCC.CSO-015"]
        site.press("bcn-15")
        ranking = nearest(client)
        assert (ranking["results"], ranking["rejected"]["duty"]) == ([], 1)
        assert client.get("/v1/units/PCC.CSO-015").json()["properties"]["emergency"]["state"] == "active"


# --- emergencies, messages, bookings as a control room uses them


def test_an_emergency_from_press_to_clear(site: Site) -> None:
    """Raised by a button, taken by a named person, over by their word; then it is nobody's to take."""
    site.position("bcn-14")
    site.press("bcn-14")
    with site.client(site.token()) as client:
        (raised,) = client.get("/v1/emergencies").json()["emergencies"]
        assert (raised["state"], raised["unit"], raised["person"]) == ("active", "PCC.CSO-014", "P-0014")
        assert raised["acknowledged_by"] is None
        assert raised["position"]["latitude"] == 52.57
        taken = client.post(f"/v1/emergencies/{raised['id']}/ack", json={"by": "Inspector 3"}).json()
        assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "Inspector 3")
        over = client.post(f"/v1/emergencies/{raised['id']}/clear", json={"by": "I 3", "outcome": "assisted"}).json()
        assert (over["state"], over["outcome"], over["cleared_by"]) == ("cleared", "assisted", "I 3")
        for act, body in (("ack", {"by": "I 4"}), ("clear", {"by": "I 4", "outcome": "test"})):
            assert client.post(f"/v1/emergencies/{raised['id']}/{act}", json=body).status_code == 404
        assert client.get("/v1/units/PCC.CSO-014").json()["properties"]["emergency"] is None


def test_an_emergency_by_word_of_mouth(site: Site) -> None:
    """The control room raises one for a unit; the person is named where there is only one."""
    with site.client(site.token()) as client:
        response = client.post("/v1/emergencies", json={"unit": "PCC.CSO-015"})
        assert (response.status_code, response.json()["triggers"]) == (201, ["manual"])
        assert response.json()["person"] == "P-0015"


def test_messages(site: Site) -> None:
    """Statuses 12 to 16 and texts, oldest first, with their sender."""
    site.status(14)
    site.text("at the bandstand")
    with site.client(site.token()) as client:
        first, second = client.get("/v1/messages").json()["messages"]
    assert (first["meaning"], first["unit"]) == ("urgent_call_back", "PCC.CSO-014")
    assert (second["text"], second["person"]) == ("at the bandstand", "P-0014")


def test_a_booking_moves_the_beacon(site: Site) -> None:
    """Handed over at the counter: the next position is the new holder's, and the history keeps both."""
    with site.client(site.token()) as client:
        made = client.post("/v1/bookings", json={"device": "bcn-14", "holder": "P-1187", "how": "card"})
        assert (made.status_code, made.json()["actor"]) == (201, "tester")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            site.position("bcn-14", 52.50)
            if client.get("/v1/units/CAMBS.PC-1187").json()["geometry"]:
                break
            time.sleep(0.05)
        assert client.get("/v1/units/CAMBS.PC-1187").json()["geometry"]["coordinates"][1] == 52.50
        rows = client.get("/v1/bookings?device=bcn-14").json()["bookings"]
        assert [(row["holder"], row["until"] is None) for row in rows] == [
            ("P-0014", True),
            ("P-0014", False),
            ("P-1187", True),
        ]
        ended = client.post(f"/v1/bookings/{made.json()['id']}/end", json={}).json()
        assert ended["until"] is not None
        assert client.post(f"/v1/bookings/{made.json()['id']}/end", json={}).status_code == 404
        corrected = client.patch(f"/v1/bookings/{ended['id']}", json={"holder": "P-0015", "reason": "wrong card"})
        assert (corrected.json()["holder"], corrected.json()["corrects"]) == ("P-0015", ended["id"])
        (device,) = (each for each in client.get("/v1/devices").json()["devices"] if each["device"]["id"] == "bcn-14")
        assert device["holders"] == []
