"""Receivers' logs over a real broker: what is malformed is in quarantine, as it came, with the reason; no more."""

from __future__ import annotations

import json
import random
from pathlib import Path

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests import peers
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

TOPIC = "lapel/v1/beacon/bcn-1/position"
BAD = {
    "pygpsdata-nmeabadck.log": ["invalid checksum", None, "invalid checksum"],
    "pygpsdata-badeof.log": [None, None, None, None, "not an NMEA sentence with a checksum"],
}
"""What is wrong with each line, in its order."""


def spoiled(line: bytes, draw: random.Random) -> bytes:
    """One digit of it is another one."""
    places = [at for at, octet in enumerate(line[:-3]) if chr(octet).isdigit()]
    at = draw.choice(places)
    other = draw.choice([digit for digit in b"0123456789" if digit != line[at]])
    return line[:at] + bytes([other]) + line[at + 1 :]


def payloads() -> tuple[list[bytes], dict[bytes, str]]:
    """Every line in turn; which of them are malformed, and how."""
    lines, wrong, draw = [], {}, random.Random(1)
    for name, problems in BAD.items():
        found = peers.shared(f"vectors/nmea/{name}").read_bytes().splitlines()
        assert len(found) == len(problems)
        lines += [line for line in found if line]
        wrong |= {line: problem for line, problem in zip(found, problems, strict=True) if problem}
    good = peers.shared("vectors/nmea/quectel-eg25-g.log").read_bytes().splitlines()
    good = [line for line in good if line.startswith((b"$GPRMC", b"$GNRMC", b"$GPGGA")) and len(line) > 50][:40]
    made = {spoiled(line, draw): "invalid checksum" for line in good}
    return [*lines, *good, *made], wrong | made


@pytest.mark.timeout(60)
def test_every_malformed_line_is_kept_with_its_reason(tmp_path: Path) -> None:
    """As it came, each; what is well formed is not among them, and is acknowledged as well."""
    sent, wrong = payloads()
    assert len(wrong) > 20
    with mosquitto(tmp_path) as broker:
        text = configuration(tmp_path / "data", broker, kinds=("beacon",), evidence={"enabled": False})
        gateway = GatewayProcess(tmp_path, text)
        client = paho.Client(CallbackAPIVersion.VERSION2, "receiver")
        try:
            gateway.start().ready()
            until(
                lambda: httpx.get(f"{gateway.address}ready").json()["parts"]["inputs"] == "ok", 10, "it listens", 0.05
            )
            client.connect("127.0.0.1", broker)
            client.loop_start()
            for payload in sent:
                client.publish(TOPIC, payload, 1).wait_for_publish(5)

            def kept() -> list[dict[str, str]]:
                listed = json.loads(gateway.told("quarantine", "list", "--limit", "1000", "--json"))
                return [row for row in listed["rows"] if row["channel"] == TOPIC]

            until(lambda: len(kept()) >= len(wrong), 20, "all of them are kept", 0.5)
            rows = kept()
        finally:
            client.loop_stop()
            gateway.kill()
    assert sorted(bytes.fromhex(row["raw"]) for row in rows) == sorted(payload for payload in sent if payload in wrong)
    for row in rows:
        assert wrong[bytes.fromhex(row["raw"])] in row["reason"], row
