"""kill -9 of the gateway at random moments of an upload: sealed once, byte for byte, nothing durable asked again."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.camera_process import CameraProcess, footage
from tests.faults.figures import noted
from tests.faults.moments import Moments
from tests.faults.sealed_once import camera_content, sealed_once, verifies
from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port, mosquitto

KILLS_IN_ALL = int(os.environ.get("LAPEL_KILLS", "20"))
SEED = int(os.environ.get("LAPEL_SEED", "20261122"))
EMBEDDED_KILLS = max(4, KILLS_IN_ALL // 5)
KILLS = max(1, KILLS_IN_ALL - EMBEDDED_KILLS)
UPLOAD_KILLS, SEAL_KILLS = (1, 4), (2, 3)
OCTETS = (8_000_000, 14_000_000)


def killed_in_upload(gateway: GatewayProcess, camera: CameraProcess, moments: Moments, kills: int) -> int:
    """Kill and restart at most so often, the last times in the seal, until the camera is done; how often it was."""
    done, uploading = 0, moments.chance.randint(*UPLOAD_KILLS)
    kills = min(kills, uploading + moments.chance.randint(*SEAL_KILLS))
    while done < kills and not camera.receipted:
        if done >= uploading:
            gateway.ready()
            moments.in_seal(camera, gateway)
        elif moments.chance.random() < 0.25:
            moments.in_start()
        else:
            gateway.ready()
            moments.in_upload(1.0)
        gateway.kill()
        gateway.start()
        done += 1
    gateway.ready()
    return done


def survived(folder: Path, gateway: GatewayProcess, port: int, kills: int, seed: int) -> None:
    """Recordings one after another until the gateway was killed so often; all are sealed once, byte for byte."""
    chance, moments = random.Random(seed), Moments(seed, folder / "data" / "evidence")
    vkey = folder / "data" / "evidence" / "log" / "log.vkey"
    gateway.start().ready()
    done, recordings = 0, []
    while done < kills:
        moments.begin()
        recordings.append(footage(folder / f"rec-{len(recordings)}.mp4", chance.randint(*OCTETS), seed + done))
        camera = CameraProcess(recordings[-1], port, vkey)
        try:
            done += killed_in_upload(gateway, camera, moments, kills - done)
            camera_content(camera)
        finally:
            camera.close()
        sealed_once(gateway, recordings[-1], folder)
    octets = sum(recording.stat().st_size for recording in recordings)
    noted("kills", kills=done, recordings=len(recordings), octets=octets, **moments.hit)
    verifies(gateway)
    assert gateway.terminate() == 0
    verifies(gateway)
    assert not any((folder / "data" / "evidence" / "staging").iterdir())


@pytest.mark.timeout(90 + 12 * KILLS)
def test_killed_while_the_broker_lives(tmp_path):
    """The broker survives and delivers again what was not acknowledged."""
    with mosquitto(tmp_path) as port:
        gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", port, store={"reserve_mb": 0}))
        try:
            survived(tmp_path, gateway, port, KILLS, SEED)
        finally:
            gateway.kill()


@pytest.mark.timeout(90 + 12 * EMBEDDED_KILLS)
def test_killed_with_its_embedded_broker(tmp_path):
    """The broker dies with the gateway: the camera connects anew and offers its recording again."""
    port = free_port()
    text = configuration(tmp_path / "data", port, embedded=True, store={"reserve_mb": 0})
    gateway = GatewayProcess(tmp_path, text)
    try:
        survived(tmp_path, gateway, port, EMBEDDED_KILLS, SEED + 1)
    finally:
        gateway.kill()
