"""kill -9 of gateway, broker and camera at random moments of an upload.

Whoever dies, each recording is sealed once, byte for byte; nothing told durable is asked for again; the log
verifies and still has every receipted entry where the receipt says.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.faults.broker_process import BrokerProcess
from tests.faults.camera_process import CameraProcess, footage
from tests.faults.figures import noted
from tests.faults.moments import Moments
from tests.faults.sealed_once import camera_content, never_forked, sealed_once, verifies
from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port

KILLS_IN_ALL = int(os.environ.get("LAPEL_KILLS", "20"))
SEED = int(os.environ.get("LAPEL_SEED", "20261122"))
EMBEDDED_KILLS = max(4, KILLS_IN_ALL // 5)
KILLS = max(1, KILLS_IN_ALL - EMBEDDED_KILLS)
VICTIMS = ("gateway", "gateway", "broker", "camera")
UPLOAD_KILLS, SEAL_KILLS = (1, 4), (2, 3)
OCTETS = (8_000_000, 14_000_000)


class Site:
    """A gateway, its broker (None: within the gateway), and who of them has died how often."""

    def __init__(self, folder: Path, gateway: GatewayProcess, broker: BrokerProcess | None, port: int) -> None:
        """Name them."""
        self.folder, self.gateway, self.broker, self.port = folder, gateway, broker, port
        self.killed = dict.fromkeys(VICTIMS if broker is not None else ("gateway", "camera"), 0)
        self._bag: list[str] = []

    def kill_one(self, chance: random.Random, camera: CameraProcess) -> None:
        """SIGKILL one of them and start it again at once."""
        if not self._bag:  # in an order of chance, each its share of the kills
            self._bag = [victim for victim in VICTIMS if victim in self.killed]
            chance.shuffle(self._bag)
        victim = self._bag.pop()
        self.killed[victim] += 1
        if victim == "camera":
            camera.kill()
            return
        one = self.gateway if victim == "gateway" else self.broker
        assert one is not None
        one.kill()
        one.start()


def killed_in_upload(site: Site, camera: CameraProcess, moments: Moments, kills: int) -> int:
    """Kill and restart at most so often, the last times in the seal, until the camera is done; how often it was."""
    done, uploading = 0, moments.chance.randint(*UPLOAD_KILLS)
    kills = min(kills, uploading + moments.chance.randint(*SEAL_KILLS))
    while done < kills and not camera.receipted:
        if done >= uploading:
            site.gateway.ready()
            moments.in_seal(camera, site.gateway)
        elif moments.chance.random() < 0.25:
            moments.in_start()
        else:
            site.gateway.ready()
            moments.in_upload(1.0)
        site.kill_one(moments.chance, camera)
        done += 1
    site.gateway.ready()
    return done


def survived(site: Site, kills: int, seed: int) -> None:
    """Recordings one after another until so many were killed; all are sealed once, byte for byte."""
    folder, gateway = site.folder, site.gateway
    evidence = folder / "data" / "evidence"
    chance, moments = random.Random(seed), Moments(seed, evidence)
    gateway.start().ready()
    done, octets, receipts = 0, 0, []
    while done < kills:
        moments.begin()
        recording = footage(folder / f"rec-{len(receipts)}.mp4", chance.randint(*OCTETS), seed + done)
        camera = CameraProcess(recording, site.port, evidence / "log" / "log.vkey")
        try:
            done += killed_in_upload(site, camera, moments, kills - done)
            camera_content(camera)
            receipts.append(camera.kept_receipt)
        finally:
            camera.close()
        sealed_once(gateway, recording, folder)
        octets += recording.stat().st_size
        recording.unlink()
    noted("kills", kills=done, recordings=len(receipts), octets=octets, **site.killed, **moments.hit)
    verifies(gateway)
    never_forked(gateway, receipts)
    assert gateway.terminate() == 0
    verifies(gateway)
    assert not any((evidence / "staging").iterdir())


@pytest.mark.timeout(90 + 12 * KILLS)
def test_killed_around_a_broker(tmp_path):
    """Gateway, broker, camera: a broker that dies takes with it what it had acknowledged and not delivered."""
    broker = BrokerProcess(tmp_path)
    gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", broker.port, store={"reserve_mb": 0}))
    try:
        broker.start()
        survived(Site(tmp_path, gateway, broker, broker.port), KILLS, SEED)
    finally:
        gateway.kill()
        broker.kill()


@pytest.mark.timeout(90 + 12 * EMBEDDED_KILLS)
def test_killed_with_its_embedded_broker(tmp_path):
    """The broker dies with the gateway: the camera connects anew and offers its recording again."""
    port = free_port()
    text = configuration(tmp_path / "data", port, embedded=True, store={"reserve_mb": 0})
    gateway = GatewayProcess(tmp_path, text)
    try:
        survived(Site(tmp_path, gateway, None, port), EMBEDDED_KILLS, SEED + 1)
    finally:
        gateway.kill()
