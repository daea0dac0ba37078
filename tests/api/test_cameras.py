"""Recordings that should come, over HTTP: the list, its settlement, counts, tracks, what cameras say of themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from gateway.domain.evidence import RecordingOffer
from gateway.domain.time import Instant
from tests.api.site import Site, noise

GPX = "{http://www.topografix.com/GPX/1/1}"
DAY_S = 86_400.0


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """A gateway of one's own: counts are of this test alone."""
    with Site(tmp_path / "own") as opened:
        yield opened


@pytest.fixture
def officer(site: Site) -> Iterator[httpx.Client]:
    """An evidence officer."""
    with site.client(site.token(user="officer", role="evidence_officer")) as client:
        yield client


def listed(client: httpx.Client, **asked: Any) -> list[dict[str, Any]]:
    """The list."""
    answer = client.get("/v1/expected", params=asked)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["expected"])


def test_missing_after_a_day_with_holder_place_and_time(site: Site, officer: httpx.Client) -> None:
    """One of yesterday is missing, one of now is waited for; the one that came is on neither."""
    site.seal(noise(100), "came")
    site.tell("recording_started", recording="came", n=1, age_s=2 * DAY_S)
    place = {"latitude": 52.5739, "longitude": -0.2403, "accuracy_m": 8}
    site.tell("recording_started", recording="gone", n=2, age_s=2 * DAY_S - 60, trigger="button", **place)
    site.tell("recording_started", recording="now", n=3)
    site.looked()
    rows = {row["recording"]: row for row in listed(officer)}
    assert {name: row["state"] for name, row in rows.items()} == {"gone": "missing", "now": "waiting"}
    gone = rows["gone"]
    assert (gone["holder"], gone["latitude"], gone["longitude"], gone["n"]) == ("P-0014", 52.5739, -0.2403, 2)
    assert gone["started_at"] < rows["now"]["started_at"]
    every = {row["recording"]: row["state"] for row in listed(officer, all="true")}
    assert every["came"] == "sealed"
    metrics = officer.get("/metrics").text
    assert "lapel_cameras_recordings_missing 1.0" in metrics
    assert "lapel_cameras_recordings_waiting 1.0" in metrics


def test_a_gap_in_the_counter_is_missing_and_comes_late(site: Site, officer: httpx.Client) -> None:
    """By its number in user_data; nobody had told of its name."""
    site.tell("recording_started", recording="r1", n=1, age_s=300)
    site.tell("recording_started", recording="r3", n=3)
    gap = next(row for row in listed(officer) if row["cause"] == "gap")
    assert (gap["n"], gap["recording"], gap["holder"]) == (2, None, "P-0014")
    sealed = site.seal(noise(100), "r2", user_data={"n": 2}, started_at=datetime.now(UTC))
    site.looked()
    assert gap["id"] not in {row["id"] for row in listed(officer)}
    row = next(row for row in listed(officer, all="true") if row["id"] == gap["id"])
    assert (row["state"], row["recording"], row["exhibit"]) == ("sealed", "r2", sealed.exhibit)


def test_docked_is_missing_at_once(site: Site, officer: httpx.Client) -> None:
    """The camera says that it is docked, or a dock has brought another recording of it."""
    site.tell("recording_started", recording="one", n=1, age_s=60)
    site.tell("status", docked=True, battery_pct=80)
    assert [row["state"] for row in listed(officer)] == ["missing"]
    site.tell("recording_started", "cam-0099", recording="two", n=1, age_s=60)
    site.seal(noise(10), "three", "cam-0099", via="dock-1")
    site.looked()
    assert [row["state"] for row in listed(officer, device="cam-0099")] == ["missing"]


def test_settled_by_name_with_reason_and_on_record(site: Site, officer: httpx.Client) -> None:
    """The row stays; it is in the log; twice is a conflict; without a reason or the right it is refused."""
    site.tell("recording_started", recording="crushed", n=1, age_s=2 * DAY_S)
    (row,) = listed(officer)
    path = f"/v1/expected/{row['id']}/settle"
    assert officer.post(path, json={"reason": " "}).status_code == 400
    with site.client(site.token(user="auditor", role="auditor")) as auditor:
        assert auditor.post(path, json={"reason": "x"}).status_code == 403
    settled = officer.post(path, json={"reason": "Camera crushed, see incident 7"})
    assert settled.status_code == 200, settled.text
    assert (settled.json()["state"], settled.json()["settled_by"]) == ("settled", "officer")
    assert officer.post(path, json={"reason": "again"}).status_code == 409
    assert officer.post("/v1/expected/99/settle", json={"reason": "x"}).status_code == 404
    assert officer.post("/v1/expected/x/settle", json={"reason": "x"}).status_code == 404
    assert listed(officer) == []
    assert [each["state"] for each in listed(officer, all="true")] == ["settled"]
    records = site.gateway.evidence.records  # type: ignore[union-attr]
    index = next(number for number in range(records.custody.size) if records.catalogue.entry(number).kind == "review")
    detail, _ = records.custody.detail(index)
    assert (detail["actor"], detail["recording"], detail["reason"][:14]) == ("officer", "crushed", "Camera crushed")
    assert b"crushed" not in records.custody.leaf(index)
    site.seal(noise(100), "crushed")
    site.looked()
    (late,) = listed(officer, all="true")
    assert (late["state"], late["settled_by"]) == ("sealed", "officer")


