"""Cameras and beacons over a real broker: restarts of everything, and an account that adds up."""

import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime

import pytest
from paho.mqtt.client import CallbackAPIVersion, Client

from firmware_stubs.beacon import Beacon, Reading
from firmware_stubs.mqtt import Broker
from tests.firmware_stubs.conftest import ROOT
from tests.firmware_stubs.gateway_double import MIB, GatewayDouble

CONTENT = bytes(range(251)) * 25_000


class GatewayOnTheWire:
    """The double behind a real broker; it comes back by itself."""

    def __init__(self, broker):
        self.double = GatewayDouble(window=2 * MIB)
        self.positions = []
        self._lock = threading.Lock()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id="gateway")
        self.client.on_connect = lambda client, *_: client.subscribe(
            [("lapel/v1/camera/+/file/#", 1), ("lapel/v1/beacon/#", 1), ("owntracks/#", 1)]
        )
        self.client.on_message = self._message
        self.client.reconnect_delay_set(1, 1)
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def _message(self, client, _userdata, message):
        if "/file/" not in message.topic:
            self.positions.append((message.topic, message.payload))
            return
        with self._lock:
            for topic, answer in self.double.receive(message.topic, message.payload):
                client.publish(topic, answer, qos=1)

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def gateway(broker):
    made = GatewayOnTheWire(broker)
    yield made
    made.close()


@pytest.fixture
def footage(tmp_path, gateway):
    """A file, a pinned key and the arguments of a camera for them."""
    file = tmp_path / "20261121T210503Z-0017.mp4"
    file.write_bytes(CONTENT)
    (tmp_path / "log.vkey").write_text(gateway.double.log.vkey + "\n")
    return file


def camera(broker, footage, *more):
    command = [sys.executable, "-m", "firmware_stubs.camera", "--mqtt", broker.address, "--device", "cam-0042"]
    command += ["--recording", footage, "--state", footage.with_suffix(".json")]
    command += ["--vkey", footage.parent / "log.vkey", "--patience", "1", "--timeout", "40", *more]
    return subprocess.Popen([str(word) for word in command], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def events(process):
    out, _ = process.communicate(timeout=60)
    return [json.loads(line) for line in out.splitlines()]


def until_durable(process):
    """Read until the first durable report."""
    for line in process.stdout:
        if json.loads(line)["event"] == "durable":
            return
    raise AssertionError("the camera ended early")


def test_a_camera_ends_with_a_verified_receipt(broker, gateway, footage):
    """Exit code 0, the receipt kept, and a second run has nothing to do."""
    process = camera(broker, footage)
    told = events(process)
    assert process.returncode == 0
    assert [each["event"] for each in told][-2:] == ["receipt", "summary"]
    assert told[-1]["violations"] == []
    kept = json.loads(footage.with_suffix(".json").read_text())
    assert kept["exhibit"] == "X-0001"
    again = camera(broker, footage)
    assert events(again)[0]["already"]
    offered = camera(broker, footage, "--reoffer")
    assert events(offered)[-1]["exhibit"] == "X-0001"
    assert offered.returncode == 0


def test_a_killed_camera_resumes(broker, gateway, footage):
    """Kill -9 in the middle: the next process sends no byte that was durable."""
    process = camera(broker, footage, "--pace-kib", "2048")
    until_durable(process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    kept = json.loads(footage.with_suffix(".json").read_text())["ever_durable"]
    assert kept[0][0] == 0
    gateway.double.commands.clear()
    told = events(camera(broker, footage))
    assert told[-1]["state"] == "receipted"
    assert told[-1]["violations"] == []
    assert "0" not in gateway.double.commands


def test_a_broker_that_restarts_is_survived(broker, gateway, footage):
    """The camera comes back by itself and ends with its receipt."""
    process = camera(broker, footage, "--pace-kib", "2048")
    until_durable(process)
    broker.stop()
    time.sleep(0.5)
    broker.start()
    told = events(process)
    assert process.returncode == 0
    assert told[-1]["violations"] == []


def test_a_gateway_that_restarts_is_survived(broker, gateway, footage):
    """Segments that the broker took and nobody heard are found missing and sent again."""
    process = camera(broker, footage, "--pace-kib", "2048")
    until_durable(process)
    gateway.client.disconnect()
    gateway.client.loop_stop()
    time.sleep(1.0)
    gateway.client.reconnect()
    gateway.client.loop_start()
    told = events(process)
    assert process.returncode == 0
    assert told[-1]["violations"] == []


def test_a_recording_abandoned_on_purpose(broker, gateway, footage):
    """It says abort and ends."""
    process = camera(broker, footage, "--pace-kib", "2048", "--abort-after", str(MIB))
    assert events(process)[-1]["state"] == "abandoned"
    assert process.returncode == 0
    assert gateway.double.commands[-1] == "abort"


@pytest.mark.parametrize("form", ["plain", "owntracks"])
def test_a_beacon_keeps_what_is_not_acknowledged(broker, gateway, form):
    """Published while the broker is away, delivered when it is back, each exactly counted."""
    beacon = Beacon(Broker("127.0.0.1", broker.port), "bcn-0931", form)
    beacon.open()
    here = Reading(datetime.now(UTC), 52.57, -0.24, 1.4, 90.0)
    for _ in range(5):
        beacon.report(here)
    wait(lambda: beacon.unacknowledged == 0)
    broker.stop()
    for _ in range(5):
        beacon.report(here)
    assert beacon.unacknowledged == 5
    broker.start()
    # The gateway's subscription is its own business: only the beacon's account is looked at here.
    wait(lambda: beacon.unacknowledged == 0)
    beacon.rubbish("null_island", here)
    beacon.sos(here)
    wait(lambda: beacon.unacknowledged == 0)
    assert beacon.published == {"position": 10, "null_island": 1, "sos": 1}
    assert beacon.acknowledged == 12
    beacon.close()
    topic, payload = gateway.positions[0]
    assert topic == beacon.topic
    assert json.loads(payload)["lat" if form == "owntracks" else "latitude"] == 52.57


def wait(true, patience_s=15.0):
    ends = time.monotonic() + patience_s
    while not true() and time.monotonic() < ends:
        time.sleep(0.02)
    assert true()
