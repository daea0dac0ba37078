"""The npm package `eventsource`, as it is, behind a line that is cut fifty times, over a kill -9 of the gateway."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests import peers
from tests.api.site import ROSTER
from tests.foreign.cutting import CuttingProxy
from tests.foreign.node import packages
from tests.foreign.test_feed import TOLD, UNITS, Night, latitude
from tests.scenarios.gateway_process import GatewayProcess, configuration, free_port, mosquitto, until

HERE = Path(__file__).parent / "events"
CUTS, STEPS = 50, 80


def stock_client(address: str, token: str) -> subprocess.Popen[str]:
    """One EventSource; it ends with the last position."""
    try:
        modules = packages(HERE)
    except OSError as reason:
        peers.left_out(f"{reason} is missing")
    words = ["node", str(HERE / "follow.mjs"), address, token, TOLD, str(latitude(2, STEPS - 1))]
    pipe, environment = subprocess.PIPE, {**os.environ, "LAPEL_NODE": str(modules)}
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment)


def kept(gateway: GatewayProcess) -> tuple[set[int], set[int]]:
    """The numbers of the duties and of the words on emergencies that the urgent log has."""
    lines = (gateway.config.parent / "data" / "feed" / "urgent.log").read_bytes().splitlines()[1:]
    found = [json.loads(line) for line in lines]
    return {one["seq"] for one in found if "code" in one}, {one["seq"] for one in found if "triggers" in one}


@contextlib.contextmanager
def street(folder: Path, cuts: int) -> Iterator[tuple[GatewayProcess, int, CuttingProxy]]:
    """A gateway on its way up, its broker's port, and the line to it."""
    (folder / "roster.toml").write_text(ROSTER)
    port = free_port()
    with mosquitto(folder) as broker:
        text = configuration(
            folder / "data",
            broker,
            kinds=("beacon",),
            roster={"file": str(folder / "roster.toml")},
            evidence={"enabled": False},
            api={"port": port},
            feed={"tick_ms": 20, "heartbeat_s": 0.5},
        )
        gateway, proxy = GatewayProcess(folder, text), CuttingProxy(port, cuts, int(os.environ.get("LAPEL_SEED", "1")))
        try:
            gateway.start().ready()
            yield gateway, broker, proxy
        finally:
            proxy.close()
            gateway.kill()


@pytest.mark.timeout(200)
def test_it_misses_nothing(tmp_path: Path) -> None:
    """One snapshot, one epoch, numbers rising, every urgent record, each unit's latest; it never gives up."""
    with street(tmp_path, CUTS) as (gateway, broker, proxy):
        followed(gateway, broker, proxy)


@pytest.mark.timeout(100)
def test_where_the_log_is_lost_it_begins_anew(tmp_path: Path) -> None:
    """Killed, and the feed's files gone: another epoch, a snapshot first; nothing of the former is mixed in."""
    with street(tmp_path, 0) as (gateway, broker, proxy):
        shift = Night(gateway, broker, gateway.token())
        client = stock_client(f"http://127.0.0.1:{proxy.port}/v1/feed", shift.token)
        for step in range(20):
            shift.act(step)
            time.sleep(0.02)
        gateway.kill()
        shutil.rmtree(tmp_path / "data" / "feed")
        gateway.start().ready()
        known = ended(client, shift)
    assert (len(known["epochs"]), known["snapshots"]) == (2, 2)
    assert known["seqs"] != sorted(known["seqs"])  # the second epoch counts for itself
    drop = next(at for at, (one, other) in enumerate(pairwise(known["seqs"])) if other <= one)
    for part in (known["seqs"][: drop + 1], known["seqs"][drop + 1 :]):
        assert part == sorted(set(part))
    assert known["units"][TOLD] == latitude(2, STEPS - 1)


def ended(client: subprocess.Popen[str], shift: Night) -> dict[str, Any]:
    """What it knows once it has the last position, which is behind everything else."""
    ends_s = time.monotonic() + 30
    while client.poll() is None and time.monotonic() < ends_s:
        shift.walk(STEPS - 1)
        time.sleep(0.25)
    out, wrong = client.communicate("\n", 10)
    shift.over()
    assert client.returncode == 0, wrong
    known: dict[str, Any] = json.loads(out)
    return known


def followed(gateway: GatewayProcess, broker: int, proxy: CuttingProxy) -> None:
    """A night with a kill in its middle, seen by a stock client through a bad line."""
    shift = Night(gateway, broker, gateway.token())
    client = stock_client(f"http://127.0.0.1:{proxy.port}/v1/feed", shift.token)
    until(lambda: proxy.cuts > 0, 20, "the client comes")
    for step in range(STEPS - 1):
        if step == STEPS // 2:
            gateway.kill()
            time.sleep(0.3)  # it is refused, and comes back all the same
            gateway.start().ready()
        shift.act(step)
        shift.walk(step)
        time.sleep(0.1)
    until(lambda: proxy.cuts >= CUTS, 40, "it is cut often enough")
    known = ended(client, shift)
    gateway.terminate()
    judged(known, shift, kept(gateway), proxy)


def judged(known: dict[str, Any], shift: Night, urgent_log: tuple[set[int], set[int]], proxy: CuttingProxy) -> None:
    """What it must know in the end."""
    print({name: known[name] for name in ("epochs", "snapshots", "opened", "errors")}, proxy.cuts, len(known["seqs"]))
    duties, emergencies = urgent_log
    first, last, told = known["seqs"][0], known["seqs"][-1], {one["seq"] for one in known["urgent"]}
    assert proxy.cuts == CUTS
    assert known["opened"] > CUTS // 2
    assert (len(known["epochs"]), known["snapshots"], known["empty"]) == (1, 1, 0)
    assert known["seqs"] == sorted(set(known["seqs"]))
    assert {seq for seq in duties if first < seq <= last} <= told
    assert {seq for seq in emergencies if first < seq <= last} <= told
    assert len(duties) > STEPS * 3 // 4
    assert {one["key"] for one in known["urgent"] if one["event"] == "emergency"} == shift.pressed
    assert {name: known["units"][name] for name in UNITS.values()} == {
        name: latitude(number, STEPS - 1) for number, name in enumerate(UNITS.values())
    }
