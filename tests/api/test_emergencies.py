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
