"""Keys rotated beside a running gateway: cameras that pinned the first key go on, and nothing is restarted."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import outside
from tests.faults.camera_process import footage
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, mosquitto, until

REASON = ("--reason", "yearly")


class Scene:
    """A broker, a gateway, and a camera that was given the log's first key for good."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port, self.data = folder, port, folder / "data"
        self.gateway = GatewayProcess(folder, configuration(self.data, port, store={"reserve_mb": 0}))
        self.gateway.start().ready()
        self.pinned = folder / "pinned.vkey"
        shutil.copy(self.data / "evidence/log/log.vkey", self.pinned)
        self.number = 0

    def upload(self) -> str:
        """One recording, from offer to verified receipt; its exhibit."""
        self.number += 1
        recording = footage(self.folder / f"film-{self.number}.mp4", 300_000, self.number)
        words = ["--mqtt", f"127.0.0.1:{self.port}", "--device", "cam-1", "--recording", recording, "--timeout", "30"]
        words += ["--vkey", self.pinned, "--patience", "0.5"]
        command = [sys.executable, "-m", "firmware_stubs.camera", *map(str, words)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, (said[-3:], done.stderr[-500:])
        return str(said[-1]["exhibit"])

    def keys(self, *words: object) -> str:
        """`lapel keys …`, which must succeed; what it printed."""
        done = outside("keys", *words, "--data", self.data)
        assert done.code == 0, done.err
        return done.out


@pytest.fixture
def scene(tmp_path: Path):
    """It, running."""
    with mosquitto(tmp_path) as port:
        made = Scene(tmp_path, port)
        yield made
        made.gateway.kill()


def test_cameras_follow_and_nothing_is_restarted(scene: Scene) -> None:
    """Before, after one rotation, after two and a new KEK; then a start, and everything verifies from the first key."""
    exhibits = [scene.upload()]
    scene.keys("rotate", "log", *REASON)
    exhibits.append(scene.upload())
    scene.keys("rotate", "kek", *REASON)
    scene.keys("rotate", "log", *REASON, "--overlap")
    exhibits.append(scene.upload())
    scene.keys("retire", "log-2", *REASON)
    exhibits.append(scene.upload())
    assert len(set(exhibits)) == 4
    checkpoint = (scene.data / "evidence/log/checkpoint").read_text()
    assert checkpoint.count("—") == 1
    assert scene.gateway.running
    scene.gateway.kill()
    verified = outside("evidence", "verify", "--data", scene.data, "--vkey", scene.pinned.read_text().strip())
    assert verified.code == 0, verified.err
    assert "2 rotations" in verified.out
    listed = json.loads(scene.keys("list", "--json"))["keys"]
    states = {key["id"]: key["state"] for key in listed}
    assert states == states | {"kek-1": "former", "kek-2": "wraps", "log": "former", "log-3": "signs"}
    assert "log-2" not in states
    scene.gateway.start().ready()
    scene.upload()


def test_a_key_that_others_may_use_stops_a_start(scene: Scene) -> None:
    """Whichever it is; the file is named, and the exit code is that of a bad configuration."""
    scene.gateway.kill()
    key = scene.data / "keys/export.key"
    outside("trust", "print", "--data", scene.data)
    assert key.exists()
    key.chmod(0o640)
    scene.gateway.start()
    until(lambda: not scene.gateway.running, 20, "it ends")
    assert b"export.key" in scene.gateway.log.read_bytes()
    assert b"chmod 600" in scene.gateway.log.read_bytes()
