"""Every route that has to do with the feed, asked by an agency and by those who may not see masked units."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.api.routing import Route
from gateway.api.server import table
from gateway.console import page
from gateway.store.masking import MASKING, Masking
from gateway.store.roster import RosterStore
from tests.api.route_bodies import bodies
from tests.api.site import Site
from tests.feed.squares import feature, file_of, square

ROOMS = ("feed", "emergency", "message", "duty", "task", "roster", "booking", "unit", "health")
ASKED = "/v1/audit/nearest"
ROUTES = [each for each in table(page.ROUTES).all if each.permission.partition(":")[0] in ROOMS or each.path == ASKED]
STREAMS = {"/v1/feed", "/v1/feed/ws"}
SCOPES = sorted({each.permission for each in ROUTES})
"""All that has to do with the feed, but for feed:masked, which no route asks for by itself."""
FOREIGN = ("CAMBS.XRAY-77", "ZULU77", "P-ZZ77", "COL7777", "9977001")
COVERT = ("PCC.COVERT-5", "WHISKY5", "P-WW5", "COLW555", "9955001")
MORE = """
[[person]]
id = "P-ZZ77"
collar = "COL7777"
name = "Officer Z"
agency = "CAMBS"
role = "PC"
issi = 9977001
powers = [{ id = "constable" }]
[[person]]
id = "P-WW5"
collar = "COLW555"
name = "Officer W"
agency = "PCC"
role = "CSO"
issi = 9955001
powers = [{ id = "pcn" }]
[[unit]]
id = "CAMBS.XRAY-77"
callsign = "ZULU77"
agency = "CAMBS"
members = ["P-ZZ77"]
[[unit]]
id = "PCC.COVERT-5"
callsign = "WHISKY5"
agency = "PCC"
members = ["P-WW5"]
masked = true
[[device]]
id = "bcn-zz"
kind = "beacon"
agency = "CAMBS"
[[device]]
id = "bcn-ww"
kind = "beacon"
agency = "PCC"
[[booking]]
device = "bcn-zz"
holder = "P-ZZ77"
from = 2026-01-01T00:00:00Z
[[booking]]
device = "bcn-ww"
holder = "P-WW5"
from = 2026-01-01T00:00:00Z
"""
EVERYBODY = "?lat=52.57&lon=-0.24&limit=500&duty=emergency,2,5&max_age_s=3600"
SHARED_ROLE = {"consumer": "PCC", "owner": "CAMBS", "role": ["SERGEANT"]}


def shift(site: Site) -> dict[str, Any]:
    """Something of everything happens, to hidden units as to others."""
    with site.client(site.token()) as client:
        for device, issi in (("bcn-14", 2341014), ("bcn-zz", 9977001), ("bcn-ww", 9955001)):
            site.position(device)
            site.status(2, issi)
            site.status(13, issi)
            site.text("call me", issi)
            site.press(device)
        open_now = client.get("/v1/emergencies").json()["emergencies"]
        for unit in ("PCC.CSO-014", FOREIGN[0], COVERT[0]):
            client.put(f"/v1/units/{unit}/duty", json={"code": 5, "incident": "CC-1"})
            assert client.post("/v1/tasks", json={"unit": unit, "text": "Go"}).status_code == 201
        handed = {"device": "bcn-15", "holder": COVERT[2]}
        booking = client.post("/v1/bookings", json=handed).json()
        for person in (FOREIGN[2], COVERT[2], "P-0015"):
            plan = {"holder": person, "from": "2026-11-21T20:00:00Z", "to": "2099-11-22T06:00:00Z"}
            assert client.put("/v1/roster/shifts", json=plan).status_code == 200
        crew = "/v1/units/PCC.CSO-014/members"
        for person, back in ((FOREIGN[2], FOREIGN[0]), (COVERT[2], COVERT[0])):
            assert client.put(f"{crew}/{person}", json={"reason": f"with {person}"}).status_code == 200
            assert client.put(f"/v1/units/{back}/members/{person}", json={}).status_code == 200
        assert client.delete(f"{crew}/P-0014?reason=to+{COVERT[2]}+and+{FOREIGN[2]}").status_code == 200
        assert client.put(f"{crew}/P-0014", json={"reason": "back"}).status_code == 200
        for device in ("bcn-14", "bcn-zz", "bcn-ww"):
            site.position(device)
        site.looked()
        asked = f"/v1/units/nearest{EVERYBODY}"
        assert {FOREIGN[0], COVERT[0]} <= {each["unit"] for each in client.get(asked).json()["results"]}
        client.get(f"{asked}&exclude={FOREIGN[0]},{COVERT[0]}")
        client.post("/v1/bookings", json={"device": "bcn-15", "holder": "P-0015"})
        messages = client.get("/v1/messages").json()["messages"]
        numbers = [each["id"] for each in client.get("/v1/bookings").json()["bookings"]]
        tasks = [each["id"] for each in client.get("/v1/tasks").json()["tasks"]]
    site.tell("recording_started")
    return {
        "emergencies": [one["id"] for one in open_now],
        "messages": [one["id"] for one in messages],
        "bookings": numbers,
        "tasks": tasks,
        "booking": booking,
        "cursors": [f"{site.gateway.feed.epoch}-{seq}" for seq in (site.gateway.feed.oldest, site.gateway.feed.seq)],
    }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, dict[str, Any]]]:
    """A gateway with another agency's unit that is not shared, and a masked one."""
    root = tmp_path_factory.mktemp("sharing")
    (root / "zones.geojson").write_bytes(file_of(feature(square(-0.3, 52.5, -0.2, 52.6))))
    drawn = {"zones": str(root / "zones.geojson")}
    with Site(root, more_roster=MORE, map=drawn, sharing=[SHARED_ROLE]) as site:
        yield site, shift(site)


