"""Exhibits over HTTP: lists, whole recordings and ranges, what is not there, and what a damaged store still shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.domain.evidence import Act, RecordingFin, RecordingKey, RecordingOffer, Segment
from gateway.domain.ids import DeviceId, ExhibitId
from tests.api.site import Site, noise

CHUNK = 65_536
FILM = noise(3 * (1 << 20) + 12_345)


@pytest.fixture(scope="module")
def film(shared_site: Site) -> str:
    """An exhibit of some MiB."""
    return shared_site.seal(FILM).exhibit


@pytest.fixture
def officer(shared_site: Site) -> Iterator[httpx.Client]:
    """An evidence officer with a sitting of their own."""
    with shared_site.client(shared_site.token(user="officer", role="evidence_officer")) as client:
        yield client


def acts(site: Site, exhibit: str) -> list[tuple[str, str | None]]:
    """Kind and actor of every act on an exhibit, as a third party reads the catalogue."""
    chain = site.gateway.evidence.records.catalogue.custody(exhibit)
    return [(each.kind, each.actor) for each in chain]


def test_list_and_one(shared_site: Site, film: str, officer: httpx.Client) -> None:
    """What was sealed is listed with its facts."""
    page = officer.get("/v1/exhibits", params={"device": "cam-0042"}).json()
    row = next(each for each in page["exhibits"] if each["id"] == film)
    assert row == officer.get(f"/v1/exhibits/{film}").json() | {"n": row["n"], "prev": row["prev"]}
    assert row["sha256"] == hashlib.sha256(FILM).hexdigest()
    assert (row["size"], row["complete"], row["holder"], row["controller"]) == (len(FILM), True, "P-0014", "PCC")
    assert row["recording"] == "20261121T210503Z-0017"


def test_facets_and_pages(shared_site: Site, officer: httpx.Client) -> None:
    """Pages join without gaps or repeats; a facet that fits nothing gives nothing."""
    made = {shared_site.seal(noise(100, seed), f"page-{seed}", "cam-0099").exhibit for seed in range(5)}
    seen: list[str] = []
    after, pages = None, 0
    while pages == 0 or after is not None:
        query = {"limit": 2, "device": "cam-0099"} | ({"after": after} if after is not None else {})
        page = officer.get("/v1/exhibits", params=query).json()
        seen += [each["id"] for each in page["exhibits"]]
        after, pages = page["next"], pages + 1
        assert page["total"] == 5
    assert (set(seen), len(seen), pages) == (made, 5, 3)
    assert officer.get("/v1/exhibits?holder=P-0000").json()["exhibits"] == []
    assert officer.get("/v1/exhibits?device=cam-0099&complete=false").json()["total"] == 0
    assert officer.get("/v1/exhibits?device=cam-0099&controller=unassigned").json()["total"] == 5


def test_an_unknown_exhibit(officer: httpx.Client) -> None:
    """404 on every route, and nothing is on record."""
    for rest in ("", "/custody", "/proof", "/content"):
        assert officer.get(f"/v1/exhibits/X-0000000000000{rest}").status_code == 404


def test_the_whole(film: str, officer: httpx.Client) -> None:
    """Every byte, of the stated length and digest, not to be kept by caches."""
    response = officer.get(f"/v1/exhibits/{film}/content")
    assert (response.status_code, len(response.content)) == (200, len(FILM))
    assert hashlib.sha256(response.content).digest() == hashlib.sha256(FILM).digest()
    assert response.headers["Content-Length"] == str(len(FILM))
    assert response.headers["Content-Type"] == "video/mp4"
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=-5", len(FILM) - 5, len(FILM)),
        (f"bytes=-{len(FILM) * 2}", 0, len(FILM)),
        (f"bytes={CHUNK - 3}-{CHUNK + 3}", CHUNK - 3, CHUNK + 4),
        (f"bytes={CHUNK}-{2 * CHUNK - 1}", CHUNK, 2 * CHUNK),
        (f"bytes={(1 << 20) - 1}-{(1 << 20) + 1}", (1 << 20) - 1, (1 << 20) + 2),
        (f"bytes={len(FILM) - 1}-", len(FILM) - 1, len(FILM)),
        ("bytes=1000000-", 1_000_000, len(FILM)),
        (f"bytes=10-{len(FILM) * 2}", 10, len(FILM)),
        ("bytes=0-", 0, len(FILM)),
    ],
)
def test_one_range(film: str, officer: httpx.Client, asked: str, start: int, end: int) -> None:
    """206 with exactly those bytes (RFC 9110 section 14)."""
    response = officer.get(f"/v1/exhibits/{film}/content", headers={"Range": asked})
    assert response.status_code == 206
    assert response.content == FILM[start:end]
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(FILM)}"
    assert response.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "items=0-5", "bytes=-", "bytes=x-y", "bytes 0-5", "bytes=" + "9" * 5000 + "-"]
)
def test_what_is_no_single_range(film: str, officer: httpx.Client, asked: str) -> None:
    """Ignored: the whole, as 200."""
    response = officer.get(f"/v1/exhibits/{film}/content", headers={"Range": asked})
    assert (response.status_code, response.content == FILM) == (200, True)
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize("asked", [f"bytes={len(FILM)}-", f"bytes={10**12}-{10**12 + 5}", "bytes=-0", "bytes=7-3"])
def test_a_range_beyond_the_end(film: str, officer: httpx.Client, asked: str) -> None:
    """416 that tells the length."""
    response = officer.get(f"/v1/exhibits/{film}/content", headers={"Range": asked})
    assert response.status_code == 416
    assert response.headers["Content-Range"] == f"bytes */{len(FILM)}"
    assert response.headers["Content-Type"] == "application/problem+json"


def test_if_range(film: str, officer: httpx.Client) -> None:
    """A range of another version is none."""
    etag = officer.get(f"/v1/exhibits/{film}/content", headers={"Range": "bytes=0-0"}).headers["ETag"]
    headers = {"Range": "bytes=0-9", "If-Range": etag}
    assert officer.get(f"/v1/exhibits/{film}/content", headers=headers).content == FILM[:10]
    headers = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert officer.get(f"/v1/exhibits/{film}/content", headers=headers).status_code == 200


def test_pieces_join(film: str, officer: httpx.Client) -> None:
    """A player's walk through the file: every piece once, together the whole."""
    pieces, at = [], 0
    while at < len(FILM):
        headers = {"Range": f"bytes={at}-{at + 400_000}"}
        piece = officer.get(f"/v1/exhibits/{film}/content", headers=headers).content
        pieces.append(piece)
        at += len(piece)
    assert b"".join(pieces) == FILM


