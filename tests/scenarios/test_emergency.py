"""Emergencies through the whole gateway: a real process, real pseudo-terminals, a program that follows the feed.

The figure is measured from before the last byte of the button's status is written until its event is read.
Two busy cores share everything here, the measuring program too: the figure is printed, CI holds it to a loose
second, and `make soak` (the marked test) to the 100 ms that are promised.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.follower import Follower
from tests.scenarios.gateway_process import GatewayProcess, until
from tests.scenarios.radio_line import EMERGENCY, RadioLine, call, lines, position, status, text

PRESSES = 50
FLOOD = 20_000
PROMISED_S, LOOSE_S = 0.1, 1.0
UNKNOWN = 9_000_000
ROSTER = """
v = 1
person = [
  { id = "P-0014", name = "Officer 14", agency = "PCC", role = "CSO", issi = 2341014 },
  { id = "P-0015", name = "Officer 15", agency = "PCC", role = "CSO", issi = 2341015 },
]
unit = [
  { id = "PCC.CSO-014", callsign = "CSO14", agency = "PCC", members = ["P-0014"] },
  { id = "PCC.CSO-015", callsign = "CSO15", agency = "PCC", members = ["P-0015"] },
]
device = [{ id = "trm-99", kind = "terminal", agency = "PCC", issi = 2341099 }]
[[booking]]
device = "trm-99"
holder = "P-0014"
from = 2026-01-01T00:00:00Z
to = 2026-02-01T00:00:00Z
how = "kiosk"
"""


def made(folder: Path, data: Path, radios: list[RadioLine], roster: str = ROSTER) -> GatewayProcess:
    """A gateway of radios alone, not yet started."""
    (folder / "roster.toml").write_text(roster)
    drivers = "".join(
        f'[[driver]]\nkind = "tetra"\nname = "terminal-{number}"\nport = "{radio.port}"\n'
        for number, radio in enumerate(radios)
    )
    return GatewayProcess(
        folder,
        f'[gateway]\ndata = "{data}"\n[roster]\nfile = "roster.toml"\n[evidence]\nenabled = false\n'
        f"[api]\nport = 0\n[feed]\ntest_status = 0x80F0\n{drivers}",
    )


@contextlib.contextmanager
def running(gateway: GatewayProcess) -> Iterator[str]:
    """Started, with a token; killed at the end however it went."""
    try:
        yield gateway.start().ready().token(f"tester-{time.monotonic_ns()}")
    finally:
        gateway.kill()


def ask(gateway: GatewayProcess, token: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """GET, or POST where there is a body."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(gateway.address.rstrip("/") + path, content, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        told: dict[str, Any] = json.load(answer)
        return told


def arrivals(radio: RadioLine, follower: Follower, first: int, presses: int = PRESSES) -> list[float]:
    """Seconds from the button to the feed, for so many radios that nobody knows, slowest last."""
    took = []
    for number in range(presses):
        issi = first + number
        pressed_s = radio.say(status(issi))
        came_s, record = follower.first("emergency", issi=issi)
        assert (record["state"], record["holder"], record["triggers"]) == ("active", "unknown", ["tetra_status"])
        took.append(came_s - pressed_s)
        time.sleep(0.01)
    return sorted(took)


