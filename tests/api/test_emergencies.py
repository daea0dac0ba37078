"""Acts on emergencies: logged with the account behind the name, and known to dispatch at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.dispatch import vigil
from tests.api.site import Site

PERSON = {"unit": "PCC.CSO-014"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A gateway whose dispatch looks for emergencies by itself once an hour."""
    monkeypatch.setattr(vigil, "LOOK_S", 3600.0)
    with Site(tmp_path) as opened:
        yield opened


def test_each_act_is_logged_with_the_account(site: Site) -> None:
    """`by` is what a person says; the account is what is known."""
    token = site.token("*", user="desk-3")
    with site.client(token) as client, capture_logs() as logs:
        number = client.post("/v1/emergencies", json=PERSON).json()["id"]
        client.post(f"/v1/emergencies/{number}/ack", json={"by": "Inspector 3"})
        client.post(f"/v1/emergencies/{number}/clear", json={"by": "Inspector 4", "outcome": "test"})
        client.post(f"/v1/emergencies/{number}/clear", json={"by": "Inspector 5", "outcome": "test"})
    acts = [line for line in logs if line["event"].startswith("emergency_") and line.get("account")]
    assert [(line["event"], line["account"], line.get("by")) for line in acts] == [
        ("emergency_raised", "desk-3", None),
        ("emergency_acknowledged", "desk-3", "Inspector 3"),
        ("emergency_cleared", "desk-3", "Inspector 4"),
    ]
    assert {line["emergency"] for line in acts} == {number}


def test_dispatch_hears_of_it_at_once(site: Site) -> None:
    """The reporting interval is raised without waiting for a look."""
    time.sleep(0.2)
    with site.client(site.token("*")) as client:
        assert client.post("/v1/emergencies", json=PERSON).status_code == 201
    until = time.monotonic() + 3
    while not site.gateway.dispatch.stats().get("intervals_raised") and time.monotonic() < until:
        time.sleep(0.02)
    assert site.gateway.dispatch.stats()["intervals_raised"] == 1


def test_nobody_is_in_no_emergency(site: Site) -> None:
    """A unit or a person that is not on the roster is said, and nothing is raised; a person is enough."""
    with site.client(site.token("*")) as client:
        for whose in ({"unit": "NO.SUCH"}, {"person": "P-999"}, {"unit": "PCC.CSO-014", "person": "P-999"}):
            assert client.post("/v1/emergencies", json=whose).status_code == 404
        assert client.post("/v1/emergencies", json={}).status_code == 400
        assert client.get("/v1/emergencies").json()["emergencies"] == []
        raised = client.post("/v1/emergencies", json={"person": "P-0014"}).json()
        assert (raised["person"], raised["unit"], raised["triggers"]) == ("P-0014", "PCC.CSO-014", ["manual"])


def test_a_consumer_that_comes_back_with_nothing(site: Site) -> None:
    """All that are open and what became of the others, in one question; the stream begins with those that are open."""
    with site.client(site.token("*")) as client:
        units = ("PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187")
        numbers = [client.post("/v1/emergencies", json={"unit": unit}).json()["id"] for unit in units]
        client.post(f"/v1/emergencies/{numbers[1]}/ack", json={"by": "Inspector 3"})
        client.post(f"/v1/emergencies/{numbers[2]}/clear", json={"by": "Inspector 3", "outcome": "assisted"})
        known = {one["id"]: one["state"] for one in client.get("/v1/emergencies").json()["emergencies"]}
        assert known == dict(zip(numbers, ("active", "acknowledged", "cleared"), strict=True))
