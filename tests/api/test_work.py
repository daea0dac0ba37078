"""Evidence work over HTTP by a real client: who may what, what is on record, what is refused and how."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import httpx
import msgspec
import pytest

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from tests.api.site import Site, noise
from tests.api.test_settling import NoRights, brought

EVIDENTIAL = {"category": "evidential", "exhibit_ref": "AB/1", "incident": "cc 1/26"}
TO = {"recipient": "CPS", "legal_gateway": "CPIA 1996", "purpose": "trial"}


@pytest.fixture
def officer(shared_site: Site):
    """An evidence officer."""
    with shared_site.client(shared_site.token(user="officer", role="evidence_officer")) as client:
        yield client


@pytest.fixture
def boss(shared_site: Site):
    """An evidence supervisor."""
    with shared_site.client(shared_site.token(user="boss", role="evidence_supervisor")) as client:
        yield client


@pytest.fixture
def exhibit(shared_site: Site, request: pytest.FixtureRequest) -> str:
    """A sealed exhibit of this test's own."""
    # Of its own content too: what another test disposed of comes back restricted.
    return shared_site.seal(noise(300, 5) + request.node.name.encode(), request.node.name).exhibit


def kinds(client: httpx.Client, exhibit: str) -> list[str]:
    """What is on record of an exhibit, in order, viewings left out."""
    chain = client.get(f"/v1/exhibits/{exhibit}/custody").json()["custody"]
    return [each["kind"] for each in chain if each["kind"] != "view"]


