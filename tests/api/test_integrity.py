"""Integrity over HTTP: four verdicts, each by itself; the last reconciliation; what is missing shows in /ready."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.api.site import Site, noise

PARTS = ("file", "log", "timestamp", "device_signature")


def verdicts(site: Site, exhibit: str) -> dict[str, Any]:
    """The four, as an auditor gets them."""
    with site.client(site.token(user="auditor-1", role="auditor")) as client:
        answer = client.get(f"/v1/exhibits/{exhibit}/integrity")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    until_s = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < until_s
        time.sleep(0.02)


def states(found: dict[str, Any]) -> dict[str, str]:
    """How the four stand."""
    return {part: found[part]["state"] for part in PARTS}


def blob(site: Site, exhibit: str) -> Path:
    """Where a blob lies."""
    row = site.gateway.evidence.records.catalogue.exhibit(exhibit)  # type: ignore[union-attr]
    assert row is not None
    return site.data / "evidence" / "blobs" / row.blob[:2] / row.blob[2:4] / f"{row.blob}.age"  # type: ignore[index]


def test_of_a_whole_exhibit(tmp_path: Path) -> None:
    """The file once the scrub has read it back, the log at once; what nobody checked says so, never `ok`."""
    with Site(tmp_path, evidence={"scrub_mb_s": 1000.0}) as site:
        film = noise(70_000)
        exhibit = site.seal(film).exhibit
        entries = site.gateway.evidence.records.custody.size  # type: ignore[union-attr]
        found = verdicts(site, exhibit)
        assert states(found) | {"file": "any"} == {
            "file": "any", "log": "ok", "timestamp": "not checked", "device_signature": "not checked"
        }  # fmt: skip
        assert found["file"]["facts"]["sha256"] == hashlib.sha256(film).hexdigest()
        assert found["log"]["facts"]["witnesses"] == 0
        assert found["log"]["said"].startswith(f"entry {found['log']['facts']['index']} of ")
        assert "not signed" in found["device_signature"]["said"]
        assert all(found[part]["how"] for part in PARTS)
        scrub = site.gateway.evidence.checks.scrub  # type: ignore[union-attr]
        assert scrub.look(exhibit)[1] is None
        assert site.gateway.evidence.records.custody.size == entries  # type: ignore[union-attr]


def test_scrubbed_and_broken(tmp_path: Path) -> None:
    """Read back at the start; a blob that was changed meanwhile is failed, degraded, on record and held."""
    with Site(tmp_path) as site:
        good, bad = (site.seal(noise(50_000, n), f"r{n}").exhibit for n in (1, 2))
        path = blob(site, bad)
    raw = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    (site.data / "evidence/scrub.db").unlink()
    with Site(tmp_path) as site:
        until(lambda: verdicts(site, bad)["file"]["state"] != "not checked")
        until(lambda: verdicts(site, good)["file"]["state"] != "not checked")
        assert (verdicts(site, bad)["file"]["state"], verdicts(site, good)["file"]["state"]) == ("failed", "ok")
        assert verdicts(site, good)["file"]["at"] is not None
        assert states(verdicts(site, bad))["log"] == "ok"
        with site.client(site.token()) as client:
            until(lambda: client.get("/ready").json()["parts"]["evidence"] == "degraded")
            assert client.get("/ready").status_code == 200
            until(lambda: "lapel_scrub_failing 1.0" in client.get("/metrics").text)
            assert client.get(f"/v1/exhibits/{bad}").json()["held"] is True


def test_scrub_off(tmp_path: Path) -> None:
    """With scrub_mb_s = 0 nothing is read back, and nothing claims that it was."""
    with Site(tmp_path, evidence={"scrub_mb_s": 0.0}) as site:
        exhibit = site.seal(noise(1000)).exhibit
        assert verdicts(site, exhibit)["file"]["state"] == "not checked"
        assert site.gateway.evidence.checks.scrub is None  # type: ignore[union-attr]


def test_a_row_that_the_log_contradicts(shared_site: Site) -> None:
    """The verdict is the log's: a catalogue that says another hash fails it."""
    exhibit = shared_site.seal(noise(1234), "contradicted").exhibit
    catalogue = shared_site.gateway.evidence.records.catalogue  # type: ignore[union-attr]
    row = catalogue.exhibit(exhibit)
    assert row is not None
    with catalogue._opened.begin() as link:
        link.exec_driver_sql("UPDATE exhibit SET sha256 = ? WHERE id = ?", ("0" * 64, exhibit))
    assert verdicts(shared_site, exhibit)["log"]["state"] == "failed"
    with catalogue._opened.begin() as link:
        link.exec_driver_sql("UPDATE exhibit SET sha256 = ? WHERE id = ?", (row.sha256, exhibit))
    assert verdicts(shared_site, exhibit)["log"]["state"] == "ok"


