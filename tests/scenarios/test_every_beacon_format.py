"""Every beacon format over a real broker: live at once; what comes late or in a batch is history, each fix once."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.api.site import ROSTER
from tests.scenarios.gateway_process import GatewayProcess, configuration, mosquitto, until

PLAIN, OWN = "lapel/v1/beacon/bcn-14/position", "owntracks/bcn-14/phone"
UNIT, LON = "PCC.CSO-014", -0.24


def owntracks(at: datetime, lat: float) -> dict[str, Any]:
    """As the app sends it."""
    return {"_type": "location", "lat": lat, "lon": LON, "tst": int(at.timestamp()), "acc": 8, "t": "t", "tid": "14"}


def nmea(at: datetime, lat: float) -> bytes:
    """A receiver's second: RMC and GGA."""
    where = f"{int(lat):02d}{lat % 1 * 60:08.5f},N,{int(-LON):03d}{-LON % 1 * 60:08.5f},W"
    rmc = f"GPRMC,{at:%H%M%S}.00,A,{where},2.7,87.5,{at:%d%m%y},,,A"
    gga = f"GPGGA,{at:%H%M%S}.00,{where},1,08,1.0,11.0,M,47.0,M,,"
    return b"\r\n".join(f"${body}*{_sum(body):02X}".encode() for body in (rmc, gga))


def _sum(body: str) -> int:
    total = 0
    for octet in body.encode():
        total ^= octet
    return total


def text(at: datetime) -> str:
    """RFC 3339."""
    return at.isoformat().replace("+00:00", "Z")


FORMATS: dict[str, tuple[str, Callable[[datetime, float], Any]]] = {
    "owntracks": (OWN, owntracks),
    "json": (PLAIN, lambda at, lat: {"v": 1, "fix_time": text(at), "latitude": lat, "longitude": LON, "accuracy_m": 8}),
    "gpsd": (PLAIN, lambda at, lat: {"class": "TPV", "mode": 3, "time": text(at), "lat": lat, "lon": LON, "eph": 8.0}),
    "geojson": (
        PLAIN,
        lambda at, lat: {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [LON, lat]},
            "properties": {"time": text(at), "accuracy_m": 8},
        },
    ),
    "nmea": (PLAIN, nmea),
}


class Street:
    """One officer's beacon, and what the gateway makes of it."""

    def __init__(self, gateway: GatewayProcess, broker: int) -> None:
        self._gateway, self._token = gateway, gateway.token()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, "beacon")
        self._client.connect("127.0.0.1", broker)
        self._client.loop_start()

    def send(self, topic: str, said: object) -> None:
        """At least once."""
        payload = said if isinstance(said, bytes) else json.dumps(said).encode()
        self._client.publish(topic, payload, 1).wait_for_publish(5)

    def ask(self, path: str) -> dict[str, Any]:
        """The control room."""
        url = self._gateway.address.rstrip("/") + path
        request = urllib.request.Request(url, None, {"Authorization": f"Bearer {self._token}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            told: dict[str, Any] = json.load(answer)
        return told

    def live(self) -> float | None:
        """Where the unit is shown."""
        place = self.ask(f"/v1/units/{UNIT}")["geometry"]
        return place["coordinates"][1] if place else None

    def track(self, since: datetime) -> list[float]:
        """Its latitudes in the last day, by their own time."""
        told = self.ask(f"/v1/units/{UNIT}/track?from={text(since)}&purpose=test")
        points = [one for one in told["features"] if one["geometry"]["type"] == "LineString"]
        return [place[1] for line in points for place in line["geometry"]["coordinates"]]

    def close(self) -> None:
        """Home."""
        self._client.disconnect()
        self._client.loop_stop()


@pytest.mark.timeout(90)
def test_live_late_and_in_batches(tmp_path: Path) -> None:
    """Five formats one after the other; then what a beacon kept while it was out of reach, in three kinds of batch."""
    (tmp_path / "roster.toml").write_text(ROSTER)
    with mosquitto(tmp_path) as broker:
        text_of = configuration(
            tmp_path / "data",
            broker,
            kinds=("beacon",),
            roster={"file": str(tmp_path / "roster.toml")},
            evidence={"enabled": False},
            feed={"tick_ms": 20},
        )
        gateway = GatewayProcess(tmp_path, text_of)
        try:
            gateway.start().ready()
            until(
                lambda: httpx.get(f"{gateway.address}ready").json()["parts"]["inputs"] == "ok", 10, "it listens", 0.05
            )
            street = Street(gateway, broker)
            try:
                walk(street)
            finally:
                street.close()
        finally:
            gateway.kill()


def walk(street: Street) -> None:
    """As it happens, then late."""
    began = datetime.now(UTC).replace(microsecond=0)
    shown: list[float] = []
    for number, (name, (topic, make)) in enumerate(FORMATS.items()):
        lat = round(52.57 + number / 100_000, 5)
        street.send(topic, make(datetime.now(UTC).replace(microsecond=0), lat))
        until(lambda lat=lat: abs((street.live() or 0) - lat) < 2e-7, 5, f"{name} is shown", 0.02)
        shown.append(lat)
        time.sleep(1.1)  # the times of these formats have a grain of a second
    gone = [began - timedelta(minutes=60) + timedelta(seconds=10 * step) for step in range(30)]
    lats = [round(52.56 + step / 100_000, 5) for step in range(30)]
    street.send(OWN, [owntracks(at, lat) for at, lat in zip(gone[:10], lats[:10], strict=True)])
    street.send(PLAIN, b"\r\n".join(nmea(at, lat) for at, lat in zip(gone[10:20], lats[10:20], strict=True)))
    for at, lat in reversed(list(zip(gone[20:], lats[20:], strict=True))):  # one by one, the newest first, each twice
        for _ in range(2):
            street.send(OWN, owntracks(at, lat))
    until(lambda: len(street.track(began - timedelta(hours=2))) >= 35, 10, "history has them", 0.2)
    told = street.track(began - timedelta(hours=2))
    assert [round(each, 5) for each in told] == lats + shown
    assert abs((street.live() or 0) - shown[-1]) < 2e-7
