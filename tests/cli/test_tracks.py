"""`lapel tracks export` and `lapel replay`: files as others read them, and an exercise that nobody takes for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import httpx
import pytest

from gateway.domain.time import rfc3339
from gateway.feed.past import moment
from gateway.store.accounts import Account, Accounts
from gateway.store.roster import RosterStore
from gateway.store.tracks import TrackStore
from tests.cli.conftest import ROOT, Lapel
from tests.feed.past import NOON_MS, fix

NOON = rfc3339(moment(NOON_MS))
LATER = rfc3339(moment(NOON_MS + 3_600_000))
SPAN = ("--from", NOON, "--to", LATER)
EXPORT = ("tracks", "export", "--unit", "PCC.CSO-014", *SPAN)
GPX = "{http://www.topografix.com/GPX/1/1}"


def walked(data: Path, seconds: int = 60) -> None:
    """A unit that walked for so long, with an outlier."""
    store = TrackStore(data / "tracks")
    walk = [fix(number, 52.57 + number * 1e-5) for number in range(seconds)]
    store.add([*walk[:6], fix(5.5, 53.0, mark="held"), *walk[6:]])
    store.close()


@pytest.fixture
def data(bare: Path) -> Path:
    """A store with a track."""
    walked(bare)
    return bare


@pytest.fixture
def config(data: Path, tmp_path: Path) -> Path:
    """A configuration for it."""
    file = tmp_path / "lapel.toml"
    file.write_text(f'[gateway]\ndata = "{data}"\n[feed]\ntick_ms = 20\n[evidence]\nenabled = false\n')
    return file


def test_geojson_to_standard_output(lapel: Lapel, data: Path) -> None:
    """The whole span, outliers beside the line."""
    done = lapel(*EXPORT, "--data", data)
    assert (done.code, done.err) == (0, "")
    assert len(done.json["features"][0]["geometry"]["coordinates"]) == 60
    assert done.json["features"][1]["properties"]["mark"] == "held"


def test_gpx_to_a_file(lapel: Lapel, data: Path, tmp_path: Path) -> None:
    """Simplified: a straight is its ends; nothing half-written beside it."""
    out = tmp_path / "out"
    out.mkdir()
    done = lapel(*EXPORT, "--format", "gpx", "--simplify-m", "3", "-o", out / "walk.gpx", "--data", data)
    assert (done.code, done.out) == (0, "")
    assert "2 places, 1 outliers, of 61 fixes" in done.err
    assert len(list(ET.parse(out / "walk.gpx").iter(f"{GPX}trkpt"))) == 2
    assert [path.name for path in out.iterdir()] == ["walk.gpx"]


def test_nothing_to_export(lapel: Lapel, data: Path) -> None:
    """Exit 1 in words where there is no track, 2 for what is no question."""
    none = lapel("tracks", "export", "--unit", "PCC.CSO-015", *SPAN, "--data", data)
    assert (none.code, none.out) == (1, "")
    assert "there is no track of PCC.CSO-015" in none.err
    assert lapel("tracks", "export", "--unit", "U", "--from", LATER, "--to", NOON, "--data", data).code == 2
    assert lapel("tracks", "export", "--unit", "U", "--from", "soon", "--data", data).code == 2
    assert lapel("tracks", "export", "--from", NOON, "--data", data).code == 2


def test_an_export_is_on_record(lapel: Lapel, store: Path) -> None:
    """An entry of the log with the purpose; the log stays whole."""
    walked(store)
    assert lapel(*EXPORT, "--purpose", "complaint 7", "--data", store).code == 0
    span = ("--from", "2026-01-01T00:00:00Z", "--to", "2099-01-01T00:00:00Z")
    audit = lapel("evidence", "audit", "--purpose", "test", *span, "--data", store, "--json")
    (act,) = [each for verb in audit.json["verbs"] for each in verb["acts"] if each["justification"] == "complaint 7"]
    assert (act["kind"], act["exhibit"]) == ("view", None)
    assert act["actor"].startswith("cli:")
    assert lapel("log", "verify", "--data", store).code == 0


def test_what_is_destroyed_in_the_journal_is_gone_here_too(lapel: Lapel, store: Path) -> None:
    """`lapel history delete` reaches position history, also where the journal holds nothing any more."""
    walked(store)
    words = ("--reason", "order", "--by", "P-0014", "--approved-by", "P-0015", "--data", store, "--json")
    elsewhere = ("--from", "2026-11-20T00:00:00Z", "--to", "2026-11-20T01:00:00Z")
    assert lapel("history", "delete", "--device", "bcn-14", *elsewhere, *words).json["positions"] == 0
    done = lapel("history", "delete", "--device", "bcn-14", *SPAN, *words)
    assert done.code == 0
    assert done.json["positions"] == 61
    assert lapel(*EXPORT, "--data", store).code == 1


def test_replay_to_the_end(lapel: Lapel, config: Path) -> None:
    """As fast as asked, exit 0, and what became of each."""
    done = lapel("replay", "-c", config, *SPAN, "--speed", "1000", "--port", "0", "--json")
    assert done.code == 0
    assert done.json["fixes"] == 61
    assert done.json["outcomes"] == {"live": 60, "held": 1}
    assert "exercise: http://127.0.0.1:" in done.err


def test_replay_usage(lapel: Lapel, config: Path) -> None:
    """Exit 2."""
    assert lapel("replay", "-c", config, "--from", LATER, "--to", NOON).code == 2
    assert lapel("replay", "-c", config, *SPAN, "--speed", "0").code == 2
    assert lapel("replay", "-c", config.with_name("none.toml"), *SPAN).code == 2


def test_replay_as_a_consumer_sees_it(config: Path, data: Path) -> None:
    """A process of its own, a stock HTTP client: every event says exercise, the unit walks, nothing can be set."""
    before = sorted(path.name for path in data.iterdir() if path.suffix not in (".db-wal", ".db-shm"))
    token = issued(data)
    command = [sys.executable, "-m", "gateway", "replay", "-c", str(config), *SPAN, "--port", "0", "--hold"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [*command, "--speed", "20"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stderr is not None
        url = ""
        for line in running.stderr:
            if found := re.search(r"exercise: (http://[^/]+)/", line):
                url = found[1]
                break
        try:
            seen = looked(url, token)
        finally:
            running.terminate()
            assert running.wait(10) == 0
    assert len(seen) >= 3
    assert all(each["exercise"] is True for each in seen)
    latitudes = [each["geometry"]["coordinates"][1] for each in seen if each.get("geometry")]
    assert latitudes == sorted(latitudes)
    after = sorted(path.name for path in data.iterdir() if path.suffix not in (".db-wal", ".db-shm"))
    assert after == before


def issued(data: Path) -> str:
    """A token of the gateway's own accounts."""
    store = RosterStore(data / "roster.db")
    accounts = Accounts(store.engine)
    accounts.add(Account("tester", "tester", ("administrator",)))
    token = accounts.issue("tester", (), "test", 1)[1]
    store.close()
    return token


def looked(url: str, token: str) -> list[dict[str, Any]]:
    """What a client sees: refused without a token, no route that sets anything, then some events."""
    with httpx.Client(base_url=url, timeout=10, trust_env=False) as client:
        assert client.get("/v1/units").status_code == 401
        client.headers["Authorization"] = f"Bearer {token}"
        assert client.get("/v1/units").json()["exercise"] is True
        assert client.put("/v1/units/PCC.CSO-014/duty", json={"code": 2}).status_code in (404, 405)
        assert client.post("/v1/tasks", json={}).status_code == 404
        seen: list[dict[str, Any]] = []
        with client.stream("GET", "/v1/feed") as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    seen.append(json.loads(line.removeprefix("data: ")))
                if len(seen) >= 8:
                    break
        return seen