def test_an_empty_recording(shared_site: Site, officer: httpx.Client) -> None:
    """No bytes are a recording too; a range of it is none."""
    exhibit = shared_site.seal(b"", "empty").exhibit
    response = officer.get(f"/v1/exhibits/{exhibit}/content")
    assert (response.status_code, response.content) == (200, b"")
    assert officer.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": "bytes=0-"}).status_code == 416


# --- not there yet, not there any more


def test_unsealed(site: Site) -> None:
    """An upload under way is listed, and can be neither played nor proven; no viewing is on record for the refusal."""
    from gateway.domain.evidence import RecordingKey, RecordingOffer
    from gateway.domain.ids import DeviceId

    offer = RecordingOffer(RecordingKey(DeviceId("cam-0042"), "open"), "open.mp4", 1000)
    site.awaited(site.gateway.evidence.recordings.begin(offer))
    with site.client(site.token()) as client:
        (row,) = client.get("/v1/exhibits").json()["exhibits"]
        assert row["sealed_at"] is None
        for rest in ("content", "proof"):
            assert client.get(f"/v1/exhibits/{row['id']}/{rest}").status_code == 409
    assert [kind for kind, _ in acts(site, row["id"])] == ["receive"]


def test_disposed(site: Site) -> None:
    """410 for the recording; its facts, custody and proof stay."""
    exhibit = site.seal(b"film", "gone").exhibit
    site.disposed(exhibit, "key_destroy")
    with site.client(site.token()) as client:
        assert client.get(f"/v1/exhibits/{exhibit}/content").status_code == 410
    site.awaited(
        site.gateway.evidence.records.custody.record(Act("dispose", "s", ExhibitId(exhibit), {"disposal": "D-1"}))
    )
    with site.client(site.token()) as client:
        assert client.get(f"/v1/exhibits/{exhibit}/content").status_code == 410
        assert client.get(f"/v1/exhibits/{exhibit}").json()["disposed_at"] is not None
        assert client.get(f"/v1/exhibits/{exhibit}/proof").status_code == 200
        kinds = [each["kind"] for each in client.get(f"/v1/exhibits/{exhibit}/custody").json()["custody"]]
    assert kinds == ["receive", "seal", "dispose_request", "dispose_approve", "key_destroy", "dispose", "view"]


