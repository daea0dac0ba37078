"""A camera that still has what was disposed of: it may delete its copy, and nothing comes back unseen."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from gateway.domain.evidence import RecordingFin, RecordingKey, RecordingOffer, Sealed, Segment, UploadState
from gateway.domain.ids import DeviceId
from gateway.evidence.disposal.desk import Asked
from gateway.evidence.verify.store import verify_store
from tests.api.site import Site, noise

FILM = noise(150_000)
KEY = RecordingKey(DeviceId("cam-0042"), "r-1")


@pytest.fixture
def site(tmp_path: Path):
    """A gateway without grace."""
    with Site(tmp_path, retention={"grace_days": 0}) as opened:
        yield opened


def dispose(site: Site, *exhibits: str, erase: bool = False) -> None:
    """Asked, approved, carried out."""
    found = site.gateway.evidence.disposing
    asked = Asked(exhibits, "erasure", "asked by the person", "ann", "test", erase)
    found.desk.approve(found.desk.request(asked).id, "bob")
    found.turn()
    assert all(site.gateway.evidence.records.catalogue.exhibit(each).disposed_at for each in exhibits)


def sink(site: Site):
    """Where cameras send."""
    return site.gateway.evidence.recordings


def verified(site: Site) -> None:
    """The store is as written."""
    report = verify_store(site.data / "evidence", site.data / "keys")
    assert report.ok, report


def blobs(site: Site) -> int:
    """How many."""
    return len(list((site.data / "evidence/blobs").rglob("*.age")))


@pytest.mark.parametrize("erase", [False, True])
def test_offered_with_its_checksum(site: Site, erase: bool) -> None:
    """It gets its receipt, so that it can delete its copy; nothing is taken; it is counted."""
    sealed = site.seal(FILM, "r-1")
    dispose(site, sealed.exhibit, erase=erase)
    offer = RecordingOffer(KEY, "r-1.mp4", len(FILM), hashlib.sha256(FILM).hexdigest())
    again = site.awaited(sink(site).begin(offer))
    assert isinstance(again, Sealed)
    assert (again.exhibit, again.key) == (sealed.exhibit, KEY)
    assert again.receipt["entry"] == sealed.receipt["entry"]
    assert again.receipt["recording"] == "r-1"
    fin = site.awaited(sink(site).finish(RecordingFin(KEY, len(FILM), hashlib.sha256(FILM).hexdigest())))
    assert isinstance(fin, Sealed)
    assert sink(site).counters["offered_disposed"] == 1
    assert blobs(site) == 0
    verified(site)


def test_segments_of_what_is_gone(site: Site) -> None:
    """Nothing is left to compare them with: they pass, and the fin's checksum decides."""
    dispose(site, site.seal(FILM, "r-1").exhibit)
    state = site.awaited(sink(site).keep(Segment(KEY, 0, FILM[:1000])))
    assert isinstance(state, UploadState)
    assert state.durable == ((0, len(FILM)),)
    other = site.awaited(sink(site).finish(RecordingFin(KEY, len(FILM), "0" * 64)))
    assert isinstance(other, UploadState)
    assert other.missing == ((0, len(FILM)),)
    assert blobs(site) == 0


def test_what_comes_back_nameless(site: Site) -> None:
    """Details erased and no checksum stated: it is kept, flagged, and shown to nobody until somebody settles it."""
    dispose(site, site.seal(FILM, "r-1").exhibit, erase=True)
    site.awaited(sink(site).begin(RecordingOffer(KEY, "r-1.mp4")))
    site.awaited(sink(site).keep(Segment(KEY, 0, FILM)))
    back = site.awaited(sink(site).finish(RecordingFin(KEY, len(FILM))))
    assert isinstance(back, Sealed)
    assert "disposed_before" in back.flags
    with site.client(site.token(user="officer", role="evidence_officer")) as officer:
        assert officer.get(f"/v1/exhibits/{back.exhibit}/content").status_code == 403
    with site.client(site.token(user="boss", role="evidence_supervisor")) as boss:
        waiting = boss.get("/v1/exhibits", params={"settle": "true"}).json()["exhibits"]
        assert back.exhibit in [row["id"] for row in waiting]
    verified(site)


def test_more_of_a_part_that_is_gone(site: Site) -> None:
    """A recording of which a part was disposed of goes on: asked for anew from the start, and flagged."""
    key = site.begin(FILM[:1000], len(FILM), "r-1")
    part = site.awaited(sink(site).abandon(key))
    dispose(site, part.exhibit)
    state = site.awaited(sink(site).begin(RecordingOffer(key, "r-1.mp4", len(FILM))))
    assert isinstance(state, UploadState)
    assert state.durable == ()
    site.awaited(sink(site).keep(Segment(key, 0, FILM)))
    whole = site.awaited(sink(site).finish(RecordingFin(key, len(FILM))))
    assert {"late_segments", "disposed_before"} <= set(whole.flags)
    verified(site)


def test_the_same_film_of_another_camera(site: Site) -> None:
    """Only where the details are gone does the content alone speak; else another camera's recording is its own."""
    dispose(site, site.seal(FILM, "r-1").exhibit)
    other = RecordingKey(DeviceId("cam-0043"), "r-9")
    offer = RecordingOffer(other, "r-9.mp4", len(FILM), hashlib.sha256(FILM).hexdigest())
    assert isinstance(site.awaited(sink(site).begin(offer)), UploadState)