def test_kept_over_a_restart(tmp_path: Path) -> None:
    """Status, list and settlement."""
    with Site(tmp_path / "own") as site:
        site.tell("recording_started", recording="one", n=1)
        site.tell("status", battery_pct=9, firmware="2.4.1", clock={"source": "none"}, recordings_held=3)
    with Site(tmp_path / "own") as site, site.client(site.token()) as client:
        assert [row["recording"] for row in listed(client)] == ["one"]
        rows = {row["device"]["id"]: row["status"] for row in client.get("/v1/devices").json()["devices"]}
        assert rows["bcn-14"] is None
        told = rows["cam-0042"]
        assert (told["battery_pct"], told["firmware"], told["recordings_held"]) == (9, "2.4.1", 3)
        assert told["doubts"] == ["battery_low", "clock_doubtful"]
        site.looked()
        metrics = client.get("/metrics").text
        assert "lapel_cameras_battery_low 1.0" in metrics
        assert "lapel_cameras_clock_doubtful 1.0" in metrics


def test_daily_counts(site: Site, officer: httpx.Client) -> None:
    """Recorded, received, sealed, missing, settled, by the UTC day of the recording."""
    for n, name in enumerate(("sealed", "half", "lost", "settled"), 1):
        site.tell("recording_started", recording=name, n=n, age_s=3 * DAY_S - n)
    site.seal(noise(50), "sealed")
    site.begin(noise(100), 1000, "half")
    number = next(row["id"] for row in listed(officer) if row["recording"] == "settled")
    assert officer.post(f"/v1/expected/{number}/settle", json={"reason": "r"}).status_code == 200
    site.looked()
    rows = officer.get("/v1/expected/counts", params={"device": "cam-0042"}).json()
    total = {name: sum(row[name] for row in rows["counts"]) for name in ("recorded", "received", "sealed", "missing")}
    assert (rows["zone"], total) == ("UTC", {"recorded": 4, "received": 2, "sealed": 1, "missing": 1})
    assert officer.get("/v1/expected/counts?from=2026-01-02&to=2026-01-01").status_code == 422


def test_a_recording_nobody_announced_is_counted(site: Site, officer: httpx.Client) -> None:
    """Recorded, received and sealed on the day that it began."""
    site.seal(noise(50), "of-itself")
    site.looked()
    rows = officer.get("/v1/expected/counts?from=2026-11-21&to=2026-11-21").json()["counts"]
    assert rows == [
        {
            "day": "2026-11-21",
            "device": "cam-0042",
            "recorded": 1,
            "received": 1,
            "sealed": 1,
            "missing": 0,
            "settled": 0,
        }
    ]


def test_a_recording_asked_for_goes_first(site: Site, officer: httpx.Client) -> None:
    """Until it is sealed; of a camera that nobody knows there is nothing to ask for."""
    film = noise(3_000_000)
    key = site.begin(film[:2_100_000], len(film), "asked-for")
    shares = site.gateway.evidence.recordings.shares
    assert not shares.first(RecordingOffer(key, "asked-for"))
    answer = officer.post("/v1/uploads/want", json={"device": "cam-0042", "recording": "asked-for"})
    assert (answer.status_code, answer.json()["wanted"]) == (200, True)
    assert shares.first(RecordingOffer(key, "asked-for"))
    assert officer.post("/v1/uploads/want", json={"device": "cam-none", "recording": "r"}).status_code == 404
    assert officer.post("/v1/uploads/want", json={"device": "cam-0042"}).status_code == 400


def test_a_camera_that_never_returns_is_sealed_now(site: Site, officer: httpx.Client) -> None:
    """What came is an exhibit that says what is missing; who asked is on record; late footage adds an exhibit."""
    film = noise(3_000_000)
    site.tell("recording_started", recording="smashed", n=1)
    key = site.begin(film[:2_100_000], len(film), "smashed")
    assert [row["state"] for row in listed(officer)] == ["uploading"]
    body = {"device": "cam-0042", "recording": "smashed", "reason": "Camera smashed"}
    assert officer.post("/v1/uploads/seal", json={**body, "reason": ""}).status_code == 400
    exhibit = officer.post("/v1/uploads/seal", json=body).json()["exhibit"]
    assert officer.post("/v1/uploads/seal", json=body).status_code == 404
    site.looked()
    (row,) = listed(officer)
    assert (row["state"], row["exhibit"], row["missing"]) == ("incomplete", exhibit, [[2_100_000, 3_000_000]])
    chain = officer.get(f"/v1/exhibits/{exhibit}/custody").json()["custody"]
    assert [(each["kind"], each["actor"]) for each in chain][:3] == [
        ("receive", "system"),
        ("review", "officer"),
        ("seal", "system"),
    ]
    assert officer.get(f"/v1/exhibits/{exhibit}/content").content == film[:2_100_000]
    whole = site.seal(film, key.recording)
    site.looked()
    (late,) = listed(officer, all="true")
    assert (late["state"], late["exhibit"]) == ("sealed", whole.exhibit)
    assert whole.exhibit != exhibit
    assert whole.flags == ("late_segments",)
    assert officer.get(f"/v1/exhibits/{exhibit}").json()["superseded_by"] == whole.exhibit
    assert officer.get(f"/v1/exhibits/{whole.exhibit}").json()["supersedes"] == exhibit


