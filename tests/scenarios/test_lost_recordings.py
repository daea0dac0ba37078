"""Over a real broker: what cameras announce and never send is named; a camera that dies leaves a film that plays."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests import peers
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, mosquitto, until

DEVICE, NAME = "cam-0042", "20261121T210503Z-0017"
TOPIC = f"lapel/v1/camera/{DEVICE}"


def needs(program: str) -> str:
    """A program of this machine; said where it is missing."""
    return peers.program(program)


def publish(port: int, leaf: str, body: dict[str, Any], *, retain: bool = False) -> None:
    """As any MQTT client would, acknowledged by the broker."""
    words = ["-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", f"{TOPIC}/{leaf}", "-m", json.dumps(body)]
    subprocess.run([needs("mosquitto_pub"), *words, *(["-r"] if retain else [])], check=True, timeout=10)


def said(event: str, n: int, minutes_ago: float = 0.0, **more: Any) -> dict[str, Any]:
    """A camera's event."""
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    return {"v": 1, "at": at.isoformat(), "event": event, "n": n, **more}


@contextmanager
def running(folder: Path) -> Iterator[tuple[GatewayProcess, int, httpx.Client]]:
    """Gateway, broker's port, and somebody who may all."""
    with mosquitto(folder) as port:
        gateway = GatewayProcess(folder, configuration(folder / "data", port, store={"reserve_mb": 8}))
        token = None
        gateway.start().ready()
        try:
            token = gateway.token()
            (folder / "token").write_text(token)
            headers = {"Authorization": f"Bearer {token}"}
            with httpx.Client(base_url=gateway.address, headers=headers, trust_env=False) as client:
                until(lambda: _up(client), 15, "the camera input is up")
                yield gateway, port, client
        finally:
            gateway.kill()


def _up(client: httpx.Client) -> bool:
    return all(each["state"] == "up" for each in client.get("/v1/drivers").json()["inputs"].values())


def rows(client: httpx.Client, **asked: str) -> dict[int, dict[str, Any]]:
    """The list by number."""
    return {row["n"]: row for row in client.get("/v1/expected", params=asked).json()["expected"]}


def test_announced_skipped_and_docked(tmp_path: Path) -> None:
    """Events and a gap are on the list, survive kill -9, and are missing at once when the camera is docked."""
    with running(tmp_path) as (gateway, port, client):
        place = {"latitude": 52.5739, "longitude": -0.2403, "accuracy_m": 8}
        publish(port, "event", said("recording_started", 17, 20, recording=NAME, **place))
        publish(port, "event", said("recording_stopped", 17, 18, recording=NAME, stop_reason="button"))
        publish(port, "event", said("recording_started", 20, 5, recording="later"))
        until(lambda: set(rows(client)) == {17, 18, 19, 20}, 10, "all four are expected")
        assert {row["state"] for row in rows(client).values()} == {"waiting"}
        assert (rows(client)[17]["latitude"], rows(client)[18]["cause"]) == (52.5739, "gap")
        gateway.kill()
        gateway.start().ready()
        with httpx.Client(base_url=gateway.address, headers=client.headers, trust_env=False) as again:
            assert set(rows(again)) == {17, 18, 19, 20}
            until(lambda: _up(again), 15, "the camera input is up")
            status = {"v": 1, "at": datetime.now(UTC).isoformat(), "battery_pct": 12, "docked": True}
            publish(port, "status", status, retain=True)
            until(lambda: {row["state"] for row in rows(again).values()} == {"missing"}, 10, "all are missing")
            until(lambda: "lapel_cameras_recordings_missing 4.0" in again.get("/metrics").text, 15, "counted")
            listed = gateway.told("evidence", "expected")
            assert all(word in listed for word in (NAME, "missing", "52.57390, -0.24030", "4 missing or incomplete"))
            gateway.told("evidence", "settle-expected", str(rows(again)[18]["id"]), "--reason", "test press")
            assert set(rows(again)) == {17, 19, 20}
            assert gateway.lapel("evidence", "settle-expected", str(999), "--reason", "x").returncode == 1
            counts = json.loads(gateway.told("evidence", "expected", "--counts", "--json"))["counts"]
            assert sum(row["recorded"] for row in counts) == 4
            assert sum(row["missing"] for row in counts) == 3
    assert gateway.lapel("log", "verify").returncode == 0
    assert gateway.lapel("evidence", "verify", "--all").returncode == 0