def verdict(what: str, took: list[float], bound_s: float, record: Any) -> None:
    """Print the figure, and hold it."""
    p50_s, p99_s = took[len(took) // 2], took[min(len(took) - 1, int(len(took) * 0.99))]
    print(f"emergency, {what}: {len(took)} presses, p50 {p50_s * 1000:.1f} ms, p99 {p99_s * 1000:.1f} ms")
    record("p99_ms", round(p99_s * 1000, 1))
    assert p99_s <= bound_s


def flooded(folder: Path, bound_s: float, record: Any) -> None:
    """20,000 positions and more on one radio, the buttons on another, the databases locked, the roster empty."""
    with lines(2) as (busy, quiet):
        gateway = made(folder, folder / "data", [busy, quiet], "v = 1\n")
        with running(gateway) as token, Follower(gateway.address, token) as follower:
            with _locked(folder / "data"):
                busy.flood([2341014, 2341015], FLOOD)
                until(lambda: busy.flooded > 1000, 20, "the flood runs")
                took = arrivals(quiet, follower, UNKNOWN)
                until(lambda: busy.flooded > FLOOD, 60, "all positions were taken")
                took += arrivals(quiet, follower, UNKNOWN + 1000, 10)
            verdict("under positions, databases locked, nobody known", sorted(took), bound_s, record)


@contextlib.contextmanager
def _locked(data: Path) -> Iterator[None]:
    """Every database of the gateway held by somebody else."""
    with contextlib.ExitStack() as stack:
        files = sorted(data.rglob("*.db"))
        assert files
        for file in files:
            held = stack.enter_context(contextlib.closing(sqlite3.connect(file, isolation_level=None, timeout=10)))
            held.execute("BEGIN EXCLUSIVE")
            stack.callback(held.execute, "ROLLBACK")
        yield


def test_under_a_flood(tmp_path: Path, record_property: Any) -> None:
    """On the feed within a second, however loaded this machine is."""
    flooded(tmp_path, LOOSE_S, record_property)


@pytest.mark.soak
def test_under_a_flood_as_promised(tmp_path: Path, record_property: Any) -> None:
    """On the feed within 100 ms."""
    flooded(tmp_path, PROMISED_S, record_property)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of 16 MB of its own."""
    if os.geteuid() != 0:
        pytest.skip("LEFT OUT: only root mounts a file system to fill")
    place = folder / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"LEFT OUT: no file system can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)


def fill(place: Path) -> Path:
    """Take the last byte."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler


def full(folder: Path, bound_s: float, record: Any) -> None:
    """Out at once and said to be on no disk; on record, and said so, once there is room."""
    with small_disk(folder) as place, lines(1) as (radio,):
        gateway = made(folder, place / "data", [radio])
        with running(gateway) as token, Follower(gateway.address, token) as follower:
            filler = fill(place)
            took = arrivals(radio, follower, UNKNOWN)
            last = UNKNOWN + PRESSES - 1
            until(lambda: follower.events("emergency", issi=last, journalled=False), 10, "the disk's refusal is told")
            verdict("disk full", took, bound_s, record)
            filler.unlink()
            follower.first("emergency", 30, issi=last, journalled=True)
            gateway.kill()
        with running(gateway) as token:
            known = {one["issi"] for one in ask(gateway, token, "/v1/emergencies")["emergencies"]}
            assert known == set(range(UNKNOWN, UNKNOWN + PRESSES))


def test_with_the_disk_full(tmp_path: Path, record_property: Any) -> None:
    """On the feed within a second, on record as soon as there is room, through a kill."""
    full(tmp_path, LOOSE_S, record_property)


@pytest.mark.soak
def test_with_the_disk_full_as_promised(tmp_path: Path, record_property: Any) -> None:
    """On the feed within 100 ms."""
    full(tmp_path, PROMISED_S, record_property)


WAYS = {
    "tetra_status": status,
    "lip_reason": lambda issi: position(issi, reason=EMERGENCY),
    "tetra_call": call,
}


def test_its_life(tmp_path: Path) -> None:
    """Every order one emergency; its holder by the bookings; taken and ended by named people, over a kill; anew."""
    with lines(1) as (radio,):
        gateway = made(tmp_path, tmp_path / "data", [radio])
        with running(gateway) as token:
            with Follower(gateway.address, token) as follower:
                for number, order in enumerate(itertools.permutations(WAYS)):
                    for way in order:
                        radio.say(WAYS[way](UNKNOWN + number))
                    follower.first("emergency", issi=UNKNOWN + number, triggers=list(order))
                    assert len({one["id"] for _, one in follower.events("emergency", issi=UNKNOWN + number)}) == 1
                radio.say(status(2341099))
                _, lost = follower.first("emergency", issi=2341099)
                assert (lost["holder"], lost["last_held_by"]) == ("unknown", "P-0014")
                radio.say(status(2341014))
                _, mine = follower.first("emergency", issi=2341014)
                assert (mine["person"], mine["unit"]) == ("P-0014", "PCC.CSO-014")
                assert "holder" not in mine
                ask(gateway, token, f"/v1/emergencies/{mine['id']}/ack", {"by": "Inspector 3"})
                ask(gateway, token, f"/v1/emergencies/{lost['id']}/clear", {"by": "Sgt 7", "outcome": "test"})
                radio.say(text(2341015, "all quiet"))
                _, words = follower.first("message", text="all quiet")
                ask(gateway, token, f"/v1/messages/{words['id']}/dealt", {"by": "Sgt 7"})
                radio.say(status(2341015, 0x80F0))
                follower.first("proven", issi=2341015)
                follower.first("message", dealt_with_by="Sgt 7")
            urgent = tmp_path / "data/feed/urgent.log"
            until(lambda: b"proven_at" in urgent.read_bytes(), 5, "the log has the last act")
            gateway.kill()
        with running(gateway) as token:
            known = {one["id"]: one for one in ask(gateway, token, "/v1/emergencies")["emergencies"]}
            assert (known[mine["id"]]["state"], known[mine["id"]]["acknowledged_by"]) == ("acknowledged", "Inspector 3")
            assert (known[lost["id"]]["state"], known[lost["id"]]["cleared_by"]) == ("cleared", "Sgt 7")
            (message,) = ask(gateway, token, "/v1/messages")["messages"]
            assert (message["text"], message["dealt_with_by"]) == ("all quiet", "Sgt 7")
            handsets = {one["issi"]: one for one in ask(gateway, token, "/v1/handsets")["handsets"]}
            assert handsets[2341015]["proven_via"] == "terminal-0"
            with Follower(gateway.address, token) as follower:
                radio.say(status(2341099))
                _, anew = follower.first("emergency", issi=2341099, state="active")
                assert anew["id"] not in known