def test_disposed_of_and_unknown(shared_site: Site) -> None:
    """What is gone is not checked; what was never there is 404; no entry is made for asking."""
    exhibit = shared_site.seal(noise(1235), "to-be-gone").exhibit
    custody = shared_site.gateway.evidence.records.custody  # type: ignore[union-attr]
    shared_site.disposed(exhibit)
    size = custody.size
    assert states(verdicts(shared_site, exhibit))["file"] == "not checked"
    with shared_site.client(shared_site.token(user="auditor-1", role="auditor")) as client:
        assert client.get("/v1/exhibits/X-0/integrity").status_code == 404
    assert custody.size == size


def test_the_last_reconciliation(tmp_path: Path) -> None:
    """None yet: 404. Then whole, then with a blob missing: named, on record, degraded, in the metrics."""
    with Site(tmp_path, evidence={"reconcile_at": ""}) as site:
        exhibit = site.seal(noise(50_000)).exhibit
        reconciling = site.gateway.evidence.checks.reconciling  # type: ignore[union-attr]
        with site.client(site.token(user="auditor-1", role="auditor")) as client:
            assert client.get("/v1/evidence/reconciliation").status_code == 404
            site.awaited(reconciling.once())
            told = client.get("/v1/evidence/reconciliation").json()
            assert (told["ok"], told["counts"]["sealed"], told["items"]) == (True, 1, [])
            assert client.get("/ready").json()["parts"]["evidence"] == "ok"
            path = blob(site, exhibit)
            path.unlink()
            site.awaited(reconciling.once())
            told = client.get("/v1/evidence/reconciliation").json()
            assert [(item["state"], item["exhibit"]) for item in told["items"]] == [("missing", exhibit)]
            assert client.get("/ready").json()["parts"]["evidence"] == "degraded"
            metrics = client.get("/metrics").text
            assert "lapel_reconciliation_missing 1.0" in metrics
            assert "lapel_reconciliation_blobs_found 0.0" in metrics
        custody = site.gateway.evidence.records.custody  # type: ignore[union-attr]
        assert b'"kind":"verify_fail"' in custody.leaf(told["log_index"])
    with Site(tmp_path, evidence={"reconcile_at": ""}) as site, site.client(site.token()) as client:
        until(lambda: client.get("/ready").json()["parts"]["evidence"] == "degraded")


@pytest.mark.parametrize("role", ["consumer", "evidence_officer", "controller"])
def test_not_for_everybody(shared_site: Site, role: str) -> None:
    """The reconciliation names exhibits of all agencies: auditors and supervisors."""
    with shared_site.client(shared_site.token(user=f"{role}-9", role=role)) as client:
        assert client.get("/v1/evidence/reconciliation").status_code == 403


def test_the_loop_is_free_meanwhile(tmp_path: Path) -> None:
    """A reconciliation runs in a process of its own: the gateway answers while it does."""
    with Site(tmp_path) as site:
        site.seal(noise(1000))
        reconciling = site.gateway.evidence.checks.reconciling  # type: ignore[union-attr]
        future = asyncio.run_coroutine_threadsafe(reconciling.once(), site.loop)
        with site.client(site.token()) as client:
            answered = 0
            while not future.done():
                assert client.get("/live").status_code == 200
                answered += 1
        assert answered > 3
        assert future.result().ok


def test_a_memory_that_cannot_be_opened(tmp_path: Path) -> None:
    """A folder in the place of scrub.db: the gateway keeps evidence all the same, and says `not checked`."""
    (tmp_path / "store/evidence/scrub.db").mkdir(parents=True)
    with Site(tmp_path) as site:
        exhibit = site.seal(noise(1000)).exhibit
        assert site.gateway.evidence.checks.scrubs is None  # type: ignore[union-attr]
        assert states(verdicts(site, exhibit))["file"] == "not checked"
