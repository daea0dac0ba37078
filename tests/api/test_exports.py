"""Exports over HTTP: asked for, watched, fetched in parts, on record; a restart in between; who may."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.site import Site, noise
from tests.cli.bagged import steps, stock

WORDS = {"purpose": "trial R v X", "recipient": "CPS East", "legal_gateway": "CPIA 1996"}
PATIENCE_S = 30


def ended(client: httpx.Client, export: str) -> dict[str, Any]:
    """The export at its end."""
    ends_s = time.monotonic() + PATIENCE_S
    while (body := client.get(f"/v1/exports/{export}").json())["state"] not in ("done", "failed", "removed"):
        assert time.monotonic() < ends_s, body
        time.sleep(0.05)
    return dict(body)


def custody(site: Site, exhibit: str, kind: str) -> list[dict[str, Any]]:
    """Details of the exhibit's entries of a kind, with the facts that name the export."""
    records = site.gateway.evidence.records  # type: ignore[union-attr]
    rows = [each for each in records.catalogue.custody(exhibit) if each.kind == kind]
    leaves = [json.loads(records.custody.leaf(each.log_index)) for each in rows]
    details = [records.custody.detail(each.log_index)[0] for each in rows]
    return [{**detail, "export": leaf["export"]} for detail, leaf in zip(details, leaves, strict=True)]


@pytest.fixture
def stamped(tmp_path: Path) -> Site:
    """A gateway whose exports bear times."""
    return Site(tmp_path / "site", timestamp={"embedded": True})


def test_the_whole_way(stamped: Site, tmp_path: Path) -> None:
    """Asked, done, fetched in two parts: the tar holds a bag that stock tools pass; every step is on record."""
    with stamped as site:
        first, second = site.seal(noise(200_000), "r1").exhibit, site.seal(noise(50_000, 2), "r2").exhibit
        with site.client(site.token(user="officer", role="evidence_officer")) as client:
            order: dict[str, Any] = {
                "json": {"exhibits": [first, second], **WORDS},
                "headers": {"Idempotency-Key": "k"},
            }
            asked = client.post("/v1/exports", **order)
            assert (asked.status_code, asked.headers["Location"]) == (202, f"/v1/exports/{asked.json()['export']}")
            again = client.post("/v1/exports", **order)
            assert (again.json()["export"], again.headers["Idempotent-Replayed"]) == (asked.json()["export"], "true")
            other = client.post("/v1/exports", json={"exhibits": [first], **WORDS}, headers={"Idempotency-Key": "k"})
            assert other.status_code == 422
            done = ended(client, asked.json()["export"])
            assert (done["state"], done["written"], done["of"]) == ("done", 250_000, 250_000)
            assert done["asked_by"] == "officer"
            place = f"/v1/exports/{done['export']}/content"
            head = client.get(place, headers={"Range": "bytes=0-99999"})
            assert (head.status_code, head.headers["Content-Range"]) == (206, f"bytes 0-99999/{done['size']}")
            rest = client.get(place, headers={"Range": "bytes=100000-", "If-Range": head.headers["ETag"]})
            assert rest.headers["Content-Disposition"] == f'attachment; filename="{done["export"]}.tar"'
            assert [each["export"] for each in client.get("/v1/exports").json()["exports"]] == [done["export"]]
            assert "lapel_exports_fetched 1.0" in client.get("/metrics").text
        subprocess.run(["tar", "-x", "-C", tmp_path], input=head.content + rest.content, check=True)
        bag = tmp_path / done["export"]
        code, said = stock(bag, steps(bag))
        assert (code, f"2 exhibits of export {done['export']}" in said, "Signature stamped" in said) == (
            0,
            True,
            True,
        ), said
        for exhibit in (first, second):
            (act,) = custody(site, exhibit, "export")
            assert (act["actor"], act["recipient"], act["export"]) == ("officer", "CPS East", done["export"])
            (fetched,) = custody(site, exhibit, "disclose")
            assert (fetched["actor"], fetched["how"], fetched["export"]) == (
                "officer",
                "fetched over HTTP",
                done["export"],
            )


