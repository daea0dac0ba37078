"""Where a unit was, over HTTP: what beacons sent by the drivers' port, as a client reads it; looking is on record."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest
from geojson_pydantic import FeatureCollection

from tests.api.site import Site

UNIT = "/v1/units/PCC.CSO-014/track"
GPX = "{http://www.topografix.com/GPX/1/1}"


def walk(site: Site, count: int = 20) -> None:
    """A beacon north, a fix each two seconds up to now; one spike, one that comes late."""
    for number in range(count):
        site.position(lat=52.57 + number * 1e-5, age_s=(count - number) * 2.0)
    site.position(lat=52.97, age_s=1.0)
    site.position(lat=52.5701, age_s=count * 2.0 + 60)
    written(site)


def written(site: Site) -> None:
    """Whatever was taken is on disk."""
    site.awaited(site.gateway.tracks._trail.write())  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One unit has walked."""
    with Site(tmp_path_factory.mktemp("walked")) as site:
        walk(site)
        yield site


@pytest.fixture
def client(walked: Site) -> Iterator[httpx.Client]:
    """Somebody who may ask."""
    with walked.client(walked.token()) as client:
        yield client


def asked(client: httpx.Client, **query: Any) -> Any:
    """What is answered."""
    answer = client.get(UNIT, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_last_hour(client: httpx.Client) -> None:
    """Every fix once, by its own time, the late one first; the outlier beside the line."""
    answer = client.get(UNIT)
    assert answer.headers["content-type"] == "application/geo+json"
    body = answer.json()
    FeatureCollection.model_validate(body)
    line, outlier = body["features"]
    assert len(line["geometry"]["coordinates"]) == 21
    assert line["properties"]["coordTimes"] == sorted(line["properties"]["coordTimes"])
    assert [each["mark"] for each in line["properties"]["fixes"]] == ["late"] + ["live"] * 20
    assert outlier["properties"]["mark"] == "held"
    assert outlier["geometry"]["coordinates"] == [-0.24, 52.97]


def test_pages(client: httpx.Client) -> None:
    """Page by page the same places."""
    whole = asked(client)["features"][0]["geometry"]["coordinates"]
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        body = asked(client, limit=8, **after)
        found += body["features"][0]["geometry"]["coordinates"]
        if body["lapel:track"]["next"] is None:
            break
        after = {"after": body["lapel:track"]["next"]}
    assert found == whole


def test_simplified(client: httpx.Client) -> None:
    """A straight walk is its ends; how many fixes there were is said."""
    about = asked(client, simplify_m=5)["lapel:track"]
    assert (about["fixes"], about["points"]) == (22, 3)


def test_gpx(client: httpx.Client) -> None:
    """As a file, with the outlier as a way point."""
    answer = client.get(UNIT, params={"format": "gpx", "limit": 10})
    assert answer.headers["content-type"] == "application/gpx+xml"
    assert "PCC.CSO-014.gpx" in answer.headers["content-disposition"]
    root = ET.fromstring(answer.content)
    assert len(list(root.iter(f"{GPX}trkpt"))) == 10
    rest = client.get(UNIT, params={"format": "gpx", "after": answer.headers["lapel-next"]})
    assert len(list(ET.fromstring(rest.content).iter(f"{GPX}trkpt"))) == 11
    assert "lapel-next" not in rest.headers
    assert len(list(ET.fromstring(rest.content).iter(f"{GPX}wpt"))) == 1


def test_a_span(client: httpx.Client) -> None:
    """From is included, to is not; a span without fixes is no error."""
    times = asked(client)["features"][0]["properties"]["coordTimes"]
    inside = asked(client, **{"from": times[5], "to": times[8]})["features"][0]["properties"]["coordTimes"]
    assert inside == times[5:8]
    none = asked(client, **{"from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00+01:00"})
    assert none["features"][0]["geometry"] is None


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-01-01T00:00:00", "from"),
        ("from=2026", "from"),
        ("to=1.5e9", "to"),
        ("to=null", "to"),
        ("format=kml", "format"),
        ("limit=0", "limit"),
        ("simplify_m=-1", "simplify_m"),
        ("simplify_m=nan", "simplify_m"),
        ("after=soon", "after"),
        ("colour=red", "colour"),
    ],
)
def test_bad_questions(client: httpx.Client, query: str, field: str) -> None:
    """400 naming the field."""
    answer = client.get(f"{UNIT}?{query}")
    assert answer.status_code == 400
    assert field in answer.json()["detail"]


