"""From a beacon's message at the broker to a consumer's socket: 5,000 a second, `tick_ms = 10`, real processes.

The control is a bare subscriber in the place of the gateway: what the bench's sender, the broker and the reading of it
take by themselves. Ages are those of the fix, stamped by the sender, so both have its own delay in them. QoS 0.
"""

from __future__ import annotations

import re
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from firmware_stubs.fleet_account import percentile
from tests.bench.readers import FOLLOW, cpu_s
from tests.bench.site import BROKER, listens
from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port

UNITS, RATE, TICK_MS = 1_000, 5_000, 10
WARM_S, SECONDS, TURN_S = 2.0, 5.0, 0.005
TOLD = re.compile(rb'"fix_time":"([^"]+)","received_at"')
SENT = re.compile(rb'"fix_time":"([^"]+)","latitude"')
PERSON = """[[person]]
id = "P-{0}"
name = "Officer {0}"
agency = "PCC"
role = "CSO"
powers = []
[[unit]]
id = "PCC.U-{0}"
callsign = "U{0}"
agency = "PCC"
kind = "foot"
members = ["P-{0}"]
[[device]]
id = "bcn-{0}"
kind = "beacon"
agency = "PCC"
[[booking]]
device = "bcn-{0}"
holder = "P-{0}"
from = 2026-01-01T00:00:00Z
how = "kiosk"
"""


def packet(first: int, body: bytes) -> bytes:
    """An MQTT 3.1.1 packet (section 2.2.3: the length, seven bits an octet)."""
    length, octets = len(body), b""
    while True:
        length, rest = divmod(length, 128)
        octets += bytes((rest | (0x80 if length else 0),))
        if not length:
            return bytes((first,)) + octets + body


def text(words: str) -> bytes:
    """A string with its length before it."""
    return len(words).to_bytes(2, "big") + words.encode()


def joined(port: int, name: str) -> socket.socket:
    """A connection of its own."""
    link = socket.create_connection(("127.0.0.1", port), 10)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.sendall(packet(0x10, text("MQTT") + b"\x04\x02\x00\x3c" + text(name)))
    assert link.recv(4)[3] == 0
    return link


def send(port: int, rate: int) -> None:
    """Until killed: everybody in turn, a metre further each time round."""
    link, sent, began_s = joined(port, "bench-sender"), 0, time.monotonic()
    while True:
        due, made = int((time.monotonic() - began_s) * rate), []
        for number in range(sent, due):
            turn, unit = divmod(number, UNITS)
            at, lat = datetime.now(UTC).isoformat(timespec="milliseconds")[:23], 52.5 + turn % 100 * 1e-5
            payload = f'{{"v":1,"fix_time":"{at}Z","latitude":{lat:.6f},"longitude":-0.24,"accuracy_m":8}}'
            made.append(packet(0x30, text(f"lapel/v1/beacon/bcn-{unit}/position") + payload.encode()))
        link.sendall(b"".join(made))
        sent = due
        time.sleep(TURN_S)


def ages_ms(link: socket.socket, pattern: re.Pattern[bytes], seconds: float) -> list[float]:
    """Of every fix that is read in so long, at the moment at which it is read."""
    found, rest, ends_s = [], b"", time.monotonic() + seconds
    link.setblocking(False)
    with selectors.DefaultSelector() as ready:
        ready.register(link, selectors.EVENT_READ)
        while (left_s := ends_s - time.monotonic()) > 0:
            if not ready.select(left_s):
                continue
            told, end = rest + link.recv(1 << 20), 0
            now_s = time.time()
            for each in pattern.finditer(told):
                found.append((now_s - datetime.fromisoformat(each[1].decode()).timestamp()) * 1000)
                end = each.end()
            rest = told[max(end, len(told) - 100) :]
    return found


def figures(ages: list[float]) -> dict[str, float]:
    """Median and tail."""
    return {
        "p50_ms": percentile(ages, 0.5) or 0.0,
        "p99_ms": percentile(ages, 0.99) or 0.0,
        "per_s": len(ages) / SECONDS,
    }


def control(port: int) -> dict[str, float]:
    """A subscriber in the gateway's place."""
    link = joined(port, "bench-control")
    link.sendall(packet(0x82, b"\x00\x01" + text("lapel/v1/beacon/+/position") + b"\x00"))
    ages_ms(link, SENT, WARM_S / 2)
    told = figures(ages_ms(link, SENT, SECONDS))
    link.close()
    return told


def through(folder: Path, port: int, sender: list[str]) -> dict[str, Any]:
    """A gateway between."""
    (folder / "roster.toml").write_text("v = 1\n" + "".join(PERSON.format(number) for number in range(UNITS)))
    sections = {
        "store": {"reserve_mb": 0},
        "roster": {"file": str(folder / "roster.toml")},
        "feed": {"tick_ms": TICK_MS},
    }
    gateway = GatewayProcess(folder, configuration(folder / "data", port, kinds=("beacon",), **sections))
    try:
        gateway.start().ready()
        host, _, number = gateway.address.removeprefix("http://").rstrip("/").partition(":")
        link = socket.create_connection((host, int(number)), 10)
        link.sendall(FOLLOW.replace("Bearer x", f"Bearer {gateway.token()}").encode())
        sending = subprocess.Popen(sender)
        try:
            ages_ms(link, TOLD, WARM_S)
            before_s, mine_s = cpu_s(gateway.pid), time.process_time()
            told: dict[str, Any] = figures(ages_ms(link, TOLD, SECONDS))
            told["gateway_cores"] = (cpu_s(gateway.pid) - before_s) / SECONDS
            told["reader_cores"] = (time.process_time() - mine_s) / SECONDS
            told["control"] = control(port)
        finally:
            sending.kill()
            sending.wait()
        gateway.terminate()
    finally:
        gateway.kill()
    return told


def run() -> dict[str, Any]:
    """One broker; the control while the gateway is at work too."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "mosquitto.conf").write_text(BROKER.format(port=port))
        log = (folder / "mosquitto.log").open("wb")
        broker = subprocess.Popen(["mosquitto", "-c", str(folder / "mosquitto.conf")], stdout=log, stderr=log)
        try:
            listens(port)
            sender = [sys.executable, "-m", "tests.bench.latency", "send", str(port), str(RATE)]
            told = through(folder, port, sender)
        finally:
            broker.kill()
            broker.wait()
            log.close()
    return {"aim_p99_ms": 30, **told, "by_the_gateway_p99_ms": told["p99_ms"] - told["control"]["p99_ms"]}


if __name__ == "__main__":
    if sys.argv[1:2] == ["send"]:
        send(int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(run())).decode() + "\n")