def test_a_restart_goes_on(stamped: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for, and the gateway ends before it is made: the next one makes it, under the same id, once on record."""
    with monkeypatch.context() as patch, stamped as site:
        patch.setattr("gateway.evidence.export.jobs.ExportJobs.finish", _never)
        exhibit = site.seal(noise(10_000), "r1").exhibit
        with site.client(site.token()) as client:
            export = client.post("/v1/exports", json={"exhibits": [exhibit], **WORDS}).json()["export"]
            assert client.get(f"/v1/exports/{export}").json()["state"] == "waiting"
            early = client.get(f"/v1/exports/{export}/content")
            assert (early.status_code, early.json()["state"]) == (409, "waiting")
            assert client.delete(f"/v1/exports/{export}").status_code == 409
    with stamped as site, site.client(site.token()) as client:
        assert ended(client, export)["state"] == "done"
        assert len(custody(site, exhibit, "export")) == 1
        assert client.delete(f"/v1/exports/{export}").json()["state"] == "removed"
        gone = client.get(f"/v1/exports/{export}/content")
        assert (gone.status_code, "removed by tester" in gone.json()["detail"]) == (410, True)
        assert not (site.data / "evidence/exports" / export).exists()


async def _never(_self: object, job: object) -> object:
    return job


def test_to_a_recipient(site: Site, tmp_path: Path) -> None:
    """What is fetched is the letter: stock age and tar open it, and nothing in clear lies in the store."""
    subprocess.run(["age-keygen", "-o", tmp_path / "key"], check=True, capture_output=True)
    to = subprocess.run(["age-keygen", "-y", tmp_path / "key"], capture_output=True, text=True).stdout.strip()
    exhibit = site.seal(noise(10_000), "r1").exhibit
    with site.client(site.token()) as client:
        asked = client.post("/v1/exports", json={"exhibits": [exhibit], **WORDS, "to_age": to}).json()
        done = ended(client, asked["export"])
        assert (done["state"], done["encrypted"]) == ("done", True)
        got = client.get(f"/v1/exports/{done['export']}/content")
    (tmp_path / "letter").write_bytes(got.content)
    command = f"age -d -i {tmp_path}/key {tmp_path}/letter | tar -x -C {tmp_path}"
    subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)
    bag = tmp_path / done["export"]
    assert stock(bag, steps(bag))[0] == 0
    kept = sorted(path.name for path in (site.data / "evidence/exports").iterdir())
    assert kept == [f"{done['export']}.json", f"{done['export']}.tar.age"]


def test_what_cannot_be(site: Site) -> None:
    """Field or exhibit named, the right status, nothing on record."""
    exhibit = site.seal(noise(1_000), "r1").exhibit
    restricted = site.seal(noise(1_000, 3), "r3", device="cam-0099").exhibit
    catalogue = site.gateway.evidence.records.catalogue  # type: ignore[union-attr]
    site.begin(noise(100), 200, "r2")
    size = site.gateway.evidence.records.custody.size  # type: ignore[union-attr]
    with site.client(site.token()) as client:
        for body, status, said in (
            ({"exhibits": [exhibit]}, 400, "purpose"),
            ({"exhibits": [], **WORDS}, 400, "exhibits"),
            ({"exhibits": ["X-NONE"], **WORDS}, 404, "X-NONE"),
            ({"exhibits": [exhibit, exhibit], **WORDS}, 422, "named twice"),
            ({"exhibits": [exhibit], **WORDS, "to_age": "age1nothing"}, 422, "to_age"),
            ({"exhibits": [exhibit], **WORDS, "recipient": " "}, 422, "recipient"),
            ({"exhibits": [exhibit], **WORDS, "more": 1}, 400, "more"),
        ):
            found = client.post("/v1/exports", json=body)
            assert (found.status_code, said in found.json()["detail"]) == (status, True), found.text
        assert client.get("/v1/exports/E-NONE").status_code == 404
    assert site.gateway.evidence.records.custody.size == size  # type: ignore[union-attr]
    assert catalogue.exhibit(restricted) is not None


def test_restricted_footage_is_for_those_who_may_settle(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """An officer may neither export nor fetch it; a supervisor may."""
    exhibit = site.seal(noise(1_000), "r1").exhibit
    monkeypatch.setattr("gateway.api.settling.restricted", lambda row: row.id == exhibit)
    body = {"exhibits": [exhibit], **WORDS}
    with site.client(site.token(user="officer", role="evidence_officer")) as officer:
        assert officer.post("/v1/exports", json=body).status_code == 403
        with site.client(site.token(user="super", role="evidence_supervisor")) as supervisor:
            export = supervisor.post("/v1/exports", json=body).json()["export"]
            assert ended(supervisor, export)["state"] == "done"
            assert officer.get(f"/v1/exports/{export}/content").status_code == 403
            assert supervisor.get(f"/v1/exports/{export}/content").status_code == 200
