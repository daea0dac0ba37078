"""The OpenAPI document: valid, complete, and true of what the routes answer."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.api.identity import OPEN
from gateway.api.server import table
from gateway.console import page
from gateway.evidence.disposal.desk import Asked
from tests.api.all_calls import calls
from tests.api.site import Site, noise
from tests.api.work_calls import prepared

JSON_MEDIA = ("application/json", "application/geo+json")


STREAMS = {("get", "/v1/feed"), ("get", "/v1/feed/ws")}
"""What has no end, or is no HTTP any more: asked for in tests of their own."""


@pytest.fixture(scope="module")
def lively(shared_site: Site) -> Iterator[tuple[Site, httpx.Client, dict[str, Any]]]:
    """A gateway with something of everything, a client that may all, and its document."""
    shared_site.position()
    shared_site.position("bcn-15", 52.58, -0.25)
    shared_site.status(2)
    shared_site.status(14)
    shared_site.text("at the bandstand")
    shared_site.press("bcn-15")
    track = {"type": "LineString", "coordinates": [[-0.24, 52.57], [-0.25, 52.58]]}
    shared_site.begin(noise(100), 1000, "half")
    shared_site.seal(noise(70_000, 7), "tracked", user_data={"track": track})
    shared_site.seal(b"whose?", "doubtful", "cam-0099")
    shared_site.tell("recording_started", recording="never", n=1)
    shared_site.tell("status", battery_pct=71, clock={"source": "gnss"})
    shared_site.examined(shared_site.seal(noise(70_000)).exhibit)
    with shared_site.client(shared_site.token()) as client:
        yield shared_site, client, client.get("/openapi.json").json()


@pytest.fixture(scope="module")
def known(lively: tuple[Site, httpx.Client, dict[str, Any]]) -> dict[str, Any]:
    """What the paths' names stand for here."""
    site, client, _ = lively
    exhibit = client.get("/v1/exhibits").json()["exhibits"][0]["id"]
    doubtful = client.get("/v1/exhibits?recording=doubtful").json()["exhibits"][0]["id"]
    emergency = client.get("/v1/emergencies").json()["emergencies"][0]["id"]
    made = client.post("/v1/bookings", json={"device": "cam-0042", "holder": "P-0015"}).json()
    tracked = client.get("/v1/exhibits?recording=tracked").json()["exhibits"][0]["id"]
    held = {"exhibit": exhibit, "doubtful": doubtful, "tracked": tracked}
    desk = site.gateway.evidence.disposing.desk  # type: ignore[union-attr]
    held["disposal"] = desk.request(Asked((tracked,), "order", "order 7", "somebody else")).id
    held["work"] = prepared(site, client)
    return {**held, "emergency": emergency, "booking": made["id"]}


CLIP = {"from_s": 0, "to_s": 1, "purpose": "p"}


def exported(client) -> str:
    """The newest export, at its end."""
    ends_s = time.monotonic() + 20
    while (export := client.get("/v1/exports").json()["exports"][0])["state"] not in ("done", "removed"):
        assert time.monotonic() < ends_s, export
        time.sleep(0.05)
    return str(export["export"])


def declared() -> dict[tuple[str, str], str]:
    """The permission of each method and template in the table."""
    return {
        (route.method.lower(), re.sub(r"\{(\w+):[^{}]+\}", r"{\1}", route.path)): route.permission
        for route in table(page.ROUTES).all
    }


def test_valid(lively) -> None:
    """By the validator of the OpenAPI tooling."""
    OpenAPIV31SpecValidator(lively[2]).validate()


def test_every_route_and_no_other(lively) -> None:
    """Asked of the server itself: each documented operation is routed, and everything asked for here is documented."""
    _, client, document = lively
    documented = {(method, path) for path, item in document["paths"].items() for method in item}
    for method, path in documented:
        status = client.request("OPTIONS", re.sub(r"\{\w+\}", "0", path))
        assert status.status_code == 405, path
        assert method.upper() in status.headers["Allow"], path
    assert documented == {*declared(), ("get", "/openapi.json")}


def test_permissions_are_told(lively) -> None:
    """`x-permission` on each operation that needs one, an empty `security` on the others."""
    for (method, path), permission in declared().items():
        operation = lively[2]["paths"][path][method]
        if permission == OPEN:
            assert operation["security"] == []
        else:
            assert operation["x-permission"] == permission