def paths(route: Route, known: dict[str, Any]) -> list[str]:
    """Paths of a route over all that there is; what only a hidden unit's own name finds is asked for elsewhere."""
    if route.path == "/v1/units":
        later = [f"?wait_s=0.1&after={cursor}{more}" for cursor in known["cursors"] for more in ("", "&power=pcn")]
        return [route.path + query for query in ("", "?role=CSO", *later)]
    query = {"/v1/units/nearest": EVERYBODY, ASKED: "?purpose=check"}.get(route.path, "")
    if "{id}" in route.path:
        room = route.path.split("/")[2]
        return [route.path.replace("{id}", str(each)) for each in known[room]]
    if "{booking}" in route.path:
        return [route.path.replace("{booking}", str(each)) for each in known["bookings"]]
    filled = route.path.replace("{unit}", "PCC.CSO-014").replace("{zone}", "a")
    return [re.sub(r"\{\w+[^}]*\}", "0", filled) + query]


def leaked(body: bytes, hidden: tuple[str, ...]) -> list[str]:
    """What of a hidden unit is in these bytes."""
    return [word for word in hidden if word.encode() in body]


async def followed(site: Site, token: str) -> bytes:
    """What a WebSocket brings in a second, and what a server-sent stream does, from the beginning of all."""
    heard = b""
    headers = {"Authorization": f"Bearer {token}"}
    begun = f"{site.gateway.feed.epoch}-{site.gateway.feed.oldest}"
    async with aiohttp.ClientSession(headers=headers) as session:
        for word in ({"type": "subscribe"}, {"type": "resume", "cursor": begun}):
            async with session.ws_connect(f"{site.url}/v1/feed/ws") as socket:
                await socket.send_json(word)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.4):
                        async for message in socket:
                            heard += message.data.encode()
        for last in ({}, {"Last-Event-ID": begun}):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.4), session.get(f"{site.url}/v1/feed", headers=last) as response:
                    async for chunk in response.content.iter_any():
                        heard += chunk
    return heard


def eyes(site: Site, who: str) -> tuple[str, tuple[str, ...]]:
    """A token, and what it must never be told."""
    if who == "agency":
        return site.token(*SCOPES, user="desk", agency="PCC"), (*FOREIGN, *COVERT)
    if who == "agency, masked":
        return site.token(*SCOPES, "feed:masked", user="covert", agency="PCC"), FOREIGN
    if who == "other agency, masked":
        return site.token(*SCOPES, "feed:masked", user="other", agency="FRS"), (*FOREIGN, *COVERT)
    return site.token(*SCOPES, user="control"), COVERT


WHO = ["agency", "agency, masked", "other agency, masked", "ordinary"]


@pytest.mark.parametrize("who", WHO)
def test_no_route_tells_of_a_hidden_unit(scene: tuple[Site, dict[str, Any]], who: str) -> None:
    """Whatever is asked for, read or changed: nothing that names one is in any byte, headers and problems included."""
    site, known = scene
    token, hidden = eyes(site, who)
    asked = 0
    with site.client(token) as client:
        for route in ROUTES:
            if route.path in STREAMS:
                continue
            for path in paths(route, known):
                for body in bodies(route):
                    response = client.request(route.method, path, json=body) if body is not None else client.get(path)
                    assert response.status_code < 500, (route.path, response.text)
                    found = leaked(response.content + str(response.headers).encode(), hidden)
                    assert not found, (route.method, path, response.text)
                    asked += response.status_code < 400
    assert asked >= 15
    site.position("bcn-zz")
    site.position("bcn-ww")
    assert not leaked(asyncio.run(followed(site, token)), hidden)


