"""Who looked at a recording: on record before the first byte, once a sitting, and the list of exhibits too."""

from __future__ import annotations

import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta

import pytest

from gateway.api import evidence
from tests.api.site import Site, noise
from tests.api.test_evidence import acts, film

__all__ = ["film"]


def test_viewings_are_on_record_once_a_sitting(shared_site: Site) -> None:
    """Facts, custody and forty requests of a player are one `view` and one `play`; a proof is neither."""
    exhibit = shared_site.seal(noise(200_000, 7), "watched").exhibit
    before = acts(shared_site, exhibit)
    token = shared_site.token(user="viewer", role="evidence_officer")
    with shared_site.client(token) as client:
        client.get(f"/v1/exhibits/{exhibit}/proof")
        assert acts(shared_site, exhibit) == before
        for _ in range(3):
            client.get(f"/v1/exhibits/{exhibit}")
            client.get(f"/v1/exhibits/{exhibit}/custody")
        assert acts(shared_site, exhibit) == [*before, ("view", "viewer")]
        for at in range(0, 200_000, 5_000):
            client.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": f"bytes={at}-{at + 4999}"})
        assert acts(shared_site, exhibit) == [*before, ("view", "viewer"), ("play", "viewer")]
    with shared_site.client(shared_site.token(user="other", role="evidence_officer")) as client:
        client.get(f"/v1/exhibits/{exhibit}/content")
    with shared_site.client(shared_site.token(user="viewer", role="evidence_officer")) as client:
        client.get(f"/v1/exhibits/{exhibit}/content")  # the same person, another sitting
    assert acts(shared_site, exhibit)[-2:] == [("play", "other"), ("play", "viewer")]


def test_at_once(shared_site: Site) -> None:
    """Requests of one sitting that come together are one entry too."""
    exhibit = shared_site.seal(noise(100_000, 8), "at-once").exhibit
    before = acts(shared_site, exhibit)
    with shared_site.client(shared_site.token()) as client, ThreadPoolExecutor(8) as pool:
        done = list(pool.map(lambda _: client.get(f"/v1/exhibits/{exhibit}/content").status_code, range(16)))
    assert done == [200] * 16
    assert acts(shared_site, exhibit) == [*before, ("play", "tester")]


def test_nobody_overtakes_the_entry(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the first request's entry is being written, a second one of the sitting gets no byte either."""
    exhibit = site.seal(noise(1000), "overtaken").exhibit
    custody = site.gateway.evidence.records.custody
    write, begun, go = custody._batches.write, threading.Event(), threading.Event()

    def slow(*args: object) -> object:
        begun.set()
        assert go.wait(20)
        return write(*args)

    monkeypatch.setattr(custody._batches, "write", slow)
    with site.client(site.token()) as client, ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.get, f"/v1/exhibits/{exhibit}/content")
        assert begun.wait(20)
        second = pool.submit(client.get, f"/v1/exhibits/{exhibit}/content")
        assert not wait([first, second], timeout=0.4).done
        go.set()
        assert [each.result().status_code for each in (first, second)] == [200, 200]
    assert [kind for kind, _ in acts(site, exhibit)] == ["receive", "seal", "play"]


def test_a_sitting_ends(shared_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause the next look is an entry of its own."""
    exhibit = shared_site.seal(b"film", "pause").exhibit
    before = acts(shared_site, exhibit)
    with shared_site.client(shared_site.token()) as client:
        client.get(f"/v1/exhibits/{exhibit}")
        monkeypatch.setattr(evidence, "SITTING", timedelta(0))
        client.get(f"/v1/exhibits/{exhibit}")
    assert acts(shared_site, exhibit) == [*before, ("view", "tester"), ("view", "tester")]


def test_browsing_is_on_record(shared_site: Site) -> None:
    """One `browse` a sitting and question, with the facets asked for; every page of it belongs to it."""
    custody = shared_site.gateway.evidence.records.custody
    before = custody.size
    with shared_site.client(shared_site.token(user="browser", role="auditor")) as client:
        for _ in range(3):
            client.get("/v1/exhibits?device=cam-0042&limit=1")
        client.get("/v1/exhibits?device=cam-0042&limit=1&after=1")
        assert custody.size == before + 1
        client.get("/v1/exhibits?holder=P-0014")
    assert custody.size == before + 2
    leaf, (detail, _) = json.loads(custody.leaf(before)), custody.detail(before)
    assert (leaf["kind"], detail["actor"], detail["facets"]) == ("browse", "browser", {"device": "cam-0042"})
    assert "browser" not in custody.leaf(before).decode()


def test_on_record_before_the_first_byte(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the entry cannot be written nothing is shown; the next try is a new one."""
    exhibit = site.seal(noise(1000), "unseen").exhibit
    custody = site.gateway.evidence.records.custody
    good = custody.disk
    with site.client(site.token()) as client:
        before = acts(site, exhibit)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(custody._batches, "write", full)
            for rest in ("", "/custody", "/content"):
                response = client.get(f"/v1/exhibits/{exhibit}{rest}")
                assert response.status_code == 503, rest
                assert int(response.headers["Retry-After"]) > 0
                assert noise(1000) not in response.content
            assert client.get("/v1/units").status_code == 200
        assert custody.disk is good
        assert acts(site, exhibit) == before
        assert client.get(f"/v1/exhibits/{exhibit}/content").content == noise(1000)
    assert acts(site, exhibit) == [*before, ("play", "tester")]


def test_the_entry_is_there_when_the_first_byte_is(shared_site: Site) -> None:
    """Read from the disk by somebody else, while the answer is still under way."""
    exhibit = shared_site.seal(noise(2_000_000, 9), "under-way").exhibit
    with (
        shared_site.client(shared_site.token()) as client,
        client.stream("GET", f"/v1/exhibits/{exhibit}/content") as response,
    ):
        next(response.iter_raw(1))
        assert ("play", "tester") in acts(shared_site, exhibit)


def test_custody_lists_the_look_at_it(shared_site: Site) -> None:
    """The chain as answered has its own viewing in it, links unbroken."""
    exhibit = shared_site.seal(b"film", "chain").exhibit
    with shared_site.client(shared_site.token()) as client:
        chain = client.get(f"/v1/exhibits/{exhibit}/custody").json()["custody"]
    assert [each["kind"] for each in chain] == ["receive", "seal", "view"]
    assert [each["n"] for each in chain] == [1, 2, 3]
    custody = shared_site.gateway.evidence.records.custody
    for before, after in itertools.pairwise(chain):
        assert json.loads(custody.leaf(after["log_index"]))["prev"] == before["leaf_sha256"]
