"""The end of every upload, whatever happened on the way: sealed once, byte for byte, and the whole store verifies."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from tests import peers
from tests.faults.camera_process import CameraProcess
from tests.scenarios.gateway_process import GatewayProcess


def camera_content(camera: CameraProcess) -> dict[str, Any]:
    """Its summary, which has no complaint."""
    summary = camera.summary()
    assert summary["state"] == "receipted", summary
    assert summary["violations"] == []
    assert camera.taken_back() == []
    return summary


def sealed_once(gateway: GatewayProcess, recording: Path, scratch: Path) -> dict[str, Any]:
    """The one sealed exhibit of a recording, its content compared by the stock `age`."""
    listed = json.loads(gateway.told("evidence", "list", "--json", "--limit", "10000"))["exhibits"]
    found = [row for row in listed if row["recording"] == recording.stem]
    assert len(found) == 1, f"{recording.stem} has {len(found)} exhibits"
    row, content = found[0], recording.read_bytes()
    assert (row["complete"], row["size"], row["sha256"]) == (True, len(content), hashlib.sha256(content).hexdigest())
    chain = json.loads(gateway.told("evidence", "show", row["id"], "--json"))["custody"]
    assert [each["kind"] for each in chain if each["kind"] in {"receive", "seal"}] == ["receive", "seal"]
    assert opened(gateway, row["id"], scratch) == content
    return row


def opened(gateway: GatewayProcess, exhibit: str, scratch: Path) -> bytes:
    """An exhibit's content, through `lapel keys identity` and the stock `age`."""
    peers.program("age")
    printed = gateway.lapel("keys", "identity", exhibit, "--purpose", "fault test")
    assert printed.returncode == 0, printed.stderr.decode()
    identity = scratch / f"{exhibit}.identity"
    identity.write_bytes(printed.stdout)
    blob = printed.stderr.decode().split()[-1]
    return subprocess.run(["age", "--decrypt", "-i", str(identity), blob], capture_output=True, check=True).stdout


def verifies(gateway: GatewayProcess) -> None:
    """Store and log, re-derived from the files, hold."""
    for words in (("evidence", "verify", "--all"), ("log", "verify")):
        done = gateway.lapel(*words)
        assert done.returncode == 0, f"{words}: exit {done.returncode}: {(done.stdout + done.stderr).decode()}"


def never_forked(gateway: GatewayProcess, receipts: list[dict[str, Any]]) -> None:
    """What was receipted at an index, however long ago and whoever died since, is what the log has there."""
    assert len({receipt["log_index"] for receipt in receipts}) == len(receipts)
    for receipt in receipts:
        leaf = gateway.lapel("log", "proof", str(receipt["log_index"]), "--leaf")
        assert leaf.returncode == 0, leaf.stderr.decode()
        assert leaf.stdout.rstrip(b"\n") == base64.b64decode(receipt["entry"]), (
            f"entry {receipt['log_index']} is another"
        )
