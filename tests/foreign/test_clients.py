"""Clients that are not ours, each pipelining `fin` right behind its segments: every upload is sealed, byte for byte."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import threading

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests import peers
from tests.faults.camera_process import footage
from tests.faults.sealed_once import sealed_once, verifies
from tests.foreign.node import HERE, packages
from tests.scenarios.gateway_process import ROOT, GatewayProcess, configuration, mosquitto

OCTETS = 3_000_001
SEGMENT = 262_144


@pytest.fixture
def site(tmp_path):
    """A gateway process behind a real Mosquitto, and the broker's port."""
    with mosquitto(tmp_path) as port:
        gateway = GatewayProcess(tmp_path, configuration(tmp_path / "data", port, store={"reserve_mb": 0}))
        try:
            gateway.start().ready()
            subscribed(port)
            yield gateway, port
        finally:
            gateway.kill()


def subscribed(port: int) -> None:
    """Return once a gateway hears cameras: a broker drops what is published before, and these clients ask once."""
    answered = threading.Event()
    asking = paho.Client(CallbackAPIVersion.VERSION2, "cam-0001")
    asking.on_message = lambda *_: answered.set()
    asking.connect("127.0.0.1", port)
    asking.loop_start()
    asking.subscribe("lapel/v1/camera/cam-0001/response", 1)
    for _ in range(100):
        asking.publish("lapel/v1/camera/cam-0001/file/nothing/status", b"", 1)
        if answered.wait(0.1):
            break
    asking.disconnect()
    asking.loop_stop()
    assert answered.is_set(), "no gateway answers"


@pytest.fixture
def recording(tmp_path):
    """A file nobody can guess."""
    return footage(tmp_path / "20261121T210503Z-0017.mp4", OCTETS, 7)


def sealed(gateway, recording, receipt: dict) -> None:
    """The receipt names the one exhibit that holds these very bytes."""
    row = sealed_once(gateway, recording, recording.parent)
    assert receipt["exhibit"] == row["id"]
    assert receipt["sha256"] == hashlib.sha256(recording.read_bytes()).hexdigest()
    verifies(gateway)


def test_mosquitto_pub_in_a_shell(site, recording):
    """docs/upload.sh as it is printed; run again, it gets the same receipt."""
    gateway, port = site
    if not (shutil.which("mosquitto_pub") and shutil.which("mosquitto_sub")):
        peers.left_out("mosquitto_pub is not installed")
    words = ["sh", str(ROOT / "docs" / "upload.sh"), str(recording), "cam-0042", "-h", "127.0.0.1", "-p", str(port)]
    receipts = []
    for _ in range(2):
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "PATIENCE": "20"})
        assert done.returncode == 0, done.stderr
        receipts.append(json.loads(done.stdout.splitlines()[0])["receipt"])
    assert receipts[0]["exhibit"] == receipts[1]["exhibit"]
    sealed(gateway, recording, receipts[0])


def test_the_shell_says_when_nothing_was_sealed(site, recording):
    """Without a gateway every publish is acknowledged all the same: no receipt, exit 1."""
    gateway, port = site
    gateway.terminate()
    words = ["sh", str(ROOT / "docs" / "upload.sh"), str(recording), "cam-0042", "-h", "127.0.0.1", "-p", str(port)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "PATIENCE": "2"})
    assert (done.returncode, done.stdout) == (1, "")
    assert "no receipt" in done.stderr


@pytest.mark.parametrize("version", [4, 5])
@pytest.mark.timeout(200)
def test_mqtt_js(site, recording, version):
    """MQTT.js, 3.1.1 and 5, the whole file published at once."""
    gateway, port = site
    try:
        modules = packages()
    except OSError as reason:
        peers.left_out(f"{reason} is missing")
    words = ["node", str(HERE / "upload.mjs"), str(port), "cam-0043", str(recording), str(SEGMENT), str(version)]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=60, env={**os.environ, "LAPEL_NODE": str(modules)}
    )
    assert done.returncode == 0, done.stderr
    sealed(gateway, recording, json.loads(done.stdout))


def test_paho_of_version_5(site, recording):
    """Paho speaking MQTT 5: one publish behind the other, segments in reverse, the receipt in the end."""
    gateway, port = site
    content, receipts, told = recording.read_bytes(), [], threading.Event()
    root = "lapel/v1/camera/cam-0044"

    def heard(_client, _user, message):
        said = json.loads(message.payload)
        if said.get("recording") == recording.stem and "receipt" in said:
            receipts.append(said["receipt"])
            told.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, "cam-0044", protocol=paho.MQTTv5)
    client.on_message = heard
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.subscribe(f"{root}/response", 1)
    file = f"{root}/file/{recording.stem}"
    client.publish(f"{file}/init", json.dumps({"v": 1, "name": recording.name}), 1)
    for offset in reversed(range(0, OCTETS, SEGMENT)):
        client.publish(f"{file}/{offset}", content[offset : offset + SEGMENT], 1)
    client.publish(f"{file}/fin/{OCTETS}/{hashlib.sha256(content).hexdigest()}", b"", 1)
    assert told.wait(30), "no receipt"
    client.disconnect()
    client.loop_stop()
    sealed(gateway, recording, receipts[0])