def test_everything_is_told_to_who_may_see_it(scene: tuple[Site, dict[str, Any]]) -> None:
    """The walk above can fail: an administrator of no agency is told of both by the same routes."""
    site, known = scene
    token = site.token()
    seen = b""
    with site.client(token) as client:
        for route in ROUTES:
            if route.method == "GET" and route.path not in STREAMS:
                seen += b"".join(client.get(path).content for path in paths(route, known))
    seen += asyncio.run(followed(site, token))
    assert set(leaked(seen, (*FOREIGN, *COVERT))) == {*FOREIGN, *COVERT}


@pytest.mark.parametrize("who", ["agency", "ordinary"])
def test_a_hidden_unit_is_answered_like_one_that_there_is_not(scene: tuple[Site, dict[str, Any]], who: str) -> None:
    """By name: the same status and the same words, name apart; nothing is done to it."""
    site, _ = scene
    token, hidden = eyes(site, who)
    calls = [
        (route.method, route.path, body) for route in ROUTES if "{unit}" in route.path for body in bodies(route)
    ] + [("POST", "/v1/tasks", {"unit": "{unit}", "text": "Go"})]
    with site.client(token) as client:
        for method, path, body in calls:
            answers = []
            for unit in [each for each in hidden if "." in each] + ["PCC.NOBODY-1"]:
                filled = json.loads(json.dumps(body).replace("{unit}", unit))
                response = client.request(method, path.replace("{unit}", unit), json=filled)
                answers.append((response.status_code, response.text.replace(unit, "")))
            assert len(set(answers)) == 1, (method, path, answers)
            assert answers[0][0] == 404


def test_an_emergency_is_told_without_a_name(scene: tuple[Site, dict[str, Any]]) -> None:
    """Every one of them, where and since when: no officer's alarm depends on who may see whom."""
    site, known = scene
    for who in WHO:
        with site.client(eyes(site, who)[0]) as client:
            told = {one["id"]: one for one in client.get("/v1/emergencies").json()["emergencies"]}
        assert set(known["emergencies"]) <= set(told)
        withheld = [one for one in told.values() if one.get("holder") == "withheld"]
        assert withheld
        for one in withheld:
            if one["id"] not in known["emergencies"]:
                continue  # raised by hand, for a unit that was never anywhere
            assert one["position"] is not None
            assert one["raised_at"]
            assert (one["unit"], one["person"], one["issi"]) == (None, None, None)
            assert "device" not in one


def test_anybody_may_raise_an_emergency_for_anybody(tmp_path: Path) -> None:
    """Heard on a voice call: it goes out, and the answer names nobody."""
    with Site(tmp_path, more_roster=MORE, sharing=[SHARED_ROLE]) as site:
        token, hidden = eyes(site, "agency")
        with site.client(token) as client, site.client(site.token()) as whole:
            for unit in (FOREIGN[0], COVERT[0]):
                response = client.post("/v1/emergencies", json={"unit": unit})
                assert response.status_code == 201
                assert not leaked(response.content, hidden)
            told = [one["unit"] for one in whole.get("/v1/emergencies").json()["emergencies"]]
        assert told == [FOREIGN[0], COVERT[0]]


def test_fields_are_left_out(tmp_path: Path) -> None:
    """On every way: what the agreement leaves out is not there, the rest is."""
    rule = {"consumer": "PCC", "owner": "CAMBS", "without": ["callsign", "collar", "issi", "members", "sources"]}
    with Site(tmp_path, more_roster=MORE, sharing=[rule]) as site:
        known = shift(site)
        token = site.token(*SCOPES, user="desk", agency="PCC")
        with site.client(token) as client:
            unit = client.get(f"/v1/units/{FOREIGN[0]}").json()
            seen = b""
            for route in ROUTES:
                if route.method == "GET" and route.path not in STREAMS:
                    seen += b"".join(client.get(path).content for path in paths(route, known))
            refused = client.put(f"/v1/units/{FOREIGN[0]}/duty", json={"code": 3})
        seen += asyncio.run(followed(site, token))
        assert leaked(seen, FOREIGN) == [FOREIGN[0]]
        assert unit["properties"]["callsign"] == FOREIGN[0]
        assert unit["properties"]["powers"] == ["constable"]
        assert refused.status_code == 403


