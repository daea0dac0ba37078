"""Crews, plans and self-booking through a whole gateway over HTTP, and over its restart."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.site import Site
from tests.feed.schema import check_feature

HERE = {"lat": 52.5739, "lon": -0.2403}
MORE = """
[[unit]]
id = "PCC.VAN-1"
callsign = "VAN1"
agency = "PCC"
kind = "vehicle"
[[device]]
id = "trm-2341015"
kind = "terminal"
agency = "PCC"
issi = 2341015
"""


def until(condition: Callable[[], Any], patience_s: float = 5.0) -> Any:
    """What it answers once it is true."""
    ends_s = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < ends_s, "did not come"
        time.sleep(0.02)
    return found


def crew(client: httpx.Client) -> list[str]:
    """Who the feed says is with the van."""
    feature = client.get("/v1/units/PCC.VAN-1").json()
    check_feature(feature)
    return [member["person"] for member in feature["properties"]["members"]]


def test_a_crew_changes_during_the_shift(tmp_path: Path, shared: Path) -> None:
    """Two join a van: on the feed at once, ranked where they are, on record, and still so after a restart."""
    site = Site(tmp_path, more_roster=MORE)
    with site, site.client(token := site.token()) as client:
        site.position("bcn-14", 52.5748, -0.2403)
        site.position("bcn-15", 52.5829, -0.2403)
        for person in ("P-0014", "P-0015"):
            made = client.put(f"/v1/units/PCC.VAN-1/members/{person}", json={"reason": "one vehicle short"})
            assert made.status_code == 200, made.text
        until(lambda: crew(client) == ["P-0014", "P-0015"])
        found = client.get("/v1/units/nearest", params=HERE | {"power": "csas.alcohol"}).json()["results"]
        assert [(each["unit"], each["person"]) for each in found] == [("PCC.VAN-1", "P-0015")]
        assert "away from the unit" in found[0]["why"]
        assert client.get("/v1/units/PCC.VAN-1").json()["properties"]["powers"] == ["pcn", "csas.litter"]
        site.status(2, 2341014)
        until(lambda: client.get("/v1/units/PCC.VAN-1").json()["properties"]["duty"]["state"] == "available")
    with site, site.client(token) as client:
        assert crew(client) == ["P-0014", "P-0015"]
        said = client.get("/v1/units/PCC.VAN-1/members").json()
        assert said["members"] == ["P-0014", "P-0015"]
        assert [(each["members"], each["reason"]) for each in said["history"]] == [
            ([], None),
            (["P-0014"], "one vehicle short"),
            (["P-0014", "P-0015"], "one vehicle short"),
        ]
        left = client.delete("/v1/units/PCC.VAN-1/members/P-0014", params={"reason": "home"})
        assert left.json()["members"] == ["P-0015"]
        until(lambda: crew(client) == ["P-0015"])


SHIFT = {"holder": "P-0014", "from": "2026-11-21T20:00:00Z", "to": "2026-11-21T21:00:00Z"}


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/v1/units/PCC.GHOST/members/P-0014", {}, 404),
        ("PUT", "/v1/units/PCC.VAN-1/members/P-9", {}, 404),
        ("PUT", "/v1/units/PCC.VAN-1/members/P-0014", {"why": "x"}, 400),
        ("DELETE", "/v1/units/PCC.VAN-1/members/P-0014", None, 404),
        ("GET", "/v1/units/PCC.GHOST/members", None, 404),
        ("PUT", "/v1/roster/shifts", SHIFT | {"holder": "P-9"}, 422),
        ("PUT", "/v1/roster/shifts", SHIFT | {"to": SHIFT["from"]}, 422),
        ("PUT", "/v1/roster/shifts", SHIFT | {"from": "2026-11-21T20:00:00"}, 400),
        ("PUT", "/v1/roster/shifts", {"holder": "P-0014"}, 400),
    ],
)
def test_what_cannot_be(site: Site, method: str, path: str, body: Any, status: int) -> None:
    """Refused with a problem that names it."""
    with site.client(site.token()) as client:
        answer = client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    """One for what changes nothing."""
    with Site(tmp_path_factory.mktemp("crews"), more_roster=MORE) as made:
        yield made


def test_a_status_of_somebody_nobody_booked_on(tmp_path: Path) -> None:
    """Self-booked, on record; 11 ends it, positions are not shown from then on."""
    site = Site(tmp_path, more_roster=MORE)
    with site, site.client(site.token()) as client:

        def bookings() -> list[tuple[str, str, bool]]:
            rows = client.get("/v1/bookings", params={"device": "trm-2341015"}).json()["bookings"]
            return [(row["holder"], row["how"], row["until"] is None) for row in rows]

        assert bookings() == []
        site.status(2, 2341015)
        until(lambda: bookings() == [("P-0015", "self-booked", True)])
        site.status(3, 2341015)
        site.status(11, 2341015)
        until(lambda: len(bookings()) == 2)
        assert bookings()[1] == ("P-0015", "self-booked", False)
        assert client.get("/v1/units/PCC.CSO-015").status_code == 404
        assert "lapel_bookings_opened 1" in client.get("/metrics").text


def test_booked_on_at_the_desk_after_status_eleven(tmp_path: Path) -> None:
    """Gone with 11; back with the next morning's card, on duty, where nobody knows."""
    with Site(tmp_path) as site, site.client(site.token()) as client:
        site.position("bcn-14", 52.5748, -0.2403)
        site.status(11, 2341014)
        until(lambda: client.get("/v1/units/PCC.CSO-014").status_code == 404)
        site.position("bcn-14", 52.5750, -0.2403)
        assert client.get("/v1/units/PCC.CSO-014").status_code == 404
        made = client.post("/v1/bookings", json={"device": "bcn-14", "holder": "P-0014", "how": "card"})
        assert made.status_code == 201
        until(lambda: client.get("/v1/units/PCC.CSO-014").status_code == 200)
        said = client.get("/v1/units/PCC.CSO-014").json()
        assert said["geometry"] is None
        assert (said["properties"]["duty"]["state"], said["properties"]["duty"]["source"]) == ("on_duty", "derived")


