"""`lapel evidence expected`, `settle-expected`, `seal-incomplete`: over a store at rest, and told what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.domain.cameras import Told
from gateway.evidence.awaited import Limits
from gateway.store.cameras import CameraStore
from tests.cli.conftest import Lapel

LONG_AGO = datetime.now(UTC) - timedelta(days=2)


@pytest.fixture
def waiting(store: Path) -> Path:
    """A store in which one recording never came, and one that did was announced."""
    cameras = CameraStore(store / "cameras.db", Limits())
    cameras.open()
    place = {"latitude": 52.5739, "longitude": -0.2403}
    lost = Told("cam-0042", "recording_started", {"recording": "lost", "n": 3, **place}, LONG_AGO, LONG_AGO)
    came = {"recording": "20261121T210503Z-0017", "n": 4}
    cameras.write([lost, Told("cam-0042", "recording_started", came, LONG_AGO, LONG_AGO + timedelta(minutes=5))])
    cameras.close()
    return store


def test_listed_settled_and_kept(lapel: Lapel, waiting: Path) -> None:
    """The log is looked at first; settled it leaves the list and stays in the store, on record."""
    listed = lapel("evidence", "expected", "--data", waiting)
    assert (listed.code, "1 missing or incomplete, 1 listed" in listed.out) == (0, True)
    assert all(word in listed.out for word in ("cam-0042", "lost", "P-0014", "52.57390, -0.24030"))
    (row,) = lapel("evidence", "expected", "--data", waiting, "--json").json["expected"]
    assert (row["state"], row["holder"]) == ("missing", "P-0014")
    settled = lapel("evidence", "settle-expected", row["id"], "--reason", "lens cap on", "--data", waiting, "--json")
    assert settled.json["expected"][0]["settled_by"].startswith("cli:")
    assert lapel("evidence", "expected", "--data", waiting, "--json").json["expected"] == []
    every = lapel("evidence", "expected", "--all", "--data", waiting, "--json").json["expected"]
    assert {each["recording"]: each["state"] for each in every} == {
        "20261121T210503Z-0017": "sealed",
        "lost": "settled",
    }
    again = lapel("evidence", "settle-expected", row["id"], "--reason", "x", "--data", waiting)
    assert (again.code, "settled already" in again.err) == (1, True)
    assert lapel("log", "verify", "--data", waiting).code == 0
    assert lapel("evidence", "verify", "--data", waiting).code == 0


def test_counts(lapel: Lapel, waiting: Path) -> None:
    """Of each UTC day and camera."""
    body = lapel("evidence", "expected", "--counts", "--device", "cam-0042", "--data", waiting, "--json").json
    assert body["zone"] == "UTC"
    day = next(row for row in body["counts"] if row["day"] == LONG_AGO.date().isoformat())
    assert (day["missing"], day["settled"]) == (1, 0)
    assert "recorded" in lapel("evidence", "expected", "--counts", "--data", waiting).out


def test_usage(lapel: Lapel, waiting: Path, tmp_path: Path) -> None:
    """What is wrong is said, with the exit code of its kind."""
    assert lapel("evidence", "settle-expected", "1", "--reason", " ", "--data", waiting).code == 2
    assert lapel("evidence", "settle-expected", "0", "--reason", "x", "--data", waiting).code == 2
    gone = lapel("evidence", "settle-expected", "999", "--reason", "x", "--data", waiting)
    assert (gone.code, "999" in gone.err) == (1, True)
    token = tmp_path / "token"
    token.write_text("x")
    words = ("evidence", "seal-incomplete", "cam-1", "r", "--reason", "x", "--token-file", token)
    assert lapel(*words, "--url", "ftp://here").code == 2
    nobody = lapel(*words, "--url", "http://127.0.0.1:9")
    assert (nobody.code, "no gateway answers" in nobody.err) == (1, True)