def test_names_of_operations_are_distinct(lively) -> None:
    """A generated client has one function an operation."""
    names = [operation["operationId"] for item in lively[2]["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


def validator(document: dict[str, Any], schema: dict[str, Any]) -> jsonschema.Draft202012Validator:
    """A validator of one schema of the document, formats included."""
    whole = {**schema, "components": document["components"]}
    return jsonschema.Draft202012Validator(whole, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)


def test_what_is_answered_is_what_is_promised(lively, known) -> None:
    """Status, media type and body of a real call of every operation."""
    site, client, document = lively
    site.awaited(site.gateway.evidence.checks.reconciling.once())
    seen = set()
    for method, template, pattern, body in calls(known):
        path = pattern
        if "{newest}" in path:
            path = path.format(newest=client.get("/v1/bookings").json()["bookings"][-1]["id"])
        if "{derived}" in path:
            path = path.format(derived=site.gateway.work.deriver.jobs.all()[0].exhibit)
        if "{export}" in path:
            path = path.format(export=exported(client))
        if "{}" in path:
            path = path.format(client.get("/v1/log/checkpoint").text.split("\n")[1])
        given = {"token": site.token()} if body == {"token": "{token}"} else body
        response = client.request(method, path, json=given)
        said = document["paths"][template][method]["responses"]
        assert str(response.status_code) in said, f"{method} {path}: {response.status_code} {response.text}"
        promised = said[str(response.status_code)].get("content", {})
        if not promised:
            assert response.content == b""
        else:
            media = response.headers["Content-Type"].split(";")[0]
            content = promised[media]
            if media in JSON_MEDIA:
                validator(document, content["schema"]).validate(response.json())
        seen.add((method, template))
    assert seen == {(m, path) for path, item in document["paths"].items() for m in item} - STREAMS


def test_schemas_say_something(lively) -> None:
    """No JSON answer is documented as just anything, but for this document itself."""
    for path, item in lively[2]["paths"].items():
        for method, operation in item.items():
            for response in operation["responses"].values():
                for media, content in response.get("content", {}).items():
                    if media in JSON_MEDIA and path != "/openapi.json":
                        assert {"$ref", "required"} & set(content["schema"]), f"{method} {path}"


def test_request_bodies_are_closed_and_described(lively) -> None:
    """Whatever takes a body says which, and refuses keys that it does not know."""
    _, client, document = lively
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if "requestBody" not in operation:
                continue
            place = re.sub(r"\{\w+\}", "0", path)
            wrong = client.request(method, place, json={"surprise": 1})
            assert wrong.status_code == 400, f"{method} {path}"
            assert_problem(document, wrong, "surprise" if not _required(document, operation) else "")


def _required(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[-1]
    return document["components"]["schemas"][name].get("required", [])


def assert_problem(document: dict[str, Any], response: httpx.Response, names: str) -> None:
    """A problem document (RFC 9457) that names what is wrong."""
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    validator(document, document["components"]["schemas"]["Problem"]).validate(problem)
    assert problem["status"] == response.status_code
    assert names in problem["detail"], problem["detail"]


@pytest.mark.parametrize(
    ("place", "field"),
    [
        ("/v1/units/nearest?lon=0", "lat"),
        ("/v1/units/nearest?lat=52", "lon"),
        ("/v1/units/nearest?lat=north&lon=0", "lat"),
        ("/v1/units/nearest?lat=91&lon=0", "lat"),
        ("/v1/units/nearest?lat=nan&lon=0", "lat"),
        ("/v1/units/nearest?lat=0&lon=-180.1", "lon"),
        ("/v1/units/nearest?lat=0&lon=0&limit=0", "limit"),
        ("/v1/units/nearest?lat=0&lon=0&limit=501", "limit"),
        ("/v1/units/nearest?lat=0&lon=0&limit=1.5", "limit"),
        ("/v1/units/nearest?lat=0&lon=0&lat=1", "lat"),
        ("/v1/units/nearest?lat=0&lon=0&max_age_s=-1", "max_age_s"),
        ("/v1/units/nearest?lat=0&lon=0&powr=pcn", "powr"),
        ("/v1/units?bbox=1,2,3", "bbox"),
        ("/v1/units?bbox=1,2,3,x", "bbox"),
        ("/v1/units?bbox=1,2,3,inf", "bbox"),
        ("/v1/units?bbox=", "bbox"),
        ("/v1/units?max_age_s=null", "max_age_s"),
        ("/v1/units?max_age_s=old", "max_age_s"),
        ("/v1/units?colour=red", "colour"),
        ("/v1/units?after=yesterday", "after"),
        ("/v1/units?after=E-1&wait_s=61", "wait_s"),
        ("/v1/feed?bbox=1", "bbox"),
        ("/v1/exhibits?limit=0", "limit"),
        ("/v1/exhibits?limit=1001", "limit"),
        ("/v1/exhibits?after=-1", "after"),
        ("/v1/exhibits?after=99999999999999999999999", "after"),
        ("/v1/exhibits?complete=perhaps", "complete"),
        ("/v1/live-stock", ""),
        ("/v1/devices?x=1", "x"),
    ],
)
def test_bad_queries(lively, place: str, field: str) -> None:
    """400 that names the field (404 for a path that is none)."""
    _, client, document = lively
    response = client.get(place)
    assert response.status_code == (404 if not field else 400), response.text
    assert_problem(document, response, field)


def test_a_box_upside_down(lively) -> None:
    """Four numbers, which cannot be a box: 422."""
    response = lively[1].get("/v1/units?bbox=0,53,1,52")
    assert response.status_code == 422
    assert_problem(lively[2], response, "bbox")


def test_whole_numbers_however_written(lively) -> None:
    """6.0 is 6 to JSON Schema; 6.5 is none, and said as it was sent."""
    client = lively[1]
    assert client.put("/v1/units/CAMBS.PC-1187/duty", json={"code": 6.0}).status_code == 200
    assert "float" in client.put("/v1/units/CAMBS.PC-1187/duty", json={"code": 6.5}).json()["detail"]


def test_what_is_made_leads_on(lively) -> None:
    """Links from an answer to the operations on what it made."""
    paths = lively[2]["paths"]
    found = paths["/v1/tasks"]["post"]["responses"]["201"]["links"]
    assert set(found) == {"get_v1_tasks_id", "post_v1_tasks_id_cancel"}
    assert found["get_v1_tasks_id"]["parameters"] == {"id": "$response.body#/id"}
    assert "links" not in paths["/v1/tasks"]["get"]["responses"]["200"]


@pytest.mark.parametrize(
    ("method", "place", "body", "status", "names"),
    [
        ("POST", "/v1/emergencies", b"{}", 400, "unit or person"),
        ("POST", "/v1/emergencies", b"{", 400, "JSON"),
        ("POST", "/v1/emergencies", b"[1]", 400, "body"),
        ("POST", "/v1/emergencies", b'{"unit": 7}', 400, "unit"),
        ("POST", "/v1/emergencies", b'{"unit": "NO.SUCH"}', 404, "no such unit"),
        ("POST", "/v1/emergencies/EM-0/ack", b'{"by": "I 3"}', 404, "EM-0"),
        ("POST", "/v1/emergencies/EM-0/ack", b'{"by": "  "}', 400, "by"),
        ("POST", "/v1/emergencies/EM-0/clear", b'{"by": "I 3", "outcome": "bored"}', 400, "outcome"),
        ("POST", "/v1/bookings", b'{"device": "cam-0042"}', 400, "holder"),
        ("POST", "/v1/bookings", b'{"device": "cam-9", "holder": "P-0014"}', 422, "cam-9"),
        ("POST", "/v1/bookings", b'{"device": "cam-0042", "holder": "P-9"}', 422, "P-9"),
        ("POST", "/v1/bookings", b'{"device": "cam-0042", "holder": "P-0014", "how": "telepathy"}', 400, "how"),
        ("POST", "/v1/bookings", b'{"device": "cam-0042", "holder": "P-0014", "from": "today"}', 400, "from"),
        (
            *("POST", "/v1/bookings"),
            *(b'{"device": "cam-0042", "holder": "P-0014", "from": "2026-11-21T10:00:00"}', 400, "from"),
        ),
        (
            *("POST", "/v1/bookings"),
            *(b'{"device": "cam-0042", "holder": "P-0014", "from": "0001-01-01T00:00:00+14:00"}', 400, "from"),
        ),
        (
            *("POST", "/v1/bookings"),
            *(b'{"device": "cam-0042", "holder": "P-0014", "from": "0999-01-01T00:00:00Z"}', 400, "from"),
        ),
        ("POST", "/v1/bookings/99999/end", b"{}", 404, "99999"),
        ("POST", "/v1/bookings/x/end", b"{}", 404, "x"),
        ("POST", "/v1/bookings/" + "9" * 5000 + "/end", b"{}", 404, "booking"),
        ("POST", "/v1/bookings/2/end", b'{"to": "2020-01-01T00:00:00Z"}', 422, "to"),
        ("PATCH", "/v1/bookings/1", b"{}", 400, "reason"),
        ("PATCH", "/v1/bookings/1", b'{"reason": " "}', 400, "reason"),
        ("PATCH", "/v1/bookings/99999", b'{"reason": "x"}', 422, "99999"),
        ("PATCH", "/v1/bookings/1", b'{"reason": "x", "to": "2020-01-01T00:00:00Z"}', 422, "to"),
        ("POST", "/v1/session", b'{"token": 1}', 400, "token"),
        ("DELETE", "/v1/units", b"", 405, ""),
        ("POST", "/v1/session", b" " * 2_000_000, 413, ""),
    ],
)
def test_bad_bodies(lively, method: str, place: str, body: bytes, status: int, names: str) -> None:
    """The status that says whose fault it is, and what is wrong."""
    _, client, document = lively
    response = client.request(method, place, content=body)
    assert response.status_code == status, response.text
    assert_problem(document, response, names)


@pytest.mark.parametrize(
    "place",
    [
        "/v1/exhibits?device=%ff%fe",
        "/v1/exhibits?device=%00",
        "/v1/exhibits?holder=%ed%a0%80",
        "/v1/exhibits/%00",
        "/v1/exhibits/%ff",
        "/v1/exhibits/X'%20OR%201=1",
        "/v1/units/%ed%a0%80",
        "/v1/units?agency=%ff,,,",
        "/v1/bookings?device=%ed%a0%80",
        "/v1/log/tile/0/%ff",
        "/static/..%2fpage.py",
    ],
)
def test_rubbish_is_no_error_of_ours(lively, place: str) -> None:
    """Never 5xx."""
    assert lively[1].get(place).status_code < 500