def test_a_task_keeps_a_unit_on_the_feed(tmp_path: Path) -> None:
    """Booked off with a task: shown until it is cancelled; and one of a crew is booked off by the control room."""
    with Site(tmp_path, more_roster=MORE) as site, site.client(site.token()) as client:
        site.position("bcn-14", 52.5748, -0.2403)
        site.status(2, 2341014)
        until(lambda: client.get("/v1/units/PCC.CSO-014").json()["properties"]["duty"]["state"] == "available")
        task = client.post("/v1/tasks", json={"unit": "PCC.CSO-014", "text": "the bandstand"}).json()
        site.status(11, 2341014)
        until(lambda: client.get("/v1/units/PCC.CSO-014").json()["properties"]["duty"]["state"] == "off_duty")
        time.sleep(1.2)
        assert client.get("/v1/units/PCC.CSO-014").status_code == 200
        assert client.post(f"/v1/tasks/{task['id']}/cancel", json={"reason": "over"}).status_code == 200
        until(lambda: client.get("/v1/units/PCC.CSO-014").status_code == 404)
        refused = client.put("/v1/units/PCC.CSO-015/duty", json={"code": 11, "person": "P-0014"})
        assert (refused.status_code, "no member" in refused.text) == (422, True)
        assert client.put("/v1/units/PCC.CSO-015/duty", json={"code": 11, "person": "P-0015"}).status_code == 200
        until(lambda: client.get("/v1/units/PCC.CSO-015").status_code == 404)


def test_a_plan_over_http_marks_overtime(tmp_path: Path, shared: Path) -> None:
    """Planned to end a second from now: still there, marked; put off, the mark goes."""
    site = Site(tmp_path)
    with site, site.client(site.token()) as client:
        now = datetime.now(UTC)
        plan = {"holder": "P-0014", "from": (now - timedelta(hours=8)).isoformat()}

        def overtime() -> bool:
            feature = client.get("/v1/units/PCC.CSO-014").json()
            check_feature(feature)
            return bool(feature["properties"]["overtime"])

        planned = client.put("/v1/roster/shifts", json=plan | {"to": (now + timedelta(seconds=1)).isoformat()})
        assert planned.status_code == 200, planned.text
        site.status(6, 2341014)
        assert not overtime()
        until(overtime)
        assert client.get("/v1/units/PCC.CSO-014").json()["properties"]["duty"]["state"] == "at_scene"
        client.put("/v1/roster/shifts", json=plan | {"to": (now + timedelta(hours=1)).isoformat()})
        until(lambda: not overtime())
        assert [shift["holder"] for shift in client.get("/v1/roster/shifts").json()["shifts"]] == ["P-0014"]
