"""A gateway of its own behind a Mosquitto of its own, plain or with mutual TLS, for one measurement."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port

BROKER = (
    "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
    "max_queued_messages 0\nset_tcp_nodelay true\n"
)
BEACON = "bcn-0001"
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
id = "{BEACON}"
kind = "beacon"
agency = "PCC"
[[booking]]
device = "{BEACON}"
holder = "P-0014"
from = 2026-01-01T00:00:00Z
how = "kiosk"
"""
MUTUAL = "cafile {0}/ca.crt\ncertfile {0}/server.crt\nkeyfile {0}/server.key\nrequire_certificate true\n"


def listens(port: int) -> None:
    """Wait until somebody listens."""
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on {port}")


def certificates(folder: Path) -> Path:
    """A CA, the broker's certificate and one for gateway and camera, made by openssl."""
    made = folder / "certificates"
    made.mkdir()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=made, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=bench CA", "-days", "2")
    (made / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    for name in ("server", "client"):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signs = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "san", "-days", "2")
        openssl("x509", "-req", "-in", f"{name}.csr", *signs, "-out", f"{name}.crt")
    return made


@dataclass(frozen=True)
class Site:
    """What a bench sends to."""

    gateway: GatewayProcess
    port: int
    vkey: Path
    certificates: Path | None = None


@contextlib.contextmanager
def site(folder: Path, *, tls: bool = False, kinds: tuple[str, ...] = ("camera",)) -> Iterator[Site]:
    """Broker and gateway on a fresh store."""
    folder.mkdir(parents=True, exist_ok=True)
    port, made = free_port(), certificates(folder) if tls else None
    config = folder / "mosquitto.conf"
    config.write_text(BROKER.format(port=port) + (MUTUAL.format(made) if made else ""))
    log = (folder / "mosquitto.log").open("wb")
    broker = subprocess.Popen(["mosquitto", "-c", str(config)], stdout=log, stderr=log)
    (folder / "roster.toml").write_text(ROSTER)
    roster = {"file": str(folder / "roster.toml")}
    text = configuration(folder / "data", port, kinds=kinds, store={"reserve_mb": 0}, roster=roster)
    if made is not None:
        ends = "".join(
            f"{name} = '{made}/{file}'\n"
            for name, file in (("ca", "ca.crt"), ("cert", "client.crt"), ("key", "client.key"))
        )
        text = text.replace("[broker]\n", f"[broker]\n{ends}", 1)
    gateway = GatewayProcess(folder, text)
    try:
        listens(port)
        gateway.start().ready()
        yield Site(gateway, port, folder / "data" / "evidence" / "log" / "log.vkey", made)
        gateway.terminate()
    finally:
        gateway.kill()
        broker.kill()
        broker.wait()
        log.close()


class Memory:
    """The largest resident size of a process while watched, in MB."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak, self.done = pid, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def now(self) -> float:
        """Resident MB now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def watch(self) -> None:
        """Look twenty times a second."""
        while not self.done.wait(0.05):
            self.peak = max(self.peak, self.now())

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()