def post(client: httpx.Client, exhibit: str, act: str, body: dict, status: int = 200) -> dict:
    """One act."""
    answer = client.post(f"/v1/exhibits/{exhibit}/{act}", json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


def test_from_officer_to_supervisor(exhibit: str, officer: httpx.Client, boss: httpx.Client) -> None:
    """The officer categorises, notes and holds; the supervisor corrects, releases, reviews and hands over."""
    row = post(officer, exhibit, "categorise", EVIDENTIAL)
    assert (row["category"], row["rule"], row["due"], row["incident"]) == (
        *("evidential", "PCC/evidential@1", None, "CC 1/26"),
    )
    assert row["review_due"] == "2027-11-21"
    post(officer, exhibit, "annotate", {"text": "a red van", "at_s": 3.5})
    held = post(officer, exhibit, "hold", {"reason": "court", "until": "2099-01-01"}, 201)
    assert held["exhibit"]["holds"] == [held["hold"]]
    assert post(boss, exhibit, "amend", {"field": "holder", "now": "P-0015", "reason": "swapped"})["holder"] == "P-0015"
    assert post(boss, exhibit, "release", {"hold": held["hold"], "reason": "over"})["held"] is False
    row = post(boss, exhibit, "review", {"decision": "convicted", "reason": "x", "since": "2099-01-01"})
    assert (row["due"], row["review_due"]) == ("2099-07-03", None)
    post(boss, exhibit, "transfer", TO)
    acts = ["receive", "seal", "categorise", "annotate", "hold", "amend", "release", "review", "transfer"]
    assert kinds(boss, exhibit) == acts


@pytest.mark.parametrize(
    ("act", "body"),
    [
        ("amend", {"field": "name", "now": "x", "reason": "x"}),
        ("release", {"hold": "H-1", "reason": "x"}),
        ("review", {"decision": "retain", "reason": "x"}),
        ("transfer", TO),
    ],
)
def test_what_an_officer_may_not(exhibit: str, officer: httpx.Client, act: str, body: dict) -> None:
    """403 that names the permission, and nothing is on record."""
    assert "evidence:supervise" in post(officer, exhibit, act, body, 403)["detail"]
    assert kinds(officer, exhibit) == ["receive", "seal"]


@pytest.mark.parametrize(
    ("act", "body", "status", "words"),
    [
        ("categorise", {"category": "evidential", "incident": "1"}, 422, "exhibit_ref: is required"),
        ("categorise", {"category": "mislaid"}, 422, "category"),
        ("categorise", {"category": ""}, 400, "category"),
        ("categorise", {**EVIDENTIAL, "due": "2099-01-01"}, 400, "due"),
        ("categorise", {**EVIDENTIAL, "fields": {"a": 1}}, 400, "fields"),
        ("annotate", {"text": "x", "at_s": -1}, 400, "at_s"),
        ("annotate", {"text": " "}, 422, "text"),
        ("amend", {"field": "sha256", "now": "x", "reason": "x"}, 400, "sha256"),
        ("amend", {"field": "holder", "now": "P-NOBODY", "reason": "x"}, 422, "nobody"),
        ("amend", {"field": "started_at", "now": "noon", "reason": "x"}, 422, "now"),
        ("hold", {"reason": "x", "until": "2020-01-01"}, 422, "until"),
        ("hold", {"reason": "x", "until": "soon"}, 400, "until"),
        ("hold", {}, 400, "reason"),
        ("release", {"hold": "H-1", "reason": "x"}, 409, "no hold"),
        ("review", {"decision": "retain", "reason": "x"}, 409, "not categorised"),
        ("transfer", {**TO, "disclosed": True, "controller": "CAMBS"}, 422, "controller"),
        ("transfer", {"recipient": "CPS"}, 400, "legal_gateway"),
    ],
)
def test_acts_that_cannot_be(exhibit: str, boss: httpx.Client, act: str, body: dict, status: int, words: str) -> None:
    """The field or the state is named, and nothing is on record."""
    assert words in post(boss, exhibit, act, body, status)["detail"]
    assert kinds(boss, exhibit) == ["receive", "seal"]


def test_what_is_gone(shared_site: Site, exhibit: str, boss: httpx.Client) -> None:
    """409 for each act on an exhibit whose key was destroyed; 404 for one that never was."""
    bodies = {
        "categorise": EVIDENTIAL,
        "annotate": {"text": "x"},
        "amend": {"field": "name", "now": "x", "reason": "x"},
        "hold": {"reason": "x"},
        "release": {"hold": "H-1", "reason": "x"},
        "review": {"decision": "retain", "reason": "x"},
        "transfer": TO,
    }
    shared_site.awaited(shared_site.gateway.evidence.records.custody.record(_gone(exhibit)))
    for act, body in bodies.items():
        post(boss, exhibit, act, body, 409)
        post(boss, "X-NO", act, body, 404)
    assert kinds(boss, exhibit) == ["receive", "seal", "key_destroy"]


def _gone(exhibit: str) -> Act:
    return Act("key_destroy", "system", ExhibitId(exhibit))


def test_a_hold_by_incident(shared_site: Site, exhibit: str, officer: httpx.Client, boss: httpx.Client) -> None:
    """What is there, what comes later; listed; the officer cannot end it."""
    post(officer, exhibit, "categorise", {**EVIDENTIAL, "incident": "cc 77"})
    answer = officer.post("/v1/holds", json={"incident": "CC  77", "reason": "SAR"})
    assert (answer.status_code, answer.json()["exhibits"]) == (201, [exhibit])
    hold = answer.json()["hold"]
    later = shared_site.seal(noise(300, 6), "later").exhibit
    assert post(officer, later, "categorise", {**EVIDENTIAL, "incident": "cc 77"})["holds"] == [hold]
    listed = {each["hold"]: each for each in officer.get("/v1/holds").json()["holds"]}
    assert (listed[hold]["incident"], listed[hold]["stands"], listed[hold]["by"]) == ("CC 77", True, "officer")
    assert officer.post(f"/v1/holds/{hold}/release", json={"reason": "x"}).status_code == 403
    ids = [row["id"] for row in officer.get("/v1/exhibits", params={"hold": hold}).json()["exhibits"]]
    assert sorted(ids) == sorted([exhibit, later])
    done = boss.post(f"/v1/holds/{hold}/release", json={"reason": "answered"}).json()
    assert sorted(done["exhibits"]) == sorted([exhibit, later])
    assert boss.post(f"/v1/holds/{hold}/release", json={"reason": "again"}).status_code == 409
    assert boss.post("/v1/holds/H-NO/release", json={"reason": "x"}).status_code == 404


def test_the_work_lists(shared_site: Site, exhibit: str, officer: httpx.Client) -> None:
    """Uncategorised and about to expire; by references; what is to be reviewed; what is held."""
    today = datetime.now(UTC).date()
    old = shared_site.seal(noise(300, 9), "old", started_at=datetime.now(UTC) - timedelta(days=3000)).exhibit
    post(officer, exhibit, "categorise", {**EVIDENTIAL, "exhibit_ref": "ZZ/9", "incident": "cc 88"})

    def listed(**facets: object) -> list[str]:
        answer = officer.get("/v1/exhibits", params=facets)
        assert answer.status_code == 200, answer.text
        return [row["id"] for row in answer.json()["exhibits"]]

    soon = listed(category="uncategorised", held="false", due_before=(today + timedelta(days=40)).isoformat())
    assert (old in soon, exhibit in soon) == (True, False)
    assert listed(category="uncategorised", due_before=(date(2020, 1, 1)).isoformat()) == []
    assert (listed(exhibit_ref="ZZ/9"), listed(incident=" CC 88")) == ([exhibit], [exhibit])
    assert exhibit not in listed(review_due="true")
    post(officer, old, "categorise", {**EVIDENTIAL, "incident": "cc 89"})
    assert listed(review_due="true", incident="cc 89") == [old]
    post(officer, old, "hold", {"reason": "x"}, 201)
    assert old in listed(held="true")
    assert officer.get("/v1/exhibits?due_before=soon").status_code == 400


def test_rules_over_http(shared_site: Site, exhibit: str, boss: httpx.Client, officer: httpx.Client) -> None:
    """Listed for the officer, changed by two supervisors; whoever proposes cannot approve."""
    post(officer, exhibit, "categorise", {"category": "penalty_notice", "incident": "PCN 1"})
    rule = {"category": "penalty_notice", "controller": "PCC", "days": 30, "applies": True, "required": ["incident"]}
    assert officer.put("/v1/retention/rules", json={**rule, "reason": "x"}).status_code == 403
    would = boss.post("/v1/retention/rules/dry-run", json=rule).json()["would"]
    assert (would["exhibits"], would["earlier"], would["moved"][0]["exhibit"]) == (1, 1, exhibit)
    answer = boss.put("/v1/retention/rules", json={**rule, "reason": "policy 3"})
    assert (answer.status_code, answer.json()["name"]) == (202, "PCC/penalty_notice@2")
    place = "/v1/retention/rules/penalty_notice/2/approve"
    refused = boss.post(place, json={"reason": "me"})
    assert (refused.status_code, "second person" in refused.json()["detail"]) == (409, True)
    assert [each["reason"] for each in officer.get("/v1/retention/rules").json()["proposals"]] == ["policy 3"]
    with shared_site.client(shared_site.token(user="chief", role="evidence_supervisor")) as chief:
        assert chief.post(place, json={"reason": "agreed"}).json()["in_force"] is True
        assert chief.post(place, json={"reason": "again"}).status_code == 404
        assert chief.post("/v1/retention/rules/penalty_notice/x/approve", json={"reason": "x"}).status_code == 404
    row = officer.get(f"/v1/exhibits/{exhibit}").json()
    assert (row["rule"], row["review_due"]) == ("PCC/penalty_notice@2", None)
    table = officer.get("/v1/retention/rules").json()
    assert table["proposals"] == []
    assert {each["name"] for each in table["decisions"]} >= {"retain", "convicted"}
    for wrong in ({"category": "x", "reason": "x"}, {"category": "a/b", "days": 1, "reason": "x"}):
        assert boss.put("/v1/retention/rules", json=wrong).status_code == 422
    assert boss.put("/v1/retention/rules", json={"category": "x", "days": -1, "reason": "x"}).status_code == 400


def test_restricted_exhibits_are_worked_on_by_those_who_may_settle(site: Site) -> None:
    """What a dock without the right brought: 403 for the officer, the supervisor may."""
    half = site.gateway.evidence
    half.recordings._needs = msgspec.structs.replace(half.recordings._needs, rights=NoRights())
    strange = site.awaited(brought(half.recordings)).exhibit
    with site.client(site.token(user="o", role="evidence_officer")) as officer:
        assert "evidence:settle" in post(officer, strange, "annotate", {"text": "x"}, 403)["detail"]
        post(officer, strange, "hold", {"reason": "x"}, 403)
    with site.client(site.token(user="s", role="evidence_supervisor")) as boss:
        post(boss, strange, "annotate", {"text": "x"})
        assert kinds(boss, strange) == ["receive", "seal", "annotate"]


def test_a_log_that_will_not(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 with Retry-After, nothing half-written; the next try is done once."""
    exhibit = site.seal(b"film", "full").exhibit
    custody = site.gateway.evidence.records.custody

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with site.client(site.token()) as client:
        with monkeypatch.context() as patch:
            patch.setattr(custody._batches, "write", full)
            for act, body in (("categorise", EVIDENTIAL), ("hold", {"reason": "x"}), ("annotate", {"text": "x"})):
                answer = client.post(f"/v1/exhibits/{exhibit}/{act}", json=body)
                assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        assert kinds(client, exhibit) == ["receive", "seal"]
        post(client, exhibit, "categorise", EVIDENTIAL)
        assert kinds(client, exhibit) == ["receive", "seal", "categorise"]
