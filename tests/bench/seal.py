"""From the last durable byte of a 1 GB recording, sent in order through Mosquitto, to its receipt with its proof."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.faults.plain_camera import MIB, Film, PlainCamera, peak_mb
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto

MEGABYTES = int(os.environ.get("LAPEL_BENCH_SEAL_MB", "1024"))


def measure(folder: Path, megabytes: int = MEGABYTES) -> dict[str, Any]:
    """Seconds from fin to receipt, and the whole's speed."""
    film = Film(megabytes)
    with mosquitto(folder) as port:
        gateway = GatewayProcess(folder, configuration(folder / "data", port, store={"reserve_mb": 0}))
        gateway.start().ready()
        camera = PlainCamera(port, "cam-bench", "rec-1", film)
        try:
            camera.offer()
            began = time.monotonic()
            camera.send_all()
            durable = time.monotonic()
            receipt = camera.fin()
            done = time.monotonic()
            assert receipt["proof"]
            return {
                "megabytes": megabytes,
                "durable_mb_s": megabytes * MIB / 1e6 / (durable - began),
                "fin_to_receipt_s": done - durable,
                "limit_s": 2.0,
                "gateway_peak_mb": peak_mb(gateway.pid),
            }
        finally:
            camera.close()
            gateway.terminate()


def run() -> dict[str, Any]:
    """Once."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as name:
        return measure(Path(name))


if __name__ == "__main__":
    print(run())
