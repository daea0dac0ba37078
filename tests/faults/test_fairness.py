"""Beside a camera that means ill, another one's segments are durable about as soon as without it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time

import pytest

from tests.faults.figures import noted
from tests.faults.hostile_camera import KINDS
from tests.faults.plain_camera import Film, PlainCamera
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, mosquitto

pytestmark = pytest.mark.soak  # it measures time, and says something on a quiet machine only

OCTETS = 64 * 1024
SECONDS = float(os.environ.get("LAPEL_FAIR_S", "2"))
RATE = 2000.0
"""Messages a second of the hostile camera: some ten times what the fleet's busiest sends."""
BOUND_S = 0.5


@contextlib.contextmanager
def hostile(kind: str, port: int):
    """The hostile camera at work; what it said of itself when it ended."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.hostile_camera", kind, str(port), str(RATE)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    said: dict = {}
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it is at work
        yield said
    finally:
        process.kill()
        lines = process.stdout.read().splitlines()
        process.stdout.close()
        process.wait()
        said.update(json.loads(lines[-1]) if lines and lines[-1].endswith("}") else {})


def latencies(port: int, recording: str) -> list[float]:
    """Segment after segment for so long: seconds from each one's sending until it was told durable, in order."""
    camera = PlainCamera(port, "cam-honest", recording, Film(4096, OCTETS))
    found = []
    try:
        camera.offer()
        ends = time.monotonic() + SECONDS
        while time.monotonic() < ends:
            number, began = len(found), time.monotonic()
            camera.client.publish(f"{camera.file}/{number * OCTETS}", camera.film.segment(number), 1)
            with camera.word:
                assert camera.word.wait_for(lambda number=number: number in camera.durable, 30), "starved"
            found.append(time.monotonic() - began)
    finally:
        camera.close()
    return sorted(found)


def p95(found: list[float]) -> float:
    """The 95th percentile of sorted numbers."""
    return found[int(len(found) * 0.95)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """One gateway for all of them: what each leaves behind is part of the next one's trouble."""
    folder = tmp_path_factory.mktemp("fair")
    with mosquitto(folder) as port:
        gateway = GatewayProcess(folder, configuration(folder / "data", port, store={"reserve_mb": 0}))
        gateway.start().ready()
        try:
            yield port, gateway
        finally:
            gateway.kill()


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_starves_beside_a_hostile_camera(site, kind):
    """The 95th percentile of another camera's segments stays within half a second."""
    port, gateway = site
    alone = latencies(port, f"alone-{kind}")
    with hostile(kind, port) as said:
        beside = latencies(port, f"beside-{kind}")
    figures = {"alone_p95_ms": round(p95(alone) * 1000, 1), "beside_p95_ms": round(p95(beside) * 1000, 1)}
    noted("hostile camera", kind=kind, **figures, segments=len(beside), hostile=said)
    print(kind, figures, len(alone), len(beside), said)
    assert gateway.running
    assert len(beside) > 2
    assert p95(beside) < BOUND_S
