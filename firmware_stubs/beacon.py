"""A position beacon over real MQTT: OwnTracks or plain JSON, QoS 1, everything counted until acknowledged."""

import argparse
import json
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_stubs.jsonline import say
from firmware_stubs.mqtt import KEEPALIVE_S, Broker

FORMS = ("owntracks", "plain")
RUBBISH = ("malformed", "null_island", "out_of_range")


@dataclass(frozen=True)
class Reading:
    """What the beacon's receiver says: degrees, metres a second, degrees true."""

    at: datetime
    latitude: float
    longitude: float
    speed_mps: float
    heading_deg: float
    accuracy_m: int = 6
    battery_pct: int = 80


def owntracks(reading: Reading, device: str) -> dict[str, object]:
    """An OwnTracks location, as its public apps send it: km/h and whole numbers."""
    return {
        "_type": "location",
        "lat": round(reading.latitude, 6),
        "lon": round(reading.longitude, 6),
        "tst": int(reading.at.timestamp()),
        "acc": reading.accuracy_m,
        "vel": round(reading.speed_mps * 3.6),
        "cog": round(reading.heading_deg) % 360,
        "batt": reading.battery_pct,
        "tid": device[-2:],
        "t": "t",
    }


def plain(reading: Reading, *, sos: bool = False) -> dict[str, object]:
    """Our own JSON position."""
    return {
        "v": 1,
        "fix_time": reading.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "latitude": round(reading.latitude, 6),
        "longitude": round(reading.longitude, 6),
        "accuracy_m": reading.accuracy_m,
        "heading_deg": round(reading.heading_deg, 1),
        "speed_mps": round(reading.speed_mps, 2),
        "battery_pct": reading.battery_pct,
        "sos": sos,
    }


class Beacon:
    """One beacon. The client keeps what is unacknowledged and sends it again after a reconnect."""

    def __init__(self, broker: Broker, device: str, form: str = "plain", *, retain: bool = True) -> None:
        self.device, self.form = device, form
        self.published: Counter[str] = Counter()
        self.acknowledged = 0
        self.connections = 0
        self._broker = broker
        self._retain = retain and form == "owntracks"
        self._client = broker.client(device)
        self._client.on_publish = self._on_publish
        self._client.on_connect = self._on_connect
        self._client.reconnect_delay_set(1, 5)

    @property
    def topic(self) -> str:
        """Where this beacon's form of payload belongs."""
        name = self.device
        return f"owntracks/{name}/phone" if self.form == "owntracks" else f"lapel/v1/beacon/{name}/position"

    @property
    def unacknowledged(self) -> int:
        """Publishes that the broker has not acknowledged."""
        return self.published.total() - self.acknowledged

    def open(self) -> None:
        """Begin to connect, for ever if need be."""
        self._client.connect_async(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect; what is unacknowledged stays counted."""
        self._client.disconnect()
        self._client.loop_stop()

    def report(self, reading: Reading) -> None:
        """Publish one position."""
        payload = owntracks(reading, self.device) if self.form == "owntracks" else plain(reading)
        self._publish("position", payload)

    def sos(self, reading: Reading) -> None:
        """Publish one position with the alarm pressed; only the plain form has one."""
        self._publish("sos", plain(reading, sos=True), f"lapel/v1/beacon/{self.device}/position")

    def rubbish(self, kind: str, reading: Reading) -> None:
        """Publish something a gateway must not plot."""
        payload = owntracks(reading, self.device) if self.form == "owntracks" else plain(reading)
        names = ("lat", "lon") if self.form == "owntracks" else ("latitude", "longitude")
        if kind == "malformed":
            self._send(kind, json.dumps(payload)[:-9].encode(), self.topic)
            return
        payload.update(dict.fromkeys(names, 0.0) if kind == "null_island" else {names[0]: 152.57})
        self._publish(kind, payload)

    def _publish(self, kind: str, payload: Mapping[str, object], topic: str | None = None) -> None:
        self._send(kind, json.dumps(payload, separators=(",", ":")).encode(), topic or self.topic)

    def _send(self, kind: str, octets: bytes, topic: str) -> None:
        # A retained piece of rubbish would greet every later subscriber.
        self.published[kind] += 1
        self._client.publish(topic, octets, qos=1, retain=self._retain and kind == "position")

    def _on_publish(self, _c: Client, _u: object, _mid: int, _code: ReasonCode, _p: Properties) -> None:
        self.acknowledged += 1

    def _on_connect(self, *_: object) -> None:
        self.connections += 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one beacon by hand, walking east."""
    given = _parser().parse_args(arguments)
    beacon = Beacon(Broker.parse(given.mqtt, given.credentials, given.certificates), given.device, given.form)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    beacon.open()
    ends = time.monotonic() + given.duration if given.duration else float("inf")
    chance, turn = random.Random(given.seed), 0
    while not stop.wait(given.every) and time.monotonic() < ends:
        here = Reading(datetime.now(UTC), 52.57, -0.24 + 2e-5 * turn, 1.4, 90, chance.randint(4, 12))
        if given.sos_at and turn == given.sos_at:
            beacon.sos(here)
        else:
            beacon.report(here)
        turn += 1
        say({"event": "progress", "published": beacon.published.total(), "unacknowledged": beacon.unacknowledged})
    drain = time.monotonic() + given.drain
    while beacon.unacknowledged and time.monotonic() < drain:
        time.sleep(0.05)
    beacon.close()
    say({"event": "summary", "published": beacon.published, "unacknowledged": beacon.unacknowledged})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m firmware_stubs.beacon", description=__doc__)
    parser.add_argument("--mqtt", required=True, help="HOST:PORT")
    parser.add_argument("--device", default="bcn-0001")
    parser.add_argument("--form", choices=FORMS, default="plain")
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--duration", type=float, default=0.0, help="seconds; 0 is until SIGTERM")
    parser.add_argument("--drain", type=float, default=10.0, help="seconds to wait for acknowledgements at the end")
    parser.add_argument("--sos-at", type=int, default=0, help="the turn on which the alarm is pressed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--credentials", type=Path, help="JSON file, device to password")
    parser.add_argument("--certificates", type=Path, help="folder with ca.crt, DEVICE.crt, DEVICE.key")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
