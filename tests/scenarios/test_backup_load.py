"""Backups while cameras upload, some of them killed: each that is complete restores whole."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from firmware_stubs.camera import Camera
from firmware_stubs.footage import Footage
from firmware_stubs.habits import Habits
from firmware_stubs.mqtt import Broker
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, mosquitto, until

RECORDINGS = int(os.environ.get("LAPEL_BACKUP_RECORDINGS", "6"))
OCTETS = 600_000


def killed(gateway: GatewayProcess, root: Path, after_s: float) -> None:
    """A backup that is killed after so long."""
    words = [sys.executable, "-m", "gateway", "backup", "-o", str(root), "-c", str(gateway.config)]
    process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after_s)
    process.kill()
    process.wait()


def restored(gateway: GatewayProcess, folder: Path, name: str) -> dict[str, Any]:
    """A restore with the keys of this moment; what it proves."""
    (keys,) = (folder / "keys-backup").glob("*.keys")
    words = [sys.executable, "-m", "gateway", "restore", str(folder / "backup"), "-o", str(folder / name)]
    more = ["--keys-backup", str(keys), "--keys", str(folder / "keys"), "--json"]
    done = subprocess.run([*words, *more], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    assert gateway.running
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_while_cameras_upload(tmp_path: Path) -> None:
    """Nothing that the cameras do shows; what was receipted before the backup is in it, and opens."""
    told: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        port = stack.enter_context(mosquitto(tmp_path))
        gateway = GatewayProcess(
            tmp_path, configuration(tmp_path / "store", port, evidence={"keys": str(tmp_path / "keys")})
        )
        stack.callback(gateway.kill)
        gateway.start().ready()
        vkey = tmp_path / "store/evidence/log/log.vkey"
        camera = Camera(
            Broker("127.0.0.1", port), "cam-1", vkey, lambda event: told.append(dict(event)), Habits(300_000)
        )
        stack.callback(camera.close)
        for number in range(RECORDINGS):
            file = tmp_path / f"rec-{number}.mp4"
            file.write_bytes(random.Random(number).randbytes(OCTETS))
            camera.offer(Footage.made(file, "cam-1", file.stem, ("2026-11-21T21:00:00Z", "2026-11-21T21:01:00Z")))
        camera.start()
        root = tmp_path / "backup"
        until(lambda: len(receipts(told)) >= 1, 60, "the first receipt")
        chance = random.Random(int(os.environ.get("LAPEL_SEED", "1")))
        for number in range(3):
            killed(gateway, root, chance.uniform(0.3, 1.5))
            before = receipts(told)
            gateway.told("backup", "-o", str(root))
            gateway.told("keys", "backup", "-o", str(tmp_path / "keys-backup"), "--keep", "1")
            proof = restored(gateway, tmp_path, f"restored-{number}")
            assert proof["whole"]
            assert proof["completeness"]["sealed"] >= len(before)
            shutil.rmtree(tmp_path / f"restored-{number}")
        threading.Event().wait(0.1)
        until(lambda: len(receipts(told)) == RECORDINGS, 120, "every receipt")
        assert camera.violations == []
        gateway.told("backup", "-o", str(root))
        gateway.told("keys", "backup", "-o", str(tmp_path / "keys-backup"), "--keep", "1")
        proof = restored(gateway, tmp_path, "last")
        assert (proof["completeness"]["sealed"], proof["completeness"]["staged"]) == (RECORDINGS, 0)
        assert gateway.terminate() == 0


def receipts(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the camera has verified."""
    return [each for each in told if each["event"] == "receipt"]