def test_a_camera_that_nobody_waits_for_any_more(site: Site, officer: httpx.Client) -> None:
    """After `resume_days` what came is sealed by itself, and the list says what is missing of it."""
    site.tell("recording_started", recording="left", n=1)
    key = site.begin(noise(700_000), 1_000_000, "left")
    sink = site.gateway.evidence.recordings  # type: ignore[union-attr]
    upload = sink._uploads[key]
    upload.heard = Instant(upload.heard.mono_s, upload.heard.utc - timedelta(days=36))
    assert site.awaited(sink.expire()) == 1
    site.looked()
    (row,) = listed(officer)
    assert (row["state"], row["missing"]) == ("incomplete", [[700_000, 1_000_000]])


# --- tracks

LINE = {"type": "LineString", "coordinates": [[-0.24, 52.57, 11], [-0.25, 52.58, 12.5]]}
TIMES = ["2026-11-21T21:05:03Z", "2026-11-21T21:05:33Z"]
FEATURE = {"type": "Feature", "geometry": LINE, "properties": {"coordTimes": TIMES}}
TRAIL = {
    "CoordinateEntries": [
        {"LocationWKT": "POINT(-0.24 52.57)", "SecondsFromStart": 0.0},
        {"LocationWKT": "POINT(-0.25 52.58)", "SecondsFromStart": 30.0, "Timestamp": "2026-11-21T21:05:33Z"},
    ]
}


@pytest.mark.parametrize("track", [FEATURE, TRAIL], ids=["geojson", "axis"])
def test_the_track_of_an_exhibit(site: Site, officer: httpx.Client, track: dict[str, Any]) -> None:
    """From `init`, as GeoJSON and GPX, and in clear nowhere in the log; a viewing is on record first."""
    sealed = site.seal(noise(50), user_data={"track": track})
    path = f"/v1/exhibits/{sealed.exhibit}/track"
    answer = officer.get(path)
    assert answer.headers["Content-Type"] == "application/geo+json"
    body = answer.json()
    assert [place[:2] for place in body["geometry"]["coordinates"]] == [[-0.24, 52.57], [-0.25, 52.58]]
    assert body["properties"]["coordTimes"] == TIMES
    gpx = officer.get(path, params={"format": "gpx"})
    assert gpx.headers["Content-Type"] == "application/gpx+xml"
    found = ET.fromstring(gpx.text).findall(f".//{GPX}trkpt")
    assert [(float(each.attrib["lat"]), each.findtext(f"{GPX}time")) for each in found] == [
        (52.57, TIMES[0]),
        (52.58, TIMES[1]),
    ]
    chain = officer.get(f"/v1/exhibits/{sealed.exhibit}/custody").json()["custody"]
    assert ("view", "officer") in [(each["kind"], each["actor"]) for each in chain]
    with site.client(site.token(user="auditor", role="auditor")) as auditor:
        assert auditor.get(path).status_code == 403
    for file in (site.data / "evidence").rglob("*"):
        assert not file.is_file() or b"POINT(" not in file.read_bytes()
        assert not file.is_file() or b"coordinates" not in file.read_bytes()


def test_a_side_file_is_the_track(site: Site, officer: httpx.Client) -> None:
    """Named as Axis names it, or saying whose it is; it stands for no recording."""
    film = site.seal(noise(50), "17")
    assert officer.get(f"/v1/exhibits/{film.exhibit}/track").status_code == 404
    content = json.dumps(TRAIL).encode()
    site.seal(content, "side", name="20261121_210503_17_B8A44F_gpstrail.json", content_type="application/json")
    other = site.seal(noise(60), "18")
    site.seal(json.dumps(FEATURE).encode(), "side-2", user_data={"sidecar_of": "18"})
    site.looked()
    for exhibit in (film.exhibit, other.exhibit):
        body = officer.get(f"/v1/exhibits/{exhibit}/track").json()
        assert body["properties"]["coordTimes"] == TIMES


@pytest.mark.parametrize("track", ["gone", {"type": "LineString", "coordinates": [["x", 1]]}, {}, [1]])
def test_a_malformed_track_refuses_no_footage(site: Site, officer: httpx.Client, track: object) -> None:
    """The recording is sealed, the words are kept, and the reason is said."""
    sealed = site.seal(noise(50), user_data={"track": track})
    answer = officer.get(f"/v1/exhibits/{sealed.exhibit}/track")
    assert answer.status_code == 422
    assert "kept as it came" in answer.json()["detail"]
    detail, _ = site.gateway.evidence.records.custody.detail(sealed.log_index)  # type: ignore[union-attr]
    assert detail["user_data"]["track"] == track