@pytest.mark.parametrize("way", ["api", "command"])
def test_masking_takes_effect_at_once_and_survives(tmp_path: Path, way: str) -> None:
    """By a named person: gone from the snapshot when it is answered; on record; back as it was after a restart."""
    unit, root = "PCC.CSO-014", tmp_path / "site"
    for turn in range(2):
        with Site(root) as site, site.client(site.token()) as whole, site.client(site.token(*SCOPES)) as client:
            if turn == 0:
                site.position("bcn-14")
                assert unit in client.get("/v1/units").text
                if way == "api":
                    said = {"masked": True, "by": "Inspector 3", "reason": "surveillance"}
                    assert whole.put(f"/v1/units/{unit}/mask", json=said).status_code == 200
                else:
                    put(site, unit, Masking(True, "Inspector 3", "surveillance", "2026-11-22T12:00:00Z"))
                    until(lambda client=client: unit not in client.get("/v1/units").text)
                site.position("bcn-14")
            assert unit not in client.get("/v1/units").text
            assert unit in whole.get("/v1/units").text
            assert whole.get(f"/v1/units/{unit}").json()["properties"]["masked"] is True
            assert whole.get(f"/v1/units/{unit}/track").status_code == 404
            if turn == 1:
                said = {"masked": False, "by": "Inspector 3", "reason": "over"}
                assert client.put(f"/v1/units/{unit}/mask", json=said).status_code == 404
                assert whole.put(f"/v1/units/{unit}/mask", json=said).json()["masked"] is False
                assert unit in client.get("/v1/units").text


def put(site: Site, unit: str, act: Masking) -> None:
    """As a command in another process does."""
    store = RosterStore(site.data / "roster.db")
    store.put(MASKING, unit, act, "cli:me")
    store.close()


def until(true: Any) -> None:
    """Wait for it."""
    ends_s = time.monotonic() + 5
    while not true():
        assert time.monotonic() < ends_s
        time.sleep(0.05)


def test_masking_is_on_record(site: Site) -> None:
    """Who, whose word, why; and it says why where that is missing."""
    custody = site.gateway.evidence.records.custody  # type: ignore[union-attr]
    before = custody.size
    with site.client(site.token("unit:mask")) as client:
        path = "/v1/units/PCC.CSO-015/mask"
        assert client.put(path, json={"masked": True, "by": " ", "reason": "r"}).status_code == 400
        assert custody.size == before
        assert client.put(path, json={"masked": True, "by": "Inspector 3", "reason": "r"}).status_code == 200
    detail, _ = custody.detail(before)
    assert {key: detail[key] for key in ("act", "unit", "masked", "by", "reason")} == {
        "act": "mask",
        "unit": "PCC.CSO-015",
        "masked": True,
        "by": "Inspector 3",
        "reason": "r",
    }


def test_who_is_signed_in_has_an_agency(site: Site) -> None:
    """The page can say whose eyes it has."""
    with site.client(site.token("feed:read", user="desk", agency="PCC")) as client:
        assert client.get("/v1/session").json()["agency"] == "PCC"


def test_an_emergency_shows_who_is_near_and_the_audit_says_so(tmp_path: Path) -> None:
    """For as long as it is open; begin and end are viewings on record, with their purpose."""
    rule = {"consumer": "PCC", "owner": "CAMBS", "when": "emergency", "within_m": 2000.0}
    with Site(tmp_path, more_roster=MORE, sharing=[rule]) as site:
        token = site.token(*SCOPES, user="desk", agency="PCC")
        with site.client(token) as client, site.client(site.token()) as whole:
            path = f"/v1/units/{FOREIGN[0]}"
            site.position("bcn-14")
            site.position("bcn-zz")
            assert client.get(path).status_code == 404
            site.press("bcn-14")
            until(lambda: client.get(path).status_code == 200)
            number = client.get("/v1/emergencies").json()["emergencies"][0]["id"]
            assert client.get(path).json()["properties"]["shared_by"] == f"emergency {number}"
            crew = client.get(f"{path}/members").json()
            assert (crew["members"], crew["history"]) == ([FOREIGN[2]], [])
            assert whole.get(f"{path}/members").json()["history"]
            client.post(f"/v1/emergencies/{number}/clear", json={"by": "Inspector 3", "outcome": "test"})
            until(lambda: client.get(path).status_code == 404)

            def viewed() -> list[str]:
                asked = "/v1/audit?purpose=check&kind=view&actor=gateway"
                return [each["justification"] for each in whole.get(asked).json()["acts"]]

            until(lambda: viewed() == [f"sharing in emergency {number}"] * 2)
            metrics = whole.get("/metrics").text
        assert "lapel_sharing_begun 1.0" in metrics
        assert "lapel_sharing_shown 0.0" in metrics
