"""A recording larger than memory, in order and shuffled: sealed byte for byte by a gateway that stays small."""

from __future__ import annotations

import os
import random

import pytest

from tests.faults.figures import noted
from tests.faults.plain_camera import MIB, Film, PlainCamera, peak_mb
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto

MEGABYTES = int(os.environ.get("LAPEL_BIG_MB", "64"))
MEMORY_MB = 300


def orders(segments: int) -> dict[str, list[int]]:
    """In order, and in none at all."""
    numbers = list(range(segments))
    random.Random(4).shuffle(numbers)
    return {"in_order": list(range(segments)), "shuffled": numbers}


@pytest.mark.timeout(60 + MEGABYTES)
@pytest.mark.parametrize("how", ["in_order", "shuffled"])
def test_a_recording_larger_than_memory(tmp_path, how):
    """Receipt and stored hash are those of its bytes; the process has never had more than 300 MB."""
    film = Film(MEGABYTES)
    sha256 = film.sha256()
    with mosquitto(tmp_path) as port:
        gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", port, store={"reserve_mb": 0}))
        gateway.start().ready()
        camera = PlainCamera(port, "cam-0001", "large", film)
        try:
            camera.offer()
            receipt = camera.send(orders(MEGABYTES)[how], sha256)
            peak = peak_mb(gateway.pid)
        finally:
            camera.close()
            gateway.terminate()
        assert (receipt["size"], receipt["sha256"]) == (MEGABYTES * MIB, sha256)
        assert gateway.lapel("evidence", "verify", "--all").returncode == 0
    noted("large recording", order=how, megabytes=MEGABYTES, gateway_peak_mb=round(peak))
    assert peak < MEMORY_MB
