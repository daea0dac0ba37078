"""Tasks over HTTP to gateway terminals of the test's own, in a whole gateway on a real port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.domain.events import Delivery, DeliveryReport, Origin, Reach, ReachReport
from gateway.domain.ids import Issi
from tests.api.site import Site
from tests.dispatch.rig import FakeDownlink

OWN = Issi(2341014)
UNIT = "PCC.CSO-014"
PATIENCE_S = 10.0


class FakeDriver:
    """A driver of which dispatch sees the downlink alone."""

    def __init__(self) -> None:
        self.downlink = FakeDownlink()


class Desk:
    """A controller before a gateway that has one gateway terminal."""

    def __init__(self, site: Site) -> None:
        self.site, self.radio = site, FakeDriver()
        site.within(site.gateway.drivers.__setitem__, "radio-1", self.radio)
        self.client = site.client(site.token(user="controller-1", role="controller"))

    def give(self, text: str = "Go", unit: str = UNIT, key: str | None = None, **more: Any) -> httpx.Response:
        """Ask for a task."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.client.post("/v1/tasks", json={"unit": unit, "text": text, **more}, headers=headers)

    def until(self, name: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The task, once it is so."""
        late = time.monotonic() + PATIENCE_S
        while True:
            task = self.client.get(f"/v1/tasks/{name}").raise_for_status().json()
            if reached(task):
                return task
            assert time.monotonic() < late, task
            time.sleep(0.01)

    def state(self, name: str, state: str) -> dict[str, Any]:
        """The task, once it is in this state."""
        return self.until(name, lambda task: task["state"] == state)

    def report(self, delivery: Delivery, name: str, status: int = 0) -> None:
        """A delivery report of a task, by the port that drivers use."""
        origin, reference = Origin("radio-1", None, OWN), self.client.get(f"/v1/tasks/{name}").json()["reference"]
        self.site.hear(DeliveryReport(origin, self.site.stamp(), reference, delivery, status))

    def reach(self, reach: Reach) -> None:
        """What the officer's terminal says of itself."""
        self.site.hear(ReachReport(Origin("radio-1", None, OWN), self.site.stamp(), reach))


@pytest.fixture
def desk(site: Site) -> Iterator[Desk]:
    """A controller."""
    made = Desk(site)
    with made.client:
        yield made


def test_a_task_moves_through_its_states(desk: Desk) -> None:
    """Text on the officer's screen, report and statuses through the whole gateway, durations in the report."""
    reported = datetime.now(UTC) - timedelta(minutes=4)
    response = desk.give(
        "Fight outside", incident="PCC-2231", incident_type="public order", reported_at=reported.isoformat(), seq=7
    )
    assert (response.status_code, response.headers["Location"]) == (201, "/v1/tasks/TK-000001")
    task = response.json()
    assert (task["actor"], task["agency"], task["seq"], task["v"]) == ("controller-1", "PCC", 7, 1)
    sent = desk.state(task["id"], "sent")
    assert desk.radio.downlink.texts == ["PCC-2231: Fight outside"]
    assert (sent["issi"], sent["person"], sent["via"]) == (OWN, "P-0014", "radio-1")
    desk.report("received", task["id"])
    assert desk.state(task["id"], "delivered")["delivery"] == "received"
    desk.report("consumed", task["id"])
    for code, state in ((15, "accepted"), (5, "en_route"), (6, "at_scene"), (2, "done")):
        desk.site.status(code)
        task = desk.state(task["id"], state)
    assert task["delivery"] == "consumed"
    assert [step["actor"] for step in task["history"]][-4:] == ["P-0014"] * 4
    report = desk.client.get("/v1/response-times", params={"by": "incident_type"}).json()
    row = report["rows"][0]
    assert (row["key"], row["tasks"]) == ("public order", 1)
    assert 240 <= row["legs"]["reported_to_dispatched"]["median_s"] < 250
    assert row["legs"]["reported_to_at_scene"]["count"] == row["legs"]["en_route_to_at_scene"]["count"] == 1
    later = desk.client.get("/v1/response-times", params={"from": datetime.now(UTC).isoformat()}).json()
    assert later["tasks"] == 0


def test_the_same_key(desk: Desk) -> None:
    """The same task, said so, also for eight at once; other words by that key are refused."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: desk.give(key="k-1"), range(8)))
    assert {answer.status_code for answer in answers} == {201}
    assert {answer.json()["id"] for answer in answers} == {"TK-000001"}
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
    refused = desk.give("Other words", key="k-1")
    assert (refused.status_code, "TK-000001" in refused.json()["detail"]) == (422, True)
    desk.state("TK-000001", "sent")
    assert desk.radio.downlink.texts == ["Go"]
    assert desk.give(key="x" * 256).status_code == 400


def test_a_committed_unit(desk: Desk) -> None:
    """409 that names the task; override with a reason."""
    first = desk.give().json()["id"]
    no = desk.give("Another")
    assert (no.status_code, no.json()["task"]) == (409, first)
    assert first in no.json()["detail"]
    assert desk.give("Another", override={}).status_code == 400
    assert desk.give("Another", override={"reason": ""}).status_code == 422
    yes = desk.give("Another", override={"reason": "life at risk"})
    assert (yes.status_code, yes.json()["override"]) == (201, "life at risk")


def test_too_long(desk: Desk) -> None:
    """422 with the limit, and a text of just that limit goes out."""
    no = desk.give("x" * 200)
    assert (no.status_code, no.json()["limit"], no.json()["over_octets"]) == (422, 120, 80)
    assert desk.give("x" * 120).status_code == 201


@pytest.mark.parametrize(
    ("body", "status", "names"),
    [
        ({"unit": "PCC.NOBODY", "text": "Go"}, 404, "PCC.NOBODY"),
        ({"unit": UNIT}, 400, "text"),
        ({"unit": UNIT, "text": " "}, 422, "text"),
        ({"unit": UNIT, "text": "Go", "plaice": {}}, 400, "plaice"),
        ({"unit": UNIT, "text": "Go", "place": {"lat": 1.0}}, 422, "place"),
        ({"unit": UNIT, "text": "Go", "reported_at": "2026-11-21T21:00:00"}, 422, "reported_at"),
        ({"unit": UNIT, "text": "Go", "reported_at": "noon"}, 400, "reported_at"),
    ],
)
def test_bad_requests(desk: Desk, body: dict[str, Any], status: int, names: str) -> None:
    """The status that says whose fault it is, and which field."""
    response = desk.client.post("/v1/tasks", json=body)
    assert (response.status_code, names in response.json()["detail"]) == (status, True), response.text
    assert desk.client.get("/v1/tasks").json()["tasks"] == []


def test_out_of_reach(desk: Desk) -> None:
    """A radio that said it was switched off: the task fails at once with it; back on air, the next goes out."""
    desk.reach("off")
    task = desk.give().json()
    assert (task["state"], task["cause"]) == ("failed", {"kind": "out_of_reach", "detail": "off"})
    desk.reach("ok")
    desk.state(desk.give().json()["id"], "sent")


def test_taken_back(desk: Desk) -> None:
    """Cancelled by whom and why, the officer is told; what is over stays so."""
    task = desk.give(incident="PCC-1").json()["id"]
    desk.state(task, "sent")
    done = desk.client.post(f"/v1/tasks/{task}/cancel", json={"reason": "false call"}).json()
    assert (done["state"], done["history"][-1]["actor"], done["history"][-1]["note"]) == (
        "cancelled",
        "controller-1",
        "false call",
    )
    desk.until(task, lambda row: row["notice"] == "sent")
    assert desk.radio.downlink.texts == ["PCC-1: Go", "CANCELLED: PCC-1"]
    assert desk.client.post(f"/v1/tasks/{task}/cancel", json={}).status_code == 200
    failed = desk.give(unit=UNIT).json()["id"]
    desk.state(failed, "sent")
    desk.report("failed", failed, 0x4B)
    cause = desk.state(failed, "failed")["cause"]
    assert (cause["kind"], cause["code"]) == ("not_delivered", 0x4B)
    no = desk.client.post(f"/v1/tasks/{failed}/cancel", json={})
    assert (no.status_code, no.json()["state"]) == (409, "failed")
    assert desk.client.post("/v1/tasks/TK-9/cancel", json={}).status_code == 404
    assert desk.client.get("/v1/tasks/TK-9").status_code == 404


def test_which(desk: Desk) -> None:
    """By unit, state and span; a span without a zone is refused."""
    one = desk.give().json()["id"]
    two = desk.give(unit="CAMBS.PC-1187").json()["id"]
    desk.client.post(f"/v1/tasks/{one}/cancel", json={})
    desk.state(two, "sent")

    def listed(**query: Any) -> list[str]:
        return [task["id"] for task in desk.client.get("/v1/tasks", params=query).raise_for_status().json()["tasks"]]

    assert listed() == [one, two]
    assert listed(unit="CAMBS.PC-1187") == listed(state="sent") == listed(limit=1) == [two]
    assert listed(to="2026-01-01T00:00:00Z") == []
    for wrong in ({"from": "2026-01-01T00:00:00"}, {"state": "asleep"}, {"limit": "0"}, {"by": "unit"}):
        assert desk.client.get("/v1/tasks", params=wrong).status_code == 400
    assert desk.client.get("/v1/response-times", params={"by": "colour"}).status_code == 400


def test_the_control_room_s_word(desk: Desk) -> None:
    """A duty set by the control room answers the task as a status does."""
    task = desk.give().json()["id"]
    desk.state(task, "sent")
    assert desk.client.put(f"/v1/units/{UNIT}/duty", json={"code": 5}).status_code == 200
    assert desk.state(task, "en_route")["history"][-1]["actor"] == "controller-1"


def test_an_emergency_raises_the_interval(desk: Desk) -> None:
    """While it lasts; put back when a named person has cleared it. A stale position is asked for."""
    radio = desk.radio.downlink
    desk.site.press()
    wait_for(lambda: [message.seconds for message in radio.heard] == [10])
    assert radio.heard[0].issi == OWN
    number = desk.client.get("/v1/emergencies").json()["emergencies"][0]["id"]
    desk.client.post(f"/v1/emergencies/{number}/clear", json={"by": "Inspector 3", "outcome": "assisted"})
    wait_for(lambda: [message.seconds for message in radio.heard] == [10, None])
    desk.give()
    wait_for(lambda: {message.kind for message in radio.heard} == {"interval", "location_request", "text"})


def test_who_is_off_duty_is_not_looked_for(desk: Desk) -> None:
    """A task to an officer who has gone off duty asks no terminal where its officer is."""
    desk.site.status(11)
    desk.state(desk.give().json()["id"], "sent")
    time.sleep(0.1)
    assert [message.kind for message in desk.radio.downlink.heard] == ["text"]


def wait_for(so: Callable[[], bool]) -> None:
    """Until it is so."""
    late = time.monotonic() + PATIENCE_S
    while not so():
        assert time.monotonic() < late
        time.sleep(0.01)


def test_over_a_restart(tmp_path: Path) -> None:
    """What waited goes out, what was sent is not sent again, keys are remembered."""
    with Site(tmp_path) as site:
        desk = Desk(site)
        sent = desk.give(key="k").json()["id"]
        desk.state(sent, "sent")
        desk.radio.downlink.ready = False
        waiting = desk.give(unit="CAMBS.PC-1187").json()["id"]
    with Site(tmp_path) as site:
        desk = Desk(site)
        desk.state(waiting, "sent")
        assert desk.give(key="k").json()["id"] == sent
        assert desk.radio.downlink.texts == ["Go"]
        assert desk.radio.downlink.heard[-1].issi == 2341187
        desk.report("received", sent)
        desk.state(sent, "delivered")


def test_who_may(desk: Desk) -> None:
    """A consumer sees and gives nothing."""
    task = desk.give().json()["id"]
    with desk.site.client(desk.site.token(user="eve", role="consumer")) as client:
        assert client.get(f"/v1/tasks/{task}").status_code == client.get("/v1/response-times").status_code == 200
        assert client.post("/v1/tasks", json={"unit": UNIT, "text": "Go"}).status_code == 403
        assert client.post(f"/v1/tasks/{task}/cancel", json={}).status_code == 403


def test_counters(desk: Desk) -> None:
    """Plain numbers on /metrics."""
    desk.state(desk.give().json()["id"], "sent")
    lines = desk.client.get("/metrics").text.splitlines()
    assert {"lapel_dispatch_created 1.0", "lapel_dispatch_sent 1.0", "lapel_dispatch_open 1.0"} <= set(lines)


def test_a_unit_that_changed_since_it_was_seen(desk: Desk) -> None:
    """409 to who has yet to see it; the number in the answer, and the one of the feature, are good."""

    def feature() -> dict[str, Any]:
        return next(one for one in desk.client.get("/v1/units").json()["features"] if one["id"] == UNIT)

    desk.site.status(2)
    seen = feature()["properties"]["seq"]
    assert desk.client.put(f"/v1/units/{UNIT}/duty", json={"code": 8}).status_code == 200
    late = desk.give(seq=seen)
    assert (late.status_code, late.json()["duty"]) == (409, "committed")
    assert late.json()["seq"] > seen
    assert desk.give(seq=feature()["properties"]["seq"]).status_code == 201