@pytest.mark.parametrize("query", ["from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to=0001-01-01T00:00:00Z"])
def test_spans_that_cannot_be(client: httpx.Client, query: str) -> None:
    """Each end is a moment, the two are no span: 422."""
    answer = client.get(f"{UNIT}?{query}")
    assert answer.status_code == 422
    assert "to" in answer.json()["detail"]


def test_who_may(walked: Site) -> None:
    """A permission of its own: a consumer of the feed sees where units are, not where they were."""
    with walked.client() as nobody:
        assert nobody.get(UNIT).status_code == 401
    with walked.client(walked.token("feed:read")) as consumer:
        answer = consumer.get(UNIT)
        assert (answer.status_code, answer.json()["permission"]) == (403, "feed:track")
    with walked.client(walked.token(user="control", role="controller")) as controller:
        assert controller.get(UNIT).status_code == 200


def test_no_such_unit(client: httpx.Client) -> None:
    """404; a unit of the roster that was never heard has an empty track."""
    assert client.get("/v1/units/PCC.CSO-999/track").status_code == 404
    answer = client.get("/v1/units/PCC.CSO-015/track")
    assert answer.json()["features"][0]["geometry"] is None


def test_looking_is_on_record(site: Site) -> None:
    """One entry `view` a sitting and span, with the purpose, before anything is shown; none for what is refused."""
    walk(site, 3)
    span = {"from": "2026-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z", "purpose": "complaint 7"}
    with site.client(site.token()) as client:
        for _ in range(2):
            assert client.get(UNIT, params=span).status_code == 200
        client.get("/v1/units/PCC.CSO-999/track")
        acts = client.get("/v1/audit", params={"purpose": "test", "kind": "view"}).json()["acts"]
    (act,) = [each for each in acts if each["kind"] == "view"]
    assert (act["actor"], act["justification"], act["exhibit"]) == ("tester", "complaint 7", None)
    detail, _ = site.gateway.evidence.records.custody.detail(act["index"])  # type: ignore[union-attr]
    assert (detail["what"], detail["unit"]) == ("track", "PCC.CSO-014")
    assert (detail["from"], detail["to"]) == ("2026-01-01T00:00:00Z", "2099-01-01T00:00:00Z")


def test_masked(site: Site) -> None:
    """A masked unit has no track, as if there were no such unit; not even of the time before."""
    walk(site, 3)
    assert site.gateway.tracks is not None
    site.gateway.tracks.masked = lambda unit: unit == "PCC.CSO-014"
    site.position(lat=52.5709)
    written(site)
    with site.client(site.token()) as client:
        masked, none = client.get(UNIT), client.get("/v1/units/PCC.CSO-999/track")
        assert masked.status_code == none.status_code == 404
        assert masked.json()["detail"].replace("014", "999") == none.json()["detail"]
        site.gateway.tracks.masked = lambda _unit: False
        assert client.get(UNIT).json()["lapel:track"]["fixes"] == 5


def test_nothing_is_kept_with_0_days(tmp_path: Path) -> None:
    """`track_days = 0`: no file, no track; the feed is the same."""
    with Site(tmp_path, feed={"track_days": 0}, evidence={"enabled": False}) as site:
        site.position()
        with site.client(site.token()) as client:
            assert client.get("/v1/units/PCC.CSO-014").json()["geometry"]["coordinates"] == [-0.24, 52.57]
            assert client.get(UNIT).json()["lapel:track"]["fixes"] == 0
        assert not (site.data / "tracks").exists()


def test_after_a_restart_units_are_where_they_were(tmp_path: Path) -> None:
    """As old as they are; an older fix that comes then is late; off duty nobody comes back."""
    with Site(tmp_path) as site:
        site.position(lat=52.5711, age_s=40)
        site.position("bcn-15", 52.58)
        site.position("bcn-1187", 52.6)
        site.status(11, 2341187)
    time.sleep(0.1)
    with Site(tmp_path) as site, site.client(site.token()) as client:
        found = client.get("/v1/units/PCC.CSO-014").json()
        assert found["geometry"]["coordinates"] == [-0.24, 52.5711]
        assert found["properties"]["fresh"] != "live"
        assert client.get("/v1/units/CAMBS.PC-1187").status_code == 404
        site.position(lat=52.5, age_s=50)
        assert client.get("/v1/units/PCC.CSO-014").json()["geometry"]["coordinates"] == [-0.24, 52.5711]
        written(site)
        marks = [each["mark"] for each in client.get(UNIT).json()["features"][0]["properties"]["fixes"]]
        assert marks == ["late", "live"]
