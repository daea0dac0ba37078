"""Eight terminals at work on a whole gateway: its share of a core, and the time from a report's last byte to the feed.

The gateway runs as an operator runs it, on pseudo-terminals, with one consumer of its feed. The peer is the least
there could be between the same two ends, in the same run: a plain asyncio reader of the same ports that writes the
same bytes to a local socket. What is above the peer's latency is the gateway's tick and its work.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import tty
import urllib.request
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from urllib.parse import urlsplit

from firmware_stubs import roster
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, until

TERMINALS, PER_SECOND = 8, 20
UNITS = TERMINALS * PER_SECOND
"""Each reports once a second, so that no report replaces another within a tick."""
TICK_MS = 10
WARM_S, LOAD_S = 2, 20
SOUTH, WEST = int(52.5 * 2**24 / 180), int(0.24 * 2**25 / 360)
CPU_AIM_PERCENT, P99_AIM_MS = 10.0, 20.0

Heard = list[tuple[float, bytes]]
SHOWN = re.compile(rb'event: position\ndata: [^\n]*?"coordinates":\[[^,\]]+,([^\]]+)\][^\n]*\n\n')
ECHOED = re.compile(rb"\+CTSDSR: [^\r]+\r\n([0-9A-F]{21})\r\n")


def _report(unit: int, turn: int) -> tuple[int, bytes]:
    """A short location report (TS 100 392-18-1) after its PID, and its latitude, which no other report has."""
    latitude = SOUTH + unit * 64 + turn
    bits = f"{0x0A:08b}0000{-WEST & 0x1FFFFFF:025b}{latitude:024b}{1:03b}{4:07b}{3:04b}0{4:08b}"
    line = f"\r\n+CTSDSR: 12,{roster.FIRST_ISSI + unit},0,9999,0,{len(bits)}\r\n{int(bits, 2):021X}\r\n"
    return latitude, line.encode()


def _schedule(first_turn: int, turns: int) -> list[tuple[float, int, int, bytes]]:
    """When which terminal says what: each has a slot every 50 ms, and speaks at any moment of it."""
    chance, plan = random.Random(first_turn), []
    for turn in range(first_turn, first_turn + turns):
        for unit in range(UNITS):
            slot, terminal = divmod(unit, TERMINALS)
            due_s = turn - first_turn + (slot + chance.random()) / PER_SECOND
            plan.append((due_s, terminal, *_report(unit, turn)))
    return sorted(plan)


class Radios:
    """The terminals: a thread says OK to every command, `say` writes reports at their times."""

    def __init__(self) -> None:
        self._pairs = [os.openpty() for _ in range(TERMINALS)]
        for _, slave in self._pairs:
            tty.setraw(slave)
        self.ports = [os.ttyname(slave) for _, slave in self._pairs]
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._ends.set()
        self._thread.join()
        for master, slave in self._pairs:
            os.close(master)
            os.close(slave)

    def _answer(self) -> None:
        masters = [master for master, _ in self._pairs]
        while not self._ends.is_set():
            for master in select.select(masters, [], [], 0.5)[0]:
                os.write(master, b"\r\nOK\r\n" * os.read(master, 4096).count(b"\r"))

    def say(self, first_turn: int, turns: int) -> dict[int, float]:
        """Write reports for so many seconds; by latitude, the moment after each one's last byte."""
        plan, sent = _schedule(first_turn, turns), {}
        began_s = time.monotonic()
        for due_s, terminal, latitude, line in plan:
            time.sleep(max(0.0, began_s + due_s - time.monotonic()))
            assert os.write(self._pairs[terminal][0], line) == len(line)
            sent[latitude] = time.monotonic()
        return sent