def film(path: Path) -> Path:
    """Real video."""
    peers.package("av")
    words = ["--out", str(path), "--seconds", "2", "--mb", "2", "--device", DEVICE]
    subprocess.run([sys.executable, "-m", "firmware_stubs.video", *words], check=True, cwd=ROOT, timeout=60)
    return path


def upload(path: Path, port: int, data: Path, *more: str) -> list[dict[str, Any]]:
    """One camera's upload to its end; what it said."""
    words = ["--mqtt", f"127.0.0.1:{port}", "--device", DEVICE, "--recording", path, "--name", NAME]
    words += [
        "--state",
        path.with_suffix(".state"),
        "--vkey",
        data / "evidence/log/log.vkey",
        "--pace-kib",
        "1024",
        "--timeout",
        "30",
        *more,
    ]
    command = [sys.executable, "-m", "firmware_stubs.camera", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def frames(content: bytes, path: Path) -> int:
    """How many pictures ffprobe finds in it."""
    path.write_bytes(content)
    words = ["-v", "error", "-count_frames", "-select_streams", "v", "-show_entries", "stream=nb_read_frames"]
    done = subprocess.run(
        [needs("ffprobe"), *words, "-of", "csv=p=0", path], capture_output=True, text=True, timeout=30
    )
    return int(done.stdout.strip().split(",")[0] or 0)


def test_a_camera_smashed_at_70_percent(tmp_path: Path) -> None:
    """What came is sealed, plays, and says what is missing; found again, the whole recording stands in its place."""
    needs("ffprobe")
    path = film(tmp_path / "film.mp4")
    whole, size = frames(path.read_bytes(), tmp_path / "whole.mp4"), path.stat().st_size
    with running(tmp_path) as (gateway, port, client):
        publish(port, "event", said("recording_started", 17, 1, recording=NAME))
        (smashed,) = [
            each for each in upload(path, port, tmp_path / "data", "--smash-at", "0.7") if each["event"] == "smashed"
        ]
        assert 0.7 * size <= smashed["bytes"] < size
        until(lambda: rows(client)[17]["state"] == "uploading", 5, "it is known to be under way")
        words = ("--reason", "smashed", "--url", gateway.address, "--token-file", str(tmp_path / "token"))
        command = [sys.executable, "-m", "gateway", "evidence", "seal-incomplete", DEVICE, NAME, *words]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        until(lambda: rows(client)[17]["state"] == "incomplete", 5, "it is incomplete")
        row = rows(client)[17]
        assert row["missing"] == [[smashed["bytes"], size]]
        assert row["exhibit"] in done.stdout
        part = client.get(f"/v1/exhibits/{row['exhibit']}/content").content
        assert part == path.read_bytes()[: smashed["bytes"]]
        assert 0.5 * whole < frames(part, tmp_path / "part.mp4") < whole
        again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert (again.returncode, "404" in again.stderr) == (1, True)
        summary = upload(path, port, tmp_path / "data")[-1]
        assert (summary["state"], summary["violations"]) == ("receipted", [])
        until(lambda: 17 not in rows(client), 5, "it has come")
        row = rows(client, all="true")[17]
        assert (row["state"], row["exhibit"]) == ("sealed", summary["exhibit"])
        found = client.get(f"/v1/exhibits/{row['exhibit']}").json()
        assert (found["complete"], found["supersedes"] is not None) == (True, True)
    assert gateway.lapel("evidence", "verify", "--all").returncode == 0
