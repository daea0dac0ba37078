"""Acts of the control room and kill -9: whatever was answered 2xx is so after the restart.

The disk is slow (strace holds up each fsync), so that there are always acts told and not yet written.
"""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import peers
from tests.api.site import ROSTER
from tests.faults.figures import noted
from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port, mosquitto, until

UNITS = ("PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187")
KILLS = 4
HAMMERED_S = 1.5
FSYNC_US = 150_000
STEPS = ("active", "acknowledged", "cleared")


class Desk:
    """One who sets a unit's status again and again, or takes emergencies from press to end; what was answered."""

    def __init__(self, gateway: GatewayProcess, token: str) -> None:
        self.duties = dict.fromkeys(UNITS, 0)
        self.emergencies: dict[str, str] = {}
        self.answers = 0
        self._gateway, self._token = gateway, token
        self._number = itertools.count(1)

    def client(self) -> httpx.Client:
        """A connection of one's own."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return httpx.Client(base_url=self._gateway.address, headers=headers, timeout=10)

    def duty(self, unit: str) -> None:
        """Until the gateway is gone."""
        with contextlib.suppress(httpx.HTTPError), self.client() as client:
            while True:
                number = next(self._number)
                put = client.put(f"/v1/units/{unit}/duty", json={"code": 2 + number % 6, "incident": str(number)})
                assert put.status_code == 200, put.text
                self.duties[unit] = number
                self.answers += 1

    def emergency(self) -> None:
        """Raised, acknowledged, cleared; the state of each as it was answered."""
        with contextlib.suppress(httpx.HTTPError), self.client() as client:
            while True:
                raised = client.post("/v1/emergencies", json={"unit": UNITS[next(self._number) % 3]})
                self._step(raised)
                path = f"/v1/emergencies/{raised.json()['id']}"
                self._step(client.post(f"{path}/ack", json={"by": "Inspector 3"}))
                self._step(client.post(f"{path}/clear", json={"by": "Inspector 3", "outcome": "test"}))

    def _step(self, answer: httpx.Response) -> None:
        assert answer.status_code in (200, 201), answer.text
        self.emergencies[answer.json()["id"]] = answer.json()["state"]
        self.answers += 1

    def lost(self) -> list[Any]:
        """What was answered and is not so."""
        with self.client() as client:
            known = {each["id"]: each["state"] for each in client.get("/v1/emergencies").json()["emergencies"]}
            found: list[Any] = [
                (number, state, known.get(number))
                for number, state in self.emergencies.items()
                if number not in known or STEPS.index(known[number]) < STEPS.index(state)
            ]
            for unit, number in self.duties.items():
                incident = client.get(f"/v1/units/{unit}").json()["properties"]["duty"].get("incident")
                if int(incident or 0) < number:
                    found.append((unit, number, incident))
        return found


@contextlib.contextmanager
def slow_fsync(pid: int, folder: Path):
    """Every fsync of every thread takes longer."""
    words = ["-qq", "-f", "-p", str(pid), "-o", str(folder / "fsync.strace"), "-e", "trace=fsync"]
    process = subprocess.Popen(["strace", *words, "-e", f"inject=fsync:delay_enter={FSYNC_US}"])
    try:
        tasks = Path(f"/proc/{pid}/task")
        until(
            lambda: all("TracerPid:\t0" not in (each / "status").read_text() for each in tasks.iterdir()), 10, "strace"
        )
        yield
    finally:
        process.terminate()
        process.wait()


def hammered(desk: Desk, gateway: GatewayProcess, folder: Path) -> None:
    """Everybody acts at once; in the middle of it the gateway is killed."""
    threads = [threading.Thread(target=desk.duty, args=(unit,)) for unit in UNITS]
    threads.append(threading.Thread(target=desk.emergency))
    with slow_fsync(gateway.pid, folder):
        for thread in threads:
            thread.start()
        time.sleep(HAMMERED_S)
        gateway.kill()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.timeout(120)
def test_none_that_was_answered_is_lost(tmp_path: Path) -> None:
    """Statuses, and emergencies raised, acknowledged and cleared; killed several times."""
    peers.program("strace")
    (tmp_path / "roster.toml").write_text(ROSTER)
    with mosquitto(tmp_path) as broker:
        more = {"roster": {"file": str(tmp_path / "roster.toml")}, "evidence": {"enabled": False}}
        text = configuration(tmp_path / "data", broker, kinds=("beacon",), api={"port": free_port()}, **more)
        gateway = GatewayProcess(tmp_path, text)
        try:
            gateway.start().ready()
            desk = Desk(gateway, gateway.token())
            for _ in range(KILLS):
                hammered(desk, gateway, tmp_path)
                gateway.start().ready()
                assert desk.lost() == []
        finally:
            gateway.kill()
    noted("acts answered before a kill -9", kills=KILLS, answered=desk.answers)
    assert desk.answers > KILLS * 10