class Ear:
    """Reads a socket to its end, in a thread; what came and when. Nothing is taken apart while it listens."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self.heard: Heard = []
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while piece := self._line.recv(65_536):
                self.heard.append((time.monotonic(), piece))

    def close(self) -> None:
        """Stop."""
        with contextlib.suppress(OSError):
            self._line.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._line.close()

    def first(self, pattern: re.Pattern[bytes], latitude: object) -> dict[int, float]:
        """By latitude, the moment at which the last byte of the first record that has it was there."""
        whole, ends = b"".join(piece for _, piece in self.heard), list(accumulate(len(p) for _, p in self.heard))
        came: dict[int, float] = {}
        for found in pattern.finditer(whole):
            came.setdefault(latitude(found[1]), self.heard[bisect_left(ends, found.end())][0])  # type: ignore[operator]
        return came


def _cpu_s(pid: int) -> float:
    """Processor time of all its threads so far (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _figures(sent: dict[int, float], came: dict[int, float], cpu_s: float) -> dict[str, float]:
    taken = sorted((came[latitude] - at_s) * 1000 for latitude, at_s in sent.items() if latitude in came)
    assert taken, "nothing arrived"
    return {
        "sent": len(sent),
        "arrived": len(taken),
        "p50_ms": round(taken[len(taken) // 2], 3),
        "p99_ms": round(taken[len(taken) * 99 // 100], 3),
        "max_ms": round(taken[-1], 3),
        "cpu_percent": round(100 * cpu_s / LOAD_S, 2),
    }


def _measured(radios: Radios, pid: int, first_turn: int) -> tuple[dict[int, float], float]:
    """What was sent after a few seconds of the same, and the processor time that the process took for it."""
    radios.say(first_turn, WARM_S)
    before_s = _cpu_s(pid)
    sent = radios.say(first_turn + WARM_S, LOAD_S)
    used_s = _cpu_s(pid) - before_s
    time.sleep(0.5)
    return sent, used_s


def _settings(folder: Path, ports: list[str]) -> str:
    """The configuration, with a roster of one radio and one unit an officer beside it."""
    people = tuple(
        roster.Person(f"P-{n:04d}", f"{7000 + n}", "PCC", "CSO", roster.FIRST_ISSI + n, ("pcn",)) for n in range(UNITS)
    )
    units = tuple(roster.Unit(f"PCC.{each.id}", f"U{each.id[2:]}", "PCC", "foot", (each.id,)) for each in people)
    terminals = tuple(roster.Device(f"trm-{each.issi}", "terminal", "PCC", each.id, each.issi) for each in people)
    (folder / "roster.toml").write_text(roster.toml(roster.Roster(people, units, terminals), datetime.now(UTC)))
    feed, file = {"tick_ms": TICK_MS}, {"file": str(folder / "roster.toml")}
    text = configuration(folder / "data", 1, kinds=(), evidence={"enabled": False}, feed=feed, roster=file)
    for number, port in enumerate(ports):
        text += f'[[driver]]\nkind = "tetra"\nname = "terminal-{number}"\nport = "{port}"\n'
    return text


def _all_up(gateway: GatewayProcess, token: str) -> bool:
    request = urllib.request.Request(f"{gateway.address.rstrip('/')}/v1/drivers")
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return all(one["state"] == "up" for one in json.load(answer)["inputs"].values())


def _following(address: str, token: str) -> Ear:
    """A consumer of the feed, after its snapshot."""
    place = urlsplit(address)
    line = socket.create_connection((place.hostname, place.port))
    line.sendall(f"GET /v1/feed HTTP/1.1\r\nHost: lapel\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    ear = Ear(line)
    until(lambda: b"event: snapshot" in b"".join(piece for _, piece in list(ear.heard)), 10, "the snapshot")
    return ear


def _gateway(radios: Radios) -> dict[str, float]:
    """The whole gateway between the ports and a consumer."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        gateway = GatewayProcess(Path(name), _settings(Path(name), radios.ports))
        stack.callback(gateway.kill)
        token = gateway.start().ready().token()
        until(lambda: _all_up(gateway, token), 30, "all terminals are up", 0.1)
        ear = _following(gateway.address, token)
        stack.callback(ear.close)
        time.sleep(1)
        before_s = _cpu_s(gateway.pid)
        time.sleep(5)
        idle_percent = (_cpu_s(gateway.pid) - before_s) * 20
        sent, cpu_s = _measured(radios, gateway.pid, 0)
        came = ear.first(SHOWN, lambda degrees: round(float(degrees) * 2**24 / 180))
    return {**_figures(sent, came, cpu_s), "idle_cpu_percent": round(idle_percent, 2)}


@contextlib.contextmanager
def _echo(ports: list[str]) -> Iterator[tuple[int, Ear]]:
    """The peer as a process, and the ear at its socket."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        words = [sys.executable, "-m", "tests.bench.terminals", "echo", str(server.getsockname()[1]), *ports]
        peer = subprocess.Popen(words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
        try:
            ear = Ear(server.accept()[0])
            try:
                yield peer.pid, ear
            finally:
                ear.close()
        finally:
            peer.kill()
            peer.wait()


def _peer(radios: Radios) -> dict[str, float]:
    """The plain reader between the ports and a socket."""
    with _echo(radios.ports) as (pid, ear):
        sent, cpu_s = _measured(radios, pid, 0)
        came = ear.first(ECHOED, lambda digits: int(digits, 16) >> 23 & 0xFFFFFF)
    return _figures(sent, came, cpu_s)


async def _copy(port: str, out: asyncio.StreamWriter) -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    file = Path(port).open("rb", buffering=0)  # noqa: SIM115 - the loop has it, to the end of the process
    await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, file)
    while line := await reader.readline():
        out.write(line)


async def _copy_all(listener: int, ports: list[str]) -> None:
    """Be the peer: each line to the socket as soon as it is whole."""
    _, out = await asyncio.open_connection("127.0.0.1", listener)
    async with asyncio.TaskGroup() as group:
        for port in ports:
            group.create_task(_copy(port, out))


def run() -> dict[str, object]:
    """The gateway's figures, the peer's, and how many times the peer's latency and work ours are."""
    radios = Radios()
    try:
        ours, peer = _gateway(radios), _peer(radios)
    finally:
        radios.close()
    names = ("p50_ms", "p99_ms", "cpu_percent")
    return {
        "gateway": ours,
        "peer": peer,
        "ratio": {name.rpartition("_")[0]: round(ours[name] / max(peer[name], 0.001), 1) for name in names},
        "aim": {"cpu_percent": CPU_AIM_PERCENT, "p99_ms": P99_AIM_MS},
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["echo"]:
        asyncio.run(_copy_all(int(sys.argv[2]), sys.argv[3:]))
    else:
        print(json.dumps(run(), indent=1))
