"""`lapel demo` as a person runs it: a process of its own, over real ports, to its account."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def demo(data: Path, *words: str) -> subprocess.Popen[str]:
    """Start one."""
    command = [sys.executable, "-m", "gateway", "demo", "--data", str(data), "--port", "0", "--json", *words]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, text=True, cwd=ROOT, env=ENVIRONMENT, start_new_session=True, **pipes)


def lapel(*words: object) -> subprocess.CompletedProcess[str]:
    """Another command."""
    command = [sys.executable, "-m", "gateway", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, check=False)


def test_half_a_minute(tmp_path: Path) -> None:
    """Exit 0, nothing lost, counts that agree with each other and with the store; what it stored verifies."""
    process = demo(tmp_path, "--duration", "30")
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
    process = demo(tmp_path)
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
