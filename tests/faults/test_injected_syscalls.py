"""System calls of the real process fail once each, by strace: every recording is sealed exactly once all the same.

A failed call did not happen here (failed and lost); tests/faults/test_staging_syscalls.py has also those that did.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests import peers
from tests.faults.figures import noted
from tests.faults.plain_camera import Film, PlainCamera
from tests.faults.sealed_once import verifies
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

CALLS = ("pwrite64", "fdatasync", "fsync", "rename", "mkdir", "unlinkat", "ftruncate")
ERRORS = ("EIO", "ENOSPC")
INJECTIONS = int(os.environ.get("LAPEL_INJECTIONS", "8"))
SHUFFLED = [5, 0, 3, 1, 4, 2]


def cases(number: int) -> list[tuple[str, str, int]]:
    """So many: each call first the first time, then the second, and so on; counted for each thread alone."""
    found = [(call, ERRORS[(at + turn) % 2], turn + 1) for turn in range(12) for at, call in enumerate(CALLS)]
    return found[:number]


@contextlib.contextmanager
def injecting(pid: int, call: str, error: str, when: int, folder: Path):
    """Every thread's n-th such call fails; a function that tells how many have."""
    said = folder / f"{call}-{when}.strace"
    words = ["-qq", "-f", "-p", str(pid), "-o", str(said), "-e", f"trace={call}"]
    words += ["-e", f"inject={call}:error={error}:when={when}"]
    process = subprocess.Popen(["strace", *words], stderr=subprocess.PIPE)
    try:
        until(lambda: _traced(pid), 10, "strace is attached")
        yield lambda: said.read_text().count("(INJECTED)")
    finally:
        process.terminate()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def _traced(pid: int) -> bool:
    """Whether every thread has a tracer."""
    tasks = Path(f"/proc/{pid}/task")
    return all("TracerPid:\t0" not in (task / "status").read_text() for task in tasks.iterdir())


@pytest.mark.timeout(60 + 10 * INJECTIONS)
def test_a_failed_system_call_costs_nothing(tmp_path):
    """Pieces in order and out of it; the gateway lives, and after all of them the store verifies."""
    peers.program("strace")
    hit: dict[str, int] = {}
    with mosquitto(tmp_path) as port:
        gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", port, store={"reserve_mb": 0}))
        gateway.start().ready()
        sealed = {}
        try:
            for number, (call, error, when) in enumerate(cases(INJECTIONS)):
                film = Film(6, 200_000, seed=number)
                camera = PlainCamera(port, "cam-0001", f"rec-{number}", film, rest_cap_s=0.2)
                with injecting(gateway.pid, call, error, when, tmp_path) as failed:
                    camera.offer()
                    receipt = camera.send(SHUFFLED if number % 2 else None)
                    time.sleep(0.1)  # what is left in staging is being removed
                    hit[call] = hit.get(call, 0) + failed()
                camera.close()
                assert receipt["sha256"] == film.sha256(), (call, error, when)
                sealed[f"rec-{number}"] = receipt["exhibit"]
            verifies(gateway)
            assert len(gateway.events("started")) == 1
            rows = json.loads(gateway.told("evidence", "list", "--json", "--limit", "1000"))["exhibits"]
        finally:
            gateway.terminate()
    assert {row["recording"]: row["id"] for row in rows if row["complete"]} == sealed
    assert not [row for row in rows if row["complete"] is False and row["size"]]
    noted("injected system calls", recordings=len(sealed), **hit)
    print(hit)
    assert sum(hit.values()) >= min(INJECTIONS, 8) // 2
