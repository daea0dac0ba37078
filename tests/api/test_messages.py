"""Messages, radios and statuses over HTTP."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from tests.api.site import Site

UNIT = "PCC.CSO-014"


def stream(client: httpx.Client) -> Iterator[tuple[str, dict]]:
    """Events of the feed as they come, behind the snapshot."""
    with client.stream("GET", "/v1/feed", timeout=10) as response:
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: ") and name != "status":
                yield name, json.loads(line[6:])


def test_dealt_with_by_a_named_person(site: Site) -> None:
    """Heard by those who follow, and announced when somebody has dealt with it; the first name stays."""
    with site.client(site.token()) as client, contextlib.closing(stream(client)) as events:
        assert next(events)[0] == "snapshot"
        site.status(14)
        name, came = next(event for event in events if event[0] != "position")
        assert (name, came["meaning"], came["unit"]) == ("message", "urgent_call_back", UNIT)
        with site.client(site.token()) as other:
            path = f"/v1/messages/{came['id']}/dealt"
            assert other.post(path, json={"by": " "}).status_code == 400
            assert other.post(path, json={}).status_code == 400
            dealt = other.post(path, json={"by": "Sergeant 7"}).json()
            assert dealt["dealt_with_by"] == "Sergeant 7"
            assert other.post(path, json={"by": "Sergeant 8"}).json()["dealt_with_by"] == "Sergeant 7"
            assert other.get("/v1/messages").json()["messages"] == [dealt]
        name, again = next(event for event in events if event[0] != "position")
        assert (name, again["id"], again["dealt_with_by"]) == ("message", came["id"], "Sergeant 7")


@pytest.mark.parametrize("number", ["77", "x", "²", "-1", "1" * 40])
def test_a_message_nobody_knows(site: Site, number: str) -> None:
    """404, whatever stands in its place."""
    with site.client(site.token()) as client:
        assert client.post(f"/v1/messages/{number}/dealt", json={"by": "S 7"}).status_code == 404


def test_the_control_room_sets_a_status(site: Site) -> None:
    """The latest act wins, its source shown, who and why logged; the stream has record and feature."""
    site.status(3, 2341014)
    with site.client(site.token()) as client, contextlib.closing(stream(client)) as events:
        assert next(events)[0] == "snapshot"
        with structlog.testing.capture_logs() as logs, site.client(site.token()) as other:
            body = {"code": 5, "incident": "CC-7", "reason": "by voice"}
            made = other.put(f"/v1/units/{UNIT}/duty", json=body).json()
        assert (made["code"], made["state"], made["source"], made["incident"]) == (5, "en_route", "api", "CC-7")
        (line,) = (one for one in logs if one["event"] == "duty_set")
        assert (line["account"], line["reason"], line["unit"]) == ("tester", "by voice", UNIT)
        (first, duty), (second, feature) = next(events), next(events)
        assert (first, duty["code"], second, feature["properties"]["duty"]["source"]) == ("duty", 5, "position", "api")
    site.status(6, 2341014)
    with site.client(site.token()) as client:
        assert client.get(f"/v1/units/{UNIT}").json()["properties"]["duty"]["source"] == "sds_status"


@pytest.mark.parametrize(
    ("unit", "body", "status"),
    [
        ("PCC.GHOST", {"code": 2}, 404),
        (UNIT, {"code": 0}, 400),
        (UNIT, {"code": 12}, 400),
        (UNIT, {"code": "2"}, 400),
        (UNIT, {}, 400),
        (UNIT, {"code": 2, "who": "me"}, 400),
        (UNIT, {"code": 2, "reason": "x" * 401}, 400),
    ],
)
def test_a_status_that_cannot_be_set(site: Site, unit: str, body: dict, status: int) -> None:
    """No such unit, no state (an emergency and a message are none), no sense."""
    with site.client(site.token()) as client:
        assert client.put(f"/v1/units/{unit}/duty", json=body).status_code == status


def test_off_duty_and_back_by_the_control_room(site: Site) -> None:
    """Off duty is private, and the answer still says what was set."""
    with site.client(site.token()) as client:
        assert client.put(f"/v1/units/{UNIT}/duty", json={"code": 11}).json()["state"] == "off_duty"
        assert client.get(f"/v1/units/{UNIT}").status_code == 404
        assert client.put(f"/v1/units/{UNIT}/duty", json={"code": 2}).status_code == 200
        assert client.get(f"/v1/units/{UNIT}").status_code == 200


def test_radios(site: Site) -> None:
    """Those of the roster, and those heard: whose, in reach, proven."""
    site.status(14, 2341014)
    with site.client(site.token()) as client:
        found = {one["issi"]: one for one in client.get("/v1/handsets").json()["handsets"]}
    assert (found[2341014]["unit"], found[2341014]["reach"], found[2341014]["proven_at"]) == (UNIT, "ok", None)
    assert (found[2341187]["reach"], found[2341187]["heard_at"]) == ("unknown", None)


def test_an_emergency_nobody_answers_is_a_metric(tmp_path: Path) -> None:
    """Sent again and counted, until a named person has it."""
    with Site(tmp_path, feed={"emergency_repeat_s": 0.1, "emergency_alarm_s": 0.2}) as site:
        site.press("bcn-15")
        with site.client(site.token()) as client:

            def waiting() -> bool:
                return "lapel_feed_emergencies_unacknowledged 1.0" in client.get("/metrics").text

            ends_s = time.monotonic() + 10
            while not waiting() and time.monotonic() < ends_s:
                time.sleep(0.02)
            assert waiting()
            assert "lapel_feed_emergencies_sent_again 1.0" in client.get("/metrics").text
            (raised,) = client.get("/v1/emergencies").json()["emergencies"]
            client.post(f"/v1/emergencies/{raised['id']}/ack", json={"by": "Inspector 3"})
            ends_s = time.monotonic() + 10
            while waiting() and time.monotonic() < ends_s:
                time.sleep(0.02)
            assert not waiting()
