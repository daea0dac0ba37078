"""A real gateway and a TAK server as a process, over TCP and TLS: it stalls, is killed, comes back; the gateway too.

No emergency is lost: each that is open is told to the server that stands in the end, each that is over is cancelled.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests import peers
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, free_port, mosquitto, until
from tests.scenarios.test_emergency import ask

ALERT, CANCEL, TRACK = "b-a-o-tbl", "b-a-o-can", "a-f-G-U-C"
UNITS = 40
HEAD = re.compile(rb' uid="([^"]+)" type="([^"]+)"')
ROSTER = "v = 1\n" + "".join(
    f"""
[[person]]
id = "P-{n}"
name = "Officer {n}"
agency = "PCC"
role = "CSO"
[[unit]]
id = "PCC.U-{n}"
callsign = "U{n}"
agency = "PCC"
members = ["P-{n}"]
[[device]]
id = "bcn-{n}"
kind = "beacon"
agency = "PCC"
[[booking]]
device = "bcn-{n}"
holder = "P-{n}"
from = 2026-01-01T00:00:00Z
how = "kiosk"
"""
    for n in range(UNITS)
)


class Sink:
    """The server's process, and what it has in its file."""

    def __init__(self, folder: Path, secrets: Path | None) -> None:
        self.port, self._file, self._secrets = free_port(), folder / "events", secrets
        self._process: subprocess.Popen[bytes] | None = None
        self._file.touch()

    def start(self) -> None:
        """On its port."""
        more = [] if self._secrets is None else [str(self._secrets)]
        words = [sys.executable, "-m", "tests.scenarios.tak_sink", str(self.port), str(self._file), *more]
        self._process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})

    def kill(self) -> None:
        """SIGKILL: what it had not read is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextlib.contextmanager
    def stalled(self) -> Iterator[None]:
        """It takes nothing, and does not hang up."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def lines(self) -> int:
        """How many events there are."""
        return len(self._file.read_bytes().splitlines())

    def told(self, kind: str, since: int = 0) -> set[str]:
        """The uids of the events of a type."""
        found = (HEAD.search(line) for line in self._file.read_bytes().splitlines()[since:])
        return {one[1].decode() for one in found if one is not None and one[2].decode() == kind}


class Town:
    """Beacons that walk all the time, from a thread, over the broker."""

    def __init__(self, broker: int) -> None:
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "town")
        self._client.connect("127.0.0.1", broker)
        self._client.loop_start()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._walk, daemon=True)
        self._thread.start()

    def press(self, n: int) -> None:
        """The button of a beacon."""
        self._say(n, time.time(), sos=True)

    def _say(self, n: int, at_s: float, **more: Any) -> None:
        at = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
        where = {"v": 1, "fix_time": at, "latitude": 52.5 + n / 1000, "longitude": -0.24, **more}
        self._client.publish(f"lapel/v1/beacon/bcn-{n}/position", json.dumps(where), 1)

    def _walk(self) -> None:
        while not self._ends.wait(0.25):
            for n in range(UNITS):
                self._say(n, time.time())

    def close(self) -> None:
        """Home."""
        self._ends.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


