"""A disk that fills up: footage waits, positions and emergencies go on, and the gateway resumes by itself."""

from __future__ import annotations

import contextlib
import os
import time
import urllib.request
from pathlib import Path

import pytest

from tests.faults.camera_process import DEVICE, CameraProcess, footage
from tests.faults.crash_disk import small_disk
from tests.faults.onlookers import Bystander, FeedReader, answers, settles
from tests.faults.sealed_once import camera_content, sealed_once, verifies
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

MEGABYTES = 96
RESERVE_MB = 16
NOT_NOW = 0x97
RETRIES_S = 2.5
"""Long enough for the journal to have tried again, in vain."""
MIB = 1024 * 1024
ROSTER = f"""\
v = 1
[[person]]
id = "P-0014"
collar = "7714"
name = "Officer 14"
agency = "PCC"
role = "CSO"
issi = 2341014
powers = []
[[unit]]
id = "PCC.CSO-014"
callsign = "CSO14"
agency = "PCC"
kind = "foot"
members = ["P-0014"]
[[device]]
id = "{DEVICE}"
kind = "camera"
agency = "PCC"
[[device]]
id = "bcn-0931"
kind = "beacon"
agency = "PCC"
[[booking]]
device = "{DEVICE}"
holder = "P-0014"
from = 2026-01-01T00:00:00Z
how = "kiosk"
[[booking]]
device = "bcn-0931"
holder = "P-0014"
from = 2026-01-01T00:00:00Z
how = "kiosk"
"""


class Ballast:
    """A file that takes the room away; its own room is kept when it is told to leave none."""

    def __init__(self, place: Path) -> None:
        """Name it; nothing is taken yet."""
        self._place, self._file = place, place / "ballast"

    def leave(self, octets: int) -> None:
        """Take all but so much."""
        status = os.statvfs(self._place)
        spare = status.f_bavail * status.f_frsize - octets
        if spare > 0:
            with self._file.open("ab") as file:
                os.posix_fallocate(file.fileno(), file.tell(), spare)

    def leave_nothing(self) -> None:
        """Take the last block too; again takes what was freed since."""
        self.leave(MIB)
        with self._file.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def go(self) -> None:
        """Give it all back."""
        self._file.unlink()


class Site:
    """A gateway with beacons and a camera on a small disk, and its onlookers."""

    def __init__(self, folder: Path, place: Path, port: int, reserve_mb: int) -> None:
        """Write the roster and the configuration."""
        (folder / "roster.toml").write_text(ROSTER)
        self.folder, self.port, self.ballast = folder, port, Ballast(place)
        self.vkey = place / "data" / "evidence" / "log" / "log.vkey"
        text = configuration(
            place / "data",
            port,
            kinds=("camera", "beacon"),
            store={"reserve_mb": reserve_mb},
            roster={"file": str(folder / "roster.toml")},
        )
        self.gateway = GatewayProcess(folder, text)

    def open(self) -> None:
        """Start everything."""
        self.gateway.start().ready()
        token = self.gateway.token()
        self.authorised = {"Authorization": f"Bearer {token}"}
        self.feed = FeedReader(self.gateway.address, token)
        self.bystander = Bystander(self.port)

    def close(self) -> None:
        """End everything."""
        self.bystander.close()
        self.gateway.kill()
        self.feed.close()

    def camera(self, recording: Path) -> CameraProcess:
        """One camera with one recording."""
        return CameraProcess(recording, self.port, self.vkey)

    def fills_the_last_block(self) -> None:
        """Positions until the journal's last allocated block is full and the disk refuses."""
        for number in range(200):
            if self.gateway.events("disk_refused"):
                return
            self.ballast.leave_nothing()
            self.bystander.position("bcn-0931", 52.0 + number / 10_000_000)
        raise AssertionError("the journal never met the full disk")

    def position_reaches_the_feed(self, latitude: float) -> None:
        """A beacon's position is seen by the consumer."""
        self.bystander.position("bcn-0931", latitude)
        self.feed.sees(
            lambda name, seen: name == "position" and _latitude(seen) == pytest.approx(latitude, abs=1e-6),
            f"position {latitude} on the feed",
        )

    def emergency_reaches_the_feed(self, condition=lambda _seen: True) -> dict:
        """A camera's panic button is seen by the consumer."""
        before = len(self.feed.events)
        self.bystander.panic(DEVICE)
        seen = self.feed.sees(
            lambda name, content: name == "emergency" and content["person"] == "P-0014" and condition(content),
            "the emergency on the feed",
        )
        assert any(name == "emergency" for name, _ in self.feed.events[before:])
        return seen


