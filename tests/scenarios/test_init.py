"""A new site as a person begins it: `lapel init`, then what it says is next, word by word."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.scenarios.gateway_process import ROOT, free_port, until

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def lapel(*words: str) -> subprocess.CompletedProcess[str]:
    """A command, to its end."""
    command = [sys.executable, "-m", "gateway", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=ENVIRONMENT, check=False, timeout=60)


@pytest.mark.parametrize("words", [("--embedded",), ("--profile", "positions"), ("--profile", "cameras")])
def test_from_nothing_to_a_signed_in_person(tmp_path: Path, words: tuple[str, ...]) -> None:
    """The gateway starts at once, with a broker or without one yet; every step but the broker's is done as printed."""
    port = free_port()
    where = ("-o", str(tmp_path / "new site"), "--port", str(port), "--broker", f"127.0.0.1:{free_port()}")
    told = json.loads(lapel("init", *where, *words, "--json").stdout)
    commands = [shlex.split(step["command"])[1:] for step in told["next"] if step["command"]]
    (run,) = [command for command in commands if command[0] == "run"]
    said: dict[str, str] = {}
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", *run], cwd=ROOT, env=ENVIRONMENT, stdout=file, stderr=file
        )
    try:
        until(lambda: b'"started"' in log.read_bytes() or process.poll() is not None, 30, "it starts", 0.1)
        assert process.poll() is None, log.read_text()
        for command in (each for each in commands if each[0] not in ("run", "broker")):
            done = lapel(*command)
            assert done.returncode == 0, (command, done.stderr)
            said[" ".join(command[:2])] = done.stdout
        headers = {"Authorization": f"Bearer {said['token create'].strip()}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
            assert client.get("/v1/units").json()["features"] == []
            listed = client.get("/v1/exhibits").status_code
            ready = client.get("/ready").json()
        assert (listed == 200, "evidence" in ready["parts"]) == ("positions" not in words,) * 2
        assert ready["parts"]["inputs"] == ("ok" if "--embedded" in words else "degraded")
    finally:
        process.terminate()
        assert process.wait(20) == 0
    if "trust print" in said:
        assert lapel("log", "verify", "-c", told["config"]).returncode == 0