def test_a_changed_blob_is_cut_off(site: Site) -> None:
    """A byte flipped in the third MiB: what is good comes, then the connection ends; nothing false passes for film."""
    exhibit = site.seal(FILM, "flipped").exhibit
    (blob,) = (site.data / "evidence" / "blobs").rglob("*.age")
    content = bytearray(blob.read_bytes())
    content[2_500_000] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(content)
    got = b""
    with site.client(site.token()) as client:
        with (
            pytest.raises(httpx.HTTPError),
            client.stream("GET", f"/v1/exhibits/{exhibit}/content") as response,
        ):
            assert response.status_code == 200
            for piece in response.iter_raw():
                got += piece
        assert got == FILM[: len(got)]
        assert len(got) < 2_500_000
        response = client.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": "bytes=2490000-2500000"})
        assert response.status_code == 500
        assert "integrity" in response.json()["detail"]
        assert client.get(f"/v1/exhibits/{exhibit}/content", headers={"Range": "bytes=0-9"}).content == FILM[:10]


def test_an_instance_without_evidence(tmp_path: Path) -> None:
    """Positions only: evidence and log are 404, health does not miss them, the feed works."""
    with Site(tmp_path, evidence={"enabled": False}) as site, site.client(site.token()) as client:
        for path in ("/v1/exhibits", "/v1/exhibits/X/content", "/v1/log/checkpoint", "/v1/log/tile/0/000"):
            assert client.get(path).status_code == 404, path
        site.position()
        assert client.get("/v1/units").json()["features"]
        assert client.get("/ready").json()["state"] == "ok"
        assert client.post("/v1/session", json={"token": "wrong"}).status_code == 401


def test_a_damaged_store_shuts_evidence_and_not_the_feed(tmp_path: Path) -> None:
    """The log is not what was written: that half is down, says so, and the rest goes on."""
    with Site(tmp_path) as site:
        site.seal(b"film", "before")
        token = site.token()
    checkpoint = site.data / "evidence" / "log" / "checkpoint"
    checkpoint.write_text(checkpoint.read_text().replace("\n2\n", "\n1\n"))
    with Site(tmp_path) as site, site.client(token) as client:
        assert client.get("/ready/evidence").status_code == 503
        whole = client.get("/ready")
        assert (whole.status_code, whole.json()["state"]) == (200, "degraded")
        assert client.get("/ready/feed").status_code == 200
        assert client.get("/ready").json()["parts"]["evidence"] == "down"
        for path in ("/v1/exhibits", "/v1/log/checkpoint"):
            response = client.get(path)
            assert (response.status_code, "shut" in response.json()["detail"]) == (503, True)
        site.position()
        assert client.get("/v1/units").status_code == 200


@pytest.mark.parametrize(
    ("said", "served"),
    [
        ("video/webm", "video/webm"),
        ("audio/x-wav", "audio/x-wav"),
        ("image/jpeg", "image/jpeg"),
        ("text/html", "application/octet-stream"),
        ("text/javascript", "application/octet-stream"),
        ("image/svg+xml", "application/octet-stream"),
        ("video/mp4\r\nSet-Cookie: a=1", "application/octet-stream"),
        ("video/mp4; charset=\u20ac", "application/octet-stream"),
    ],
)
def test_a_camera_cannot_have_its_recording_run_in_the_page(
    shared_site: Site, officer: httpx.Client, said: str, served: str
) -> None:
    """What it calls its recording reaches a browser only where it is something to play."""
    key = RecordingKey(DeviceId("cam-0042"), f"called {said}"[:40])

    async def upload() -> str:
        sink = shared_site.gateway.evidence.recordings  # type: ignore[union-attr]
        await sink.begin(RecordingOffer(key, "x", 5, None, said))
        await sink.keep(Segment(key, 0, b"<scri"))
        sealed = await sink.finish(RecordingFin(key, 5))
        return sealed.exhibit  # type: ignore[union-attr]

    response = officer.get(f"/v1/exhibits/{shared_site.awaited(upload())}/content")
    assert (response.status_code, response.headers["Content-Type"]) == (200, served)
    assert "Set-Cookie" not in response.headers
    assert response.headers["X-Content-Type-Options"] == "nosniff"