def _latitude(feature: dict) -> float | None:
    """A unit's latitude; None before its first fix."""
    return feature["geometry"]["coordinates"][1] if feature["geometry"] else None


@pytest.fixture
def site(tmp_path, request):
    """A site with that reserve, open."""
    with small_disk(tmp_path, MEGABYTES) as place, mosquitto(tmp_path) as port:
        one = Site(tmp_path, place, port, request.param)
        one.open()
        try:
            yield one
        finally:
            one.close()


def refused(site: Site, camera: CameraProcess) -> int:
    """Wait until the camera rests on 0x97 with a time to come again; what it was told durable."""
    camera.waits_for(lambda: camera.of("resting"), 20, "the camera rests")
    assert {each["why"] for each in camera.of("resting")} == {"not_now"}
    until(lambda: site.bystander.refusals(NOT_NOW), 5, "an answer 0x97")
    assert all(answer["retry_after_s"] > 0 for answer in site.bystander.refusals(NOT_NOW))
    return camera.durable_bytes


def metric(site: Site, name: str) -> float:
    """One figure of the evidence store."""
    request = urllib.request.Request(f"{site.gateway.address.rstrip('/')}/metrics", headers=site.authorised)
    with urllib.request.urlopen(request) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith("lapel_evidence") and name in line)


def resumed(site: Site, recording: Path) -> None:
    """Once there is room, the same process takes the footage that it refused, and nothing durable anew."""
    again = site.camera(recording)
    try:
        camera_content(again)
    finally:
        again.close()
    sealed_once(site.gateway, recording, site.folder)
    assert len(site.gateway.events("started")) == 1
    verifies(site.gateway)


@pytest.mark.parametrize("site", [RESERVE_MB], indirect=True)
def test_footage_stops_at_the_reserve(site, tmp_path):
    """Into the reserve no footage goes; positions and emergencies do, journalled as ever."""
    recording = footage(tmp_path / "rec-0.mp4", 12_000_000, 1)
    camera = site.camera(recording)
    try:
        camera.waits_for(lambda: camera.durable_bytes >= 2_000_000, 20, "2 MB are durable")
        site.ballast.leave(RESERVE_MB * MIB - 1)
        refused(site, camera)
        site.position_reaches_the_feed(52.0001)
        assert site.emergency_reaches_the_feed()["journalled"] is True
        ready = answers(site.gateway.address, "/ready/evidence")[1]
        assert ready["state"] == "degraded"
        assert ready["problem"] == "no room for footage: disk_reserve"
        until(lambda: site.gateway.events("footage_waits"), 5, "the log says so")
        assert metric(site, "footage_waits") == 1
        assert answers(site.gateway.address, "/ready/feed") == (200, {"v": 1, "state": "ok", "parts": {"feed": "ok"}})
        told = camera.give_up()
        assert told["violations"] == []
    finally:
        camera.close()
    site.ballast.go()
    settles(site.gateway.address, "/ready/evidence", "ok")
    until(lambda: site.gateway.events("footage_goes_on"), 5, "the log says so")
    assert "problem" not in answers(site.gateway.address, "/ready/evidence")[1]
    assert metric(site, "footage_waits") == 0
    resumed(site, recording)


@pytest.mark.parametrize("site", [0], indirect=True)
def test_the_feed_goes_on_without_a_single_free_block(site, tmp_path):
    """With the reserve gone too, emergencies and positions still go out, marked; what waited is written later."""
    recording = footage(tmp_path / "rec-0.mp4", 12_000_000, 2)
    camera = site.camera(recording)
    try:
        camera.waits_for(lambda: camera.durable_bytes >= 2_000_000, 20, "2 MB are durable")
        site.ballast.leave_nothing()
        refused(site, camera)
        site.fills_the_last_block()
        site.position_reaches_the_feed(52.0002)
        site.emergency_reaches_the_feed(lambda seen: seen["journalled"] is False)
        time.sleep(RETRIES_S)
        site.position_reaches_the_feed(52.0003)
        assert answers(site.gateway.address, "/live")[0] == 200
        assert answers(site.gateway.address, "/ready")[1]["parts"]["journal"] == "degraded"
        told = camera.give_up()
        assert told["violations"] == []
    finally:
        camera.close()
    site.ballast.go()
    settles(site.gateway.address, "/ready", "ok")
    assert site.gateway.events("disk_recovered")
    site.position_reaches_the_feed(52.0004)
    resumed(site, recording)
