"""`lapel demo` as a person runs it: a process of its own, over real ports, to its account."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.scenarios.gateway_process import until

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def demo(data: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Start one; it is gone afterwards, whatever a test found."""
    command = [sys.executable, "-m", "gateway", "demo", "--data", str(data), "--port", "0", "--json", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, cwd=ROOT, env=ENVIRONMENT, start_new_session=True, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def lapel(*words: object) -> subprocess.CompletedProcess[str]:
    """Another command."""
    command = [sys.executable, "-m", "gateway", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, check=False)


def test_half_a_minute(tmp_path: Path) -> None:
    """Exit 0, nothing lost, counts that agree with each other and with the store; what it stored verifies."""
    with demo(tmp_path, "--duration", "30") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert out.count("\n") == 1
    account = json.loads(out)
    assert (account["v"], account["lost"], account["violations"]) == (1, 0, [])
    assert account["positions_sent"] > 50
    assert account["positions_accepted"] + account["held"] >= account["positions_sent"]
    assert account["recordings_sent"] > 0
    done = account["recordings_sealed"] + account["held"] + account["abandoned"]
    assert done >= account["recordings_sent"]
    assert account["quarantined"] >= account["rubbish_sent"] > 0
    listed = json.loads(lapel("evidence", "list", "--data", tmp_path, "--json").stdout)
    sealed = [row for row in listed["exhibits"] if row["sealed_at"] is not None]
    assert sum(row["complete"] for row in sealed) == account["recordings_sealed"]
    (named,) = account["lost_on_purpose"]
    (part,) = [row for row in sealed if not row["complete"]]
    assert account["abandoned"] == 1
    assert all(word in named for word in (part["device"], part["recording"], part["id"], "missing", "incomplete"))
    expected = json.loads(lapel("evidence", "expected", "--data", tmp_path, "--json").stdout)["expected"]
    assert [(row["recording"], row["state"]) for row in expected if row["exhibit"]] == [
        (part["recording"], "incomplete")
    ]
    refused = json.loads(lapel("quarantine", "list", "--data", tmp_path, "--json").stdout)
    assert refused["count"] == account["quarantined"]
    verified = lapel("evidence", "verify", "--all", "--data", tmp_path)
    assert verified.returncode == 0, verified.stderr
    assert lapel("check", "-c", tmp_path / "lapel.toml").returncode == 0


def test_ctrl_c(tmp_path: Path) -> None:
    """It says where it is and with which token; interrupted it ends in order with its account, nothing runs on."""
    with demo(tmp_path) as process:
        assert process.stderr is not None
        first = process.stderr.readline().split()
        url, token = first[0], first[2]
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, trust_env=False) as client:
            until = time.monotonic() + 30
            while not any(unit["geometry"] for unit in client.get("/v1/units").json()["features"]):
                assert time.monotonic() < until, "no unit was seen"
                time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert json.loads(out)["lost"] == 0
    assert subprocess.run(["pgrep", "-s", str(process.pid)], capture_output=True, check=False).stdout == b""
    assert lapel("evidence", "verify", "--data", tmp_path).returncode == 0


def test_killed_it_leaves_nobody_behind(tmp_path: Path) -> None:
    """Its witness, which Ctrl-C spares, its devices, and whatever they had started, end with it."""
    started = tmp_path / "witness.log"
    with demo(tmp_path, "--units", "2"):
        until(lambda: started.exists() and b"witness_started" in started.read_bytes(), 60, "the witness starts", 0.1)
        assert len(running(tmp_path)) >= 3
    until(lambda: not running(tmp_path), 20, "everybody ends", 0.1)


def test_a_witness_of_a_test_ends_with_it(tmp_path: Path) -> None:
    """Also where nothing could be tidied up."""
    play = "import pathlib, sys, time; from tests.scenarios.witness_process import WitnessProcess as W; "
    play += "W(pathlib.Path(sys.argv[1]), 'w').start(); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", play, str(tmp_path)], cwd=ROOT, env=ENVIRONMENT) as process:
        log = tmp_path / "w/log"
        try:
            until(lambda: log.exists() and b"witness_started" in log.read_bytes(), 30, "the witness starts", 0.1)
        finally:
            process.kill()
    until(lambda: not running(tmp_path), 20, "it ends", 0.1)


def running(data: Path) -> list[int]:
    """Processes that were given something below there."""
    found = subprocess.run(["pgrep", "-f", f" {data}"], capture_output=True, text=True, check=False)
    return [int(number) for number in found.stdout.split()]