def secrets_in(folder: Path) -> Path:
    """A test authority, and certificates of the server and of the gateway."""
    openssl, ec = peers.program("openssl"), ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    folder.mkdir()

    def run(*words: str) -> None:
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    run("req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test CA", "-days", "2")
    (folder / "ext").write_text("subjectAltName=DNS:tak.test\n")
    for name in ("server", "client"):
        run("req", *ec, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        words = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "ext")
        run("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *words)
        (folder / f"{name}.key").chmod(0o600)
    return folder


def made(folder: Path, broker: int, sink: Sink, secrets: Path | None) -> GatewayProcess:
    """A gateway of beacons that tells the sink; small buffers are soon full, a stall is soon seen."""
    (folder / "roster.toml").write_text(ROSTER)
    text = configuration(
        folder / "data",
        broker,
        kinds=("beacon",),
        roster={"file": str(folder / "roster.toml")},
        evidence={"enabled": False},
        feed={"tick_ms": 20},
    )
    text += f'[[cot]]\nname = "tak"\nhost = "127.0.0.1"\nport = {sink.port}\nsettle_s = 0.1\nstall_s = 1.0\n'
    text += "repeat_s = 600.0\n"  # nothing here is owed to a repetition
    if secrets is not None:
        text += f'tls = true\nserver_name = "tak.test"\nca = "{secrets}/ca.pem"\n'
        text += f'cert = "{secrets}/client.pem"\nkey = "{secrets}/client.key"\n'
    return GatewayProcess(folder, text)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_no_emergency_is_lost(tmp_path: Path, tls: bool) -> None:
    """Twelve presses: before, during a stall, during a kill and behind it; two are over; then the gateway is killed."""
    secrets = secrets_in(tmp_path / "secrets") if tls else None
    sink = Sink(tmp_path, secrets)
    with mosquitto(tmp_path) as broker:
        gateway = made(tmp_path, broker, sink, secrets)
        town = Town(broker)
        try:
            sink.start()
            gateway.start().ready()
            night(gateway, sink, town, gateway.token())
        finally:
            town.close()
            gateway.kill()
            sink.kill()


def night(gateway: GatewayProcess, sink: Sink, town: Town, token: str) -> None:
    """What happens to them."""
    raised: dict[int, str] = {}

    def pressed(*numbers: int) -> None:
        for n in numbers:
            town.press(n)
        until(lambda: {f"PCC.U-{n}" for n in numbers} <= known().keys(), 10, f"presses {numbers}")
        raised.update({n: known()[f"PCC.U-{n}"] for n in numbers})

    def known() -> dict[str, str]:
        return {one["unit"]: one["id"] for one in ask(gateway, token, "/v1/emergencies")["emergencies"]}

    def over(n: int) -> None:
        ask(gateway, token, f"/v1/emergencies/{raised[n]}/clear", {"by": "Sgt 7", "outcome": "assisted"})

    def alerts(*numbers: int) -> set[str]:
        return {f"LAPEL.PCC.U-{n}-9-1-1" for n in numbers}

    sink.kill()
    pressed(0, 1)  # nobody listens
    sink.start()
    until(lambda: sink.told(ALERT) == alerts(0, 1), 20, "who comes late is told")
    until(lambda: len(sink.told(TRACK)) == UNITS, 20, "every track", 0.05)
    since = sink.lines()
    with sink.stalled():
        until(lambda: "takes nothing" in gateway.events("cot_down")[-1]["problem"], 30, "the stall is seen", 0.05)
        pressed(2, 3, 4)
        over(0)
    until(lambda: sink.told(ALERT, since) >= alerts(2, 3, 4), 20, "what came during the stall")
    until(lambda: sink.told(CANCEL, since) >= alerts(0), 20, "what was over during the stall")
    sink.kill()
    pressed(5, 6)
    over(1)
    sink.start()
    pressed(7)
    time.sleep(0.2)
    sink.kill()  # in the midst of its first events
    pressed(8, 9)
    since = sink.lines()
    sink.start()
    pressed(10, 11)
    standing = alerts(*range(2, 12))
    until(lambda: sink.told(ALERT, since) >= standing, 30, "all that are open")
    until(lambda: sink.told(CANCEL, since) >= alerts(0, 1), 30, "all that are over")
    assert sink.told(ALERT, since) == standing
    before = sink.lines()
    gateway.kill()
    gateway.start().ready()
    until(lambda: sink.told(ALERT, before) >= standing, 30, "all that are open, by a gateway that was killed")
    until(lambda: sink.told(CANCEL, before) >= alerts(0, 1), 30, "all that are over")
    assert sink.told(ALERT, before) == standing
