"""`lapel dock` as it runs at a station: a stick's layout, a real broker, a gateway, and kills in the middle."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import signal
from pathlib import Path

import pytest

from tests.dock.rig import DockProcess, toml
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto

pytestmark = pytest.mark.timeout(120)


def footage(path: Path, octets: int, seed: int = 1) -> str:
    """A file nobody can guess; its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = random.Random(seed).randbytes(octets)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def site(tmp_path):
    """Broker and gateway, running; the gateway's receipts are over at once."""
    with mosquitto(tmp_path) as port:
        text = configuration(tmp_path / "data", port, store={"reserve_mb": 8}, evidence={"receipt_keep_hours": 0})
        gateway = GatewayProcess(tmp_path, text).start().ready()
        try:
            yield gateway, port, tmp_path / "data" / "evidence" / "log" / "log.vkey"
        finally:
            gateway.kill()


def octets(folder: Path) -> int:
    """How much lies in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def sealed(gateway: GatewayProcess) -> dict[str, dict]:
    """Every sealed exhibit by SHA-256."""
    rows = json.loads(gateway.told("evidence", "list", "--json"))["exhibits"]
    assert all(row["complete"] for row in rows)
    assert len({row["sha256"] for row in rows}) == len(rows), "a recording was sealed twice"
    return {row["sha256"]: row for row in rows}


def test_a_stick_is_sent_kept_and_receipted(site, tmp_path):
    """Two cameras' folders, side files, a stranger's folder: all that can be is sealed, under its device."""
    gateway, port, vkey = site
    stick = tmp_path / "stick"
    hashes = {footage(stick / "AX100" / "DCIM" / f"CLIP{n:04}.MP4", 400_000 + n, n): "cam-0042" for n in range(4)}
    hashes[footage(stick / "AX100" / "DCIM" / "CLIP0001.gps", 900, 20)] = "cam-0042"
    hashes[footage(stick / "AX200" / "CLIP0001.MP4", 2_500_000, 30)] = "cam-0099"
    hashes[footage(stick / "AX200" / "EMPTY.MP4", 0)] = "cam-0099"
    footage(stick / "AX999" / "CLIP0001.MP4", 1000, 40)
    dock = DockProcess(toml(tmp_path, port, vkey), "--once")
    assert dock.ended(60) == 1, "the stranger's file was not sent"
    assert [each["problem"] for each in dock.of("waits")] == ["serial 'AX999' is no device's: name it under [serials]"]
    rows = sealed(gateway)
    assert {digest: row["device"] for digest, row in rows.items()} == hashes
    assert {each["sha256"] for each in dock.of("receipted")} == set(hashes)
    receipt = json.loads((stick / "AX200" / "CLIP0001.MP4.lapel-receipt.json").read_text())
    assert receipt["receipt"]["exhibit"] in {row["id"] for row in rows.values()}
    assert len(list(stick.rglob("*.MP4"))) == 7, "a copy was not kept"
    assert gateway.lapel("evidence", "verify", "--all").returncode == 0


def test_a_dock_killed_in_the_middle_goes_on_and_deletes_only_after_its_receipt(site, tmp_path):
    """SIGKILL again and again during one upload: sealed once, byte for byte; then deleted, never before."""
    gateway, port, vkey = site
    path = tmp_path / "stick" / "AX100" / "LONG.MP4"
    digest = footage(path, 64 << 20)
    config = toml(tmp_path, port, vkey, dock={"after": "delete", "segment_kib": 64})
    staging, partly = tmp_path / "data" / "evidence" / "staging", 0
    for _ in range(3):
        dock, before = DockProcess(config), octets(staging)
        dock.waits_for(lambda b=before: octets(staging) > b + (4 << 20) or not path.exists(), "it goes on", 30)
        dock.kill()
        partly += path.exists() and 0 < octets(staging) < 64 << 20
    dock = DockProcess(config)
    dock.waits_for(lambda: not path.exists(), "the file is deleted after its receipt")
    assert dock.terminate() == 0
    assert partly == 3, "it was never killed in the middle"
    assert set(sealed(gateway)) == {digest}
    assert list((tmp_path / "dock-state").glob("*.json")) == []


def test_a_gateway_that_is_away_is_waited_for(site, tmp_path):
    """The gateway dies in the middle and comes back: the dock asks what is durable and goes on."""
    gateway, port, vkey = site
    digest = footage(tmp_path / "stick" / "AX100" / "LONG.MP4", 24 << 20)
    dock = DockProcess(toml(tmp_path, port, vkey, dock={"after": "move", "move_to": "sent"}))
    dock.waits_for(lambda: dock.of("found"), "it begins")
    gateway.kill()
    gateway.start().ready()
    dock.waits_for(lambda: dock.of("moved"), "moved", 60)
    assert dock.terminate() == 0
    assert hashlib.sha256((tmp_path / "sent" / "cam-0042" / "LONG.MP4").read_bytes()).hexdigest() == digest
    assert (tmp_path / "sent" / "cam-0042" / "LONG.MP4.lapel-receipt.json").exists()
    assert not (tmp_path / "stick" / "AX100" / "LONG.MP4").exists()
    assert set(sealed(gateway)) == {digest}


def test_a_receipt_under_another_key_ends_nothing(site, tmp_path):
    """The pinned key is not the log's: said, nothing deleted, retried for ever."""
    gateway, port, _ = site
    path = tmp_path / "stick" / "AX100" / "A.MP4"
    footage(path, 1000)
    other = GatewayProcess(tmp_path / "stick", configuration(tmp_path / "other", port, kinds=()))
    other.start().ready()
    other.terminate()
    config = toml(tmp_path, port, tmp_path / "other/evidence/log/log.vkey", dock={"after": "delete"})
    dock = DockProcess(config)
    dock.waits_for(lambda: dock.of("waits"), "the receipt is refused")
    assert "receipt not accepted" in dock.of("waits")[0]["problem"]
    assert dock.terminate() == 0
    assert path.exists()
    assert not dock.of("receipted")
    assert len(sealed(gateway)) == 1


def test_a_file_that_changes_under_way_is_a_new_recording(site, tmp_path):
    """What was sent of the old content and the whole of the new are both kept; only the new is receipted here."""
    gateway, port, vkey = site
    path = tmp_path / "stick" / "AX100" / "A.MP4"
    footage(path, 16 << 20)
    dock = DockProcess(toml(tmp_path, port, vkey))
    dock.waits_for(lambda: dock.of("found"), "it begins")
    gateway.hold_still()
    new = footage(path, 3 << 20, 2)
    os.kill(gateway.pid, signal.SIGCONT)
    dock.waits_for(lambda: any(each["sha256"] == new for each in dock.of("receipted")), "the new one is sealed")
    assert dock.terminate() == 0
    assert path.stat().st_size == 3 << 20
