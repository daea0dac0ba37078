"""Thumbnails and media facts over HTTP: who may, what is on record, and what is not there."""

from __future__ import annotations

import httpx
import pytest

from gateway.domain.ids import ExhibitId
from tests.api.site import JPEG, Site, noise


@pytest.fixture(scope="module")
def film(shared_site: Site) -> str:
    """An exhibit that was examined."""
    exhibit = shared_site.seal(noise(5_000), "examined").exhibit
    found = {"container": "mp4", "codecs": ["h264", "aac"], "duration_s": 97.04, "playable": "partial"}
    shared_site.examined(
        exhibit, **found, media_reason="ends_early", media_created_at="2026-11-21T21:05:03Z", tool="ffprobe 9"
    )
    return exhibit


def officer(site: Site, name: str, role: str = "evidence_officer") -> httpx.Client:
    """Somebody with a session of their own."""
    return site.client(site.token(user=name, role=role))


def viewings(site: Site, exhibit: str, actor: str) -> list[str]:
    """What this person's looking has left in the custody."""
    chain = site.gateway.evidence.records.catalogue.custody(exhibit)  # type: ignore[union-attr]
    return [each.kind for each in chain if each.actor == actor]


def test_facts(shared_site: Site, film: str) -> None:
    """In the list and on its own; a facet finds them; a word that is none is refused."""
    with officer(shared_site, "o1") as client:
        row = client.get(f"/v1/exhibits/{film}").json()
        assert (row["container"], row["codecs"], row["duration_s"]) == ("mp4", ["h264", "aac"], 97.04)
        assert (row["playable"], row["media_reason"]) == ("partial", "ends_early")
        assert row["media_created_at"].startswith("2026-11-21T21:05:03")
        assert film in {each["id"] for each in client.get("/v1/exhibits?playable=partial").json()["exhibits"]}
        assert client.get("/v1/exhibits?playable=unplayable").json()["total"] == 0
        assert client.get("/v1/exhibits?playable=perhaps").status_code == 400


def test_the_picture(shared_site: Site, film: str) -> None:
    """A JPEG that no cache keeps; one `view` a sitting where no list is being looked at."""
    with officer(shared_site, "o2") as client:
        for _ in range(3):
            answer = client.get(f"/v1/exhibits/{film}/thumbnail")
            assert (answer.status_code, answer.content) == (200, JPEG)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert viewings(shared_site, film, "o2") == ["view"]


def test_pictures_on_a_list_are_part_of_it(shared_site: Site, film: str) -> None:
    """The `browse` entry is theirs too: fifty stills are not fifty viewings. Another session is another sitting."""
    with officer(shared_site, "o3") as client:
        client.get("/v1/exhibits")
        assert client.get(f"/v1/exhibits/{film}/thumbnail").content == JPEG
    assert viewings(shared_site, film, "o3") == []
    with officer(shared_site, "o3") as client:
        client.get(f"/v1/exhibits/{film}/thumbnail")
    assert viewings(shared_site, film, "o3") == ["view"]


def test_who_may(shared_site: Site, film: str) -> None:
    """As the recording itself: who may read facts alone sees no picture, and leaves no entry."""
    with officer(shared_site, "a1", "auditor") as client:
        assert client.get(f"/v1/exhibits/{film}/thumbnail").status_code == 403
    with shared_site.client() as client:
        assert client.get(f"/v1/exhibits/{film}/thumbnail").status_code == 401
    assert viewings(shared_site, film, "a1") == []


def test_what_is_not_there(shared_site: Site) -> None:
    """Not examined, lost, disposed of, unknown: each says so, and none is a viewing but what was there to see."""
    plain = shared_site.seal(noise(900), "not-examined").exhibit
    lost = shared_site.seal(noise(901), "lost").exhibit
    gone = shared_site.seal(noise(902), "gone").exhibit
    for exhibit in (lost, gone):
        shared_site.examined(exhibit)
    records = shared_site.gateway.evidence.records  # type: ignore[union-attr]
    records.thumbnails.path(ExhibitId(lost)).unlink()
    shared_site.disposed(gone, "key_destroy")
    with officer(shared_site, "o4") as client:
        codes = [client.get(f"/v1/exhibits/{each}/thumbnail").status_code for each in (plain, lost, gone, "X-0")]
    assert codes == [404, 404, 410, 404]
    assert viewings(shared_site, plain, "o4") == viewings(shared_site, gone, "o4") == []


def test_a_machine_without_video_tools_is_not_degraded(tmp_path) -> None:
    """`off` with its reason in /ready; evidence and state are ok; metrics are there."""
    with Site(tmp_path, media={"enabled": True, "ffprobe": "no-such-ffprobe"}) as site:
        sealed = site.seal(noise(500))
        with site.client(site.token()) as client:
            for _ in range(200):
                answer = client.get("/ready").json()
                if answer["parts"]["media"] != "ok":
                    break
            assert answer["parts"]["media"] == "off: no-such-ffprobe not found"
            assert (answer["state"], answer["parts"]["evidence"]) == ("ok", "ok")
            assert client.get(f"/v1/exhibits/{sealed.exhibit}").json()["playable"] is None
            assert "lapel_media_examined 0.0" in client.get("/metrics").text
