"""Power cuts: all that was ever told durable or receipted is on the disk that is found afterwards.

kill -9 keeps the page cache and so can't show a missing sync; here only what reached the block device
survives. The negative control takes the syncs away and must be caught.
"""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

import pytest

from tests.faults.camera_process import CameraProcess, footage
from tests.faults.crash_disk import CrashDisk, crash_disk
from tests.faults.figures import noted
from tests.faults.moments import Moments
from tests.faults.sealed_once import camera_content, sealed_once, verifies
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

CUTS = int(os.environ.get("LAPEL_CUTS", "3"))
SEED = int(os.environ.get("LAPEL_SEED", "20261122"))
MEGABYTES = 512
OCTETS = (5_000_000, 9_000_000)
AGAIN = 0.5
PLAN = ("uploading", "sealing", "receipted")


class Site:
    """A gateway whose data directory is on a disk that loses power, and its broker, which does not."""

    def __init__(self, folder: Path, disk: CrashDisk, port: int, environment=None) -> None:
        """Start it and pin its log's key for the cameras."""
        self.folder, self.disk, self.port = folder, disk, port
        data = disk.place / "data"
        text = configuration(data, port, store={"reserve_mb": 0})
        self.gateway = GatewayProcess(folder, text, environment)
        self.evidence, self.vkey = data / "evidence", folder / "log.vkey"

    def open(self) -> None:
        """Start the gateway."""
        self.gateway.start().ready()
        shutil.copy(self.evidence / "log" / "log.vkey", self.vkey)

    def cut(self) -> None:
        """The power goes: the process with all it has not synced."""
        self.gateway.hold_still()
        self.disk.copy_flushed()
        self.gateway.kill()
        self.disk.use_copy()

    def camera(self, recording: Path, *more: str) -> CameraProcess:
        """One camera with one recording."""
        return CameraProcess(recording, self.port, self.vkey, more=more)


@pytest.fixture
def site(tmp_path, request):
    """A site, open."""
    with crash_disk(tmp_path, MEGABYTES) as disk, mosquitto(tmp_path) as port:
        one = Site(tmp_path, disk, port, getattr(request, "param", lambda _folder: None)(tmp_path))
        try:
            one.open()
            yield one
        finally:
            one.gateway.kill()


def moment(kind: str, site: Site, camera: CameraProcess, moments: Moments) -> None:
    """Wait for one moment of that kind."""
    if kind == "uploading":
        camera.waits_for(lambda: camera.durable_bytes, 30, "something is durable")
        moments.in_upload(1.5)
    elif kind == "sealing":
        moments.in_seal(camera, site.gateway)
    else:
        camera.summary()
        moments.count("receipt kept by the camera")


@pytest.mark.timeout(90 + 30 * CUTS)
def test_what_was_told_durable_outlives_a_power_cut(site, tmp_path):
    """Cuts while uploading, in the seal and after the receipt: nothing told is lost, each recording seals once."""
    moments, recordings, told, cuts = Moments(SEED, site.evidence), [], 0, 0
    while cuts < CUTS:
        number = len(recordings)
        kind = PLAN[number % len(PLAN)]
        moments.begin()
        recordings.append(footage(tmp_path / f"rec-{number}.mp4", moments.chance.randint(*OCTETS), SEED + number))
        camera = site.camera(recordings[-1])
        try:
            moment(kind, site, camera, moments)
            site.cut()
            cuts, told = cuts + 1, told + camera.durable_bytes
            site.gateway.start()
            if number >= len(PLAN) and moments.chance.random() < AGAIN:
                moments.in_start(2.5)  # what recovery does is cut as well
                site.cut()
                cuts += 1
                site.gateway.start()
            site.gateway.ready()
            camera_content(camera)
        finally:
            camera.close()
        if kind == "receipted":
            receipt_stands(site, recordings[-1])
        sealed_once(site.gateway, recordings[-1], tmp_path)
    verifies(site.gateway)
    assert site.gateway.terminate() == 0
    noted("power cuts", cuts=cuts, recordings=len(recordings), told_durable_before_cuts=told, **moments.hit)


@pytest.mark.timeout(60 + 20 * CUTS)
def test_a_first_start_that_is_cut_starts_again(tmp_path):
    """Keys, databases, empty log: cut while they are made for the first time, the next start finishes them."""
    chance, cuts = random.Random(SEED), max(2, CUTS // 2)
    with mosquitto(tmp_path) as port:
        for number in range(cuts):
            folder = tmp_path / str(number)
            folder.mkdir()
            with crash_disk(folder, 64) as disk:
                first_start_is_cut(Site(folder, disk, port), chance.uniform(0, 0.4))
    noted("first starts cut", cuts=cuts)


def first_start_is_cut(site: Site, after_s: float) -> None:
    """The power goes so long after the first directory was made; then the gateway starts on what is left."""
    gateway = site.gateway.start()
    try:
        until(site.evidence.parent.exists, 20, "the data directory is made", 0.001)
        time.sleep(after_s)
        site.cut()
        gateway.start().ready()
        verifies(gateway)
        assert gateway.terminate() == 0
    finally:
        gateway.kill()


def receipt_stands(site: Site, recording: Path) -> None:
    """Offered again, a receipted recording has the receipt of the same exhibit: the camera checks which."""
    again = site.camera(recording, "--reoffer")
    try:
        camera_content(again)
        assert not again.of("durable"), "receipted footage was uploaded once more"
    finally:
        again.close()


def without(*syncs: str):
    """An environment in which these calls of the gateway's process do nothing."""

    def environment(folder: Path) -> dict[str, str]:
        shim = folder / "shim"
        shim.mkdir()
        (shim / "sitecustomize.py").write_text(
            "import os\n" + "".join(f"os.{name} = lambda descriptor: None\n" for name in syncs)
        )
        root = Path(__file__).resolve().parents[2]
        return {"PYTHONPATH": f"{shim}{os.pathsep}{root}"}

    return environment


@pytest.mark.parametrize(
    "site", [without("fdatasync"), without("fdatasync", "fsync")], ids=["no-fdatasync", "no-sync"], indirect=True
)
def test_a_gateway_that_does_not_sync_is_caught(site, tmp_path):
    """The negative control: without its syncs, footage told durable is gone after a cut, and the camera notices."""
    recording = footage(tmp_path / "rec-0.mp4", OCTETS[1], SEED)
    camera = site.camera(recording)
    try:
        camera.waits_for(lambda: camera.durable_bytes >= 2_000_000, 30, "2 MB are told durable")
        site.cut()
        told = camera.durable_bytes
        lost = losses(site, camera)
    finally:
        camera.close()
    noted("negative control", told_durable=told, losses="; ".join(lost))
    assert lost, "the test can't see a missing sync"


def losses(site: Site, camera: CameraProcess) -> list[str]:
    """What a restart on the cut disk shows to be gone; [] where everything told is there."""
    site.gateway.start()
    try:
        site.gateway.ready()
    except AssertionError as ended:
        return [f"the gateway does not start: {' '.join(str(ended).split())[-200:]}"]
    camera.waits_for(lambda: camera.of("violation") or camera.receipted, 60, "the camera is asked again, or done")
    violations = camera.of("violation")
    if not violations:
        return []
    camera.give_up()
    return [each["violation"] for each in violations]
