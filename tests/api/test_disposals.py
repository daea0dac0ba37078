"""Disposals over HTTP: two accounts, conflicts, and 410 for what is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from tests.api.site import Site


@pytest.fixture
def site(tmp_path: Path):
    """A gateway without grace."""
    with Site(tmp_path, retention={"grace_days": 0}) as opened:
        yield opened


def people(site: Site) -> tuple:
    """An officer who asks and a supervisor who approves."""
    officer = site.client(site.token(user="officer", role="evidence_officer"))
    return officer, site.client(site.token(user="boss", role="evidence_supervisor"))


def test_the_whole_way(site: Site) -> None:
    """Asked by one, approved by another, carried out by the gateway; then 410, and the metrics say so."""
    exhibit = site.seal(b"film" * 100, "gone").exhibit
    site.examined(exhibit)
    officer, boss = people(site)
    with officer, boss:
        body = {"exhibits": [exhibit], "ground": "order", "reason": "court order 7"}
        asked = officer.post("/v1/disposals", json=body)
        assert asked.status_code == 201, asked.text
        name = asked.json()["id"]
        assert officer.post(f"/v1/disposals/{name}/approve", json={}).status_code == 403
        approved = boss.post(f"/v1/disposals/{name}/approve", json={"reason": "seen"})
        assert (approved.status_code, approved.json()["approved"]["by"]) == (200, "boss")
        assert boss.post(f"/v1/disposals/{name}/approve", json={}).status_code == 409
        site.gateway.evidence.disposing.turn()
        one = officer.get(f"/v1/disposals/{name}").json()
        assert (one["state"], one["exhibits"][0]["state"]) == ("done", "disposed")
        assert boss.post(f"/v1/disposals/{name}/cancel", json={"reason": "late"}).status_code == 409
        assert boss.get(f"/v1/exhibits/{exhibit}/content").status_code == 410
        assert boss.get(f"/v1/exhibits/{exhibit}/thumbnail").status_code == 410
        assert boss.get(f"/v1/exhibits/{exhibit}").json()["disposal"] == name
        listed = officer.get("/v1/disposals", params={"state": "done"}).json()
        assert ([each["id"] for each in listed["disposals"]], listed["total"]) == ([name], 1)
        assert officer.get("/v1/disposals", params={"state": "grace"}).json()["disposals"] == []
    with site.client(site.token()) as client:
        metrics = client.get("/metrics").text
    assert "lapel_disposal_done 1.0" in metrics
    assert "lapel_disposal_due 0.0" in metrics


def test_one_who_may_both_is_still_one_person(site: Site) -> None:
    """A supervisor cannot approve what they asked for."""
    exhibit = site.seal(b"film", "mine").exhibit
    with site.client(site.token(user="boss", role="evidence_supervisor")) as boss:
        body = {"exhibits": [exhibit], "ground": "order", "reason": "x"}
        name = boss.post("/v1/disposals", json=body).json()["id"]
        answer = boss.post(f"/v1/disposals/{name}/approve", json={})
        assert (answer.status_code, "second person" in answer.json()["detail"]) == (409, True)
        cancelled = boss.post(f"/v1/disposals/{name}/cancel", json={"reason": "my mistake"})
        assert cancelled.json()["state"] == "cancelled"
        assert boss.post("/v1/disposals", json=body).status_code == 201


def test_what_cannot_be_asked(site: Site) -> None:
    """Held, not due, unknown, twice, without a ground: each by its status, nothing on record."""
    exhibit = site.seal(b"film", "stays").exhibit
    custody = site.gateway.evidence.records.custody
    site.awaited(custody.record(Act("hold", "boss", ExhibitId(exhibit), {"hold": "H-1"}, {"reason": "appeal"})))
    before = custody.size
    good = {"exhibits": [exhibit], "ground": "order", "reason": "x"}
    cases = [
        (good, 409, "held"),
        ({**good, "exhibits": ["X-NO"]}, 404, "X-NO"),
        ({**good, "exhibits": [exhibit, exhibit]}, 422, "each once"),
        ({**good, "exhibits": []}, 400, "exhibits"),
        ({**good, "ground": "room"}, 400, "ground"),
        ({**good, "reason": ""}, 400, "reason"),
        ({**good, "erase_details": True}, 422, "erase_details"),
    ]
    with site.client(site.token(user="officer", role="evidence_officer")) as officer:
        for body, status, words in cases:
            answer = officer.post("/v1/disposals", json=body)
            assert (answer.status_code, words in answer.text) == (status, True), answer.text
        assert officer.get("/v1/disposals/D-NO").status_code == 404
        assert officer.get("/v1/disposals/due").json() == {"v": 1, "total": 0, "exhibits": []}
    assert custody.size == before
