"""Clips and derivatives over HTTP and from a terminal: sealed, examined, exported with their master's name and hash."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.domain.ids import ExhibitId
from gateway.evidence.verify.store import verify_store
from tests.api.site import Site, noise
from tests.cli.bagged import WORDS, steps, stock
from tests.cli.conftest import Lapel
from tests.media.test_gateway import examined

PATIENCE_S = 60


def made(client: httpx.Client, exhibit: str, what: str, **body: Any) -> dict[str, Any]:
    """The derivative at its end."""
    asked = client.post(f"/v1/exhibits/{exhibit}/{what}", json={"purpose": "trial", **body})
    assert asked.status_code == 202, asked.text
    ends_s = time.monotonic() + PATIENCE_S
    while (job := client.get(asked.headers["Location"]).json())["state"] not in ("done", "failed"):
        assert time.monotonic() < ends_s, job
        time.sleep(0.05)
    return dict(job)


@pytest.fixture
def site_of_film(tmp_path: Path, film_at_front: bytes) -> tuple[Site, Path]:
    """A store with a film in it, shut."""
    return Site(tmp_path / "site"), tmp_path


def test_over_http(site_of_film: tuple[Site, Path], film_at_front: bytes) -> None:
    """A clip and a still: exhibits of their own, named by the master's chain; what cannot be made says why."""
    site_of_film[0]._sections["media"] = {"enabled": True}
    with site_of_film[0] as site:
        master = site.seal(film_at_front, "film").exhibit
        junk = site.seal(noise(5_000), "junk").exhibit
        records = site.gateway.evidence.records  # type: ignore[union-attr]
        with site.client(site.token(user="officer", role="evidence_officer")) as client:
            clip = made(client, master, "clip", from_s=3, to_s=5.5)
            assert (clip["state"], clip["recipe"], clip["master"]) == ("done", "clip_copy", master)
            still = made(client, master, "derivatives", recipe="still", at_s=3.3)
            failed = made(client, junk, "derivatives", recipe="audio")
            assert (failed["state"], bool(failed["reason"])) == ("failed", True)
            row = client.get(f"/v1/exhibits/{clip['exhibit']}").json()
            assert (row["parent"], row["holder"], row["flags"]) == (master, "P-0014", ["derived"])
            assert client.get(f"/v1/exhibits/{still['exhibit']}/content").content.startswith(b"\x89PNG")
            wrong = client.post(f"/v1/exhibits/{master}/clip", json={"from_s": 5, "to_s": 4, "purpose": "p"})
            assert (wrong.status_code, "to_s" in wrong.json()["detail"]) == (422, True)
            assert (
                client.post("/v1/exhibits/X-0/clip", json={"from_s": 0, "to_s": 4, "purpose": "p"}).status_code == 404
            )
            assert client.get("/v1/derivatives/X-0").status_code == 404
            metrics = client.get("/metrics").text
            assert ("lapel_derivatives_made 2.0" in metrics, "lapel_derivatives_failed 1.0" in metrics) == (True, True)
        chain = records.catalogue.custody(master)
        act = next(each for each in chain if each.kind == "clip")
        facts = json.loads(records.custody.leaf(act.log_index))
        assert (facts["from_s"], facts["to_s"], facts["derived"]) == (2, 6, clip["exhibit"])
        detail = records.custody.detail(act.log_index)[0]  # type: ignore[index]
        assert (detail["actor"], detail["purpose"], detail["asked"]) == ("officer", "trial", {"from_s": 3, "to_s": 5.5})
        assert b"".join(records.reader.read(ExhibitId(master))) == film_at_front
        for each in (clip["exhibit"], still["exhibit"]):
            assert examined(site, each).playable == "playable"
        site.looked()
        assert site.gateway.expected is not None
        assert not [row for row in site.gateway.expected.store.rows() if row.exhibit == clip["exhibit"]]
    report = verify_store(site.data / "evidence", site.data / "keys")
    assert (report.ok, report.counts["derived"]) == (True, 2), report.findings


def test_a_restart_makes_what_was_asked(
    site_of_film: tuple[Site, Path], film_at_front: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is durable before the answer: the next gateway makes it."""
    site = site_of_film[0]
    with monkeypatch.context() as patch, site:
        patch.setattr("gateway.evidence.derived.deriver.Deriver.waiting", lambda _self: [])
        master = site.seal(film_at_front, "film").exhibit
        with site.client(site.token()) as client:
            asked = client.post(f"/v1/exhibits/{master}/clip", json={"from_s": 1, "to_s": 2, "purpose": "p"}).json()
            assert asked["state"] == "waiting"
    with site, site.client(site.token()) as client:
        ends_s = time.monotonic() + PATIENCE_S
        while client.get(f"/v1/derivatives/{asked['exhibit']}").json()["state"] != "done":
            assert time.monotonic() < ends_s
            time.sleep(0.05)


def test_from_a_terminal_and_out(
    site_of_film: tuple[Site, Path], film_at_front: bytes, lapel: Lapel, tmp_path: Path
) -> None:
    """`lapel evidence clip`; the export of the clip names its master and hash, and stock tools pass it."""
    site, home = site_of_film
    with site:
        sealed = site.seal(film_at_front, "film")
    store = site.data
    words = ("--purpose", "trial", "--data", store)
    clip = lapel("evidence", "clip", sealed.exhibit, "--from", "3", "--to", "5.5", "--exact", *words, "--json")
    assert clip.code == 0, clip.err
    row = clip.json["exhibit"]
    assert (row["parent"], row["name"]) == (sealed.exhibit, "film-clip-3.000-5.500.mp4")
    sound = lapel("evidence", "derive", sealed.exhibit, "--recipe", "audio", *words)
    assert (sound.code, "made of" in sound.out) == (0, True), sound.err
    for wrong, code in ((("--from", "5", "--to", "4"), 2), (("--from", "100", "--to", "101"), 1)):
        refused = lapel("evidence", "clip", sealed.exhibit, *wrong, *words)
        assert (refused.code, bool(refused.err)) == (code, True)
    assert lapel("evidence", "clip", "X-NONE", "--from", "0", "--to", "1", *words).code == 1
    done = lapel("evidence", "export", row["id"], "-o", tmp_path / "bag", *WORDS, "--data", store)
    assert done.code == 0, done.err
    manifest = json.loads((tmp_path / "bag/data" / row["id"] / "manifest.json").read_text())
    assert (manifest["derived"]["parent"], manifest["derived"]["master_sha256"]) == (sealed.exhibit, sealed.sha256)
    assert manifest["derived"]["recipe"] == "clip_exact"
    assert stock(tmp_path / "bag", steps(tmp_path / "bag"))[0] == 0
    assert lapel("verify-export", tmp_path / "bag").code == 1
    assert lapel("evidence", "verify", "--all", "--data", store).code == 0
    assert home.exists()
