"""kill -9 while copies are made; the camera keeps its copy until they are; the first disk dies; the copy takes over."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.faults.camera_process import CameraProcess, footage
from tests.faults.sealed_once import camera_content, never_forked, sealed_once, verifies
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, free_port, until

KILLS = int(os.environ.get("LAPEL_COPY_KILLS", "4"))
SEED = int(os.environ.get("LAPEL_SEED", "20261122"))
OCTETS = 9_000_000


def settings(data: Path, port: int, second: Path, **more) -> str:
    """A gateway with a second place, slow enough to be killed in the middle of a copy."""
    store = {"reserve_mb": 8, "copies": 2, "copy_to": [str(second)], "copy_mb_s": 6}
    return configuration(data, port, embedded=True, store=store, media={"enabled": False}, **more)


def lapel(*words: object) -> subprocess.CompletedProcess[bytes]:
    """A command without a configuration."""
    line = [sys.executable, "-m", "gateway", *map(str, words)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_killed_again_and_again_then_the_first_disk_dies(tmp_path):
    """From the first byte to the store that the copy has become; nothing that was receipted is gone."""
    data, second, port, chance = tmp_path / "data", tmp_path / "second", free_port(), random.Random(SEED)
    second.mkdir()
    gateway = GatewayProcess(tmp_path, settings(data, port, second, evidence={"keys": str(tmp_path / "keys")}))
    gateway.start().ready()
    film = footage(tmp_path / "20261121T210503Z-0001.mp4", OCTETS, SEED)
    camera = CameraProcess(film, port, data / "evidence/log/log.vkey", pace_kib=16_000, more=("--habit", "waits"))
    try:
        camera.waits_for(lambda: camera.receipted, 60, "a receipt")
        first = camera.of("receipt")[0]
        assert (first["copies"], first["keep_until"]) == (1, "9999-12-31T23:59:59Z"), "it is to keep its copy"
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 1.2))
            gateway.kill()
            gateway.start().ready()
        summary = camera_content(camera)
        assert camera.of("receipt_renewed")[-1]["copies"] == 2
        assert camera.kept_receipt["copies"] == 2
        assert summary["deletable"], "its copies are verified: the time is over"
        row = sealed_once(gateway, film, tmp_path)
        until(lambda: _level(data, second), 30, "the log is copied")
        done = gateway.lapel("evidence", "verify", "--all", "--copy", str(second), "--json")
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        assert json.loads(done.stdout)["counts"]["copies_there"] == 1
        gateway.kill()
        shutil.rmtree(data)
        done = lapel("evidence", "verify", "--data", second, "--keys", tmp_path / "keys")
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        done = lapel("evidence", "promote", second)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        third = tmp_path / "third"
        third.mkdir()
        gateway = GatewayProcess(tmp_path, settings(second, port, third, evidence={"keys": str(tmp_path / "keys")}))
        gateway.start().ready()
        assert sealed_once(gateway, film, tmp_path)["id"] == row["id"]
        never_forked(gateway, [camera.kept_receipt])
        until(lambda: _level(second, third), 30, "the new second place has the log")
        until(lambda: _row(gateway, row["id"])["copies"] == 2, 30, "it is copied again")
        film.with_suffix(".state").unlink()
        again = CameraProcess(film, port, second / "evidence/log/log.vkey", pace_kib=16_000)
        camera_content(again)
        assert (again.kept_receipt["exhibit"], again.kept_receipt["copies"]) == (row["id"], 2)
        verifies(gateway)
    finally:
        camera.close()
        gateway.kill()


def _level(data: Path, second: Path) -> bool:
    paths = [place / "evidence/log/checkpoint" for place in (data, second)]
    return all(path.exists() for path in paths) and paths[0].read_bytes() == paths[1].read_bytes()


def _row(gateway: GatewayProcess, exhibit: str) -> dict:
    return json.loads(gateway.told("evidence", "show", exhibit, "--json"))["exhibit"]
