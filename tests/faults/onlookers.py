"""Who watches from outside: a consumer of the live feed, and somebody at the broker."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.scenarios.gateway_process import until

PATIENCE_S = 20.0


class FeedReader:
    """Reads GET /v1/feed; `events` are (name, data) as they come."""

    def __init__(self, address: str, token: str) -> None:
        """Connect and read in a thread of its own."""
        self.events: list[tuple[str, Any]] = []
        self._link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
        self._link.request("GET", "/v1/feed", headers={"Authorization": f"Bearer {token}"})
        self._response = self._link.getresponse()
        assert self._response.status == 200, self._response.status
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        name = ""
        try:
            for raw in self._response:
                field, _, text = raw.decode().rstrip("\n").partition(": ")
                if field == "event":
                    name = text
                elif field == "data":
                    self.events.append((name, json.loads(text)))
        except (OSError, ValueError, http.client.HTTPException):
            return  # closed by us or by the gateway: what came before counts

    def sees(self, condition: Callable[[str, Any], bool], what: str) -> Any:
        """Wait for an event of that kind; its data."""
        found: list[Any] = []

        def there() -> bool:
            found[:] = [content for name, content in list(self.events) if condition(name, content)]
            return bool(found)

        try:
            until(there, PATIENCE_S, what)
        except AssertionError as late:
            raise AssertionError(f"{late}; last seen: {self.events[-2:]}") from None
        return found[0]

    def close(self) -> None:
        """Leave."""
        if self._link.sock is not None:
            self._link.sock.shutdown(2)
        self._reader.join(5)
        self._response.close()
        self._link.close()


class Bystander:
    """Hears what a camera is answered, and sends as a beacon or a camera does."""

    def __init__(self, port: int) -> None:
        """Connect."""
        self.answers: list[dict[str, Any]] = []
        self._client = Client(CallbackAPIVersion.VERSION2, client_id="bystander")
        self._client.on_message = lambda _c, _u, message: self.answers.append(json.loads(message.payload))
        subscribed = threading.Event()
        self._client.on_connect = lambda client, *_: client.subscribe("lapel/v1/camera/+/response", 1)
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert subscribed.wait(5)

    def position(self, device: str, latitude: float, *, sos: bool = False) -> None:
        """A beacon's position; no two of the same millisecond, which would be one position sent twice."""
        time.sleep(0.002)
        fix = {"fix_time": now(), "latitude": latitude, "longitude": -0.24, "accuracy_m": 8}
        self._send(f"lapel/v1/beacon/{device}/position", {"v": 1, **fix, "sos": sos})

    def panic(self, camera: str) -> None:
        """A camera's panic button."""
        self._send(f"lapel/v1/camera/{camera}/event", {"v": 1, "at": now(), "event": "panic"})

    def _send(self, topic: str, body: dict[str, Any]) -> None:
        self._client.publish(topic, json.dumps(body), 1).wait_for_publish(10)

    def refusals(self, code: int) -> list[dict[str, Any]]:
        """Answers with that reason code."""
        return [answer for answer in list(self.answers) if answer.get("reason_code") == code]

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()


def now() -> str:
    """This moment, as devices write it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def answers(address: str, path: str) -> tuple[int, dict[str, Any]]:
    """What an open route says: status and JSON."""
    link = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)
    try:
        link.request("GET", path)
        response = link.getresponse()
        return response.status, json.loads(response.read())
    finally:
        link.close()


def settles(address: str, path: str, state: str) -> None:
    """Wait until an open route says this state."""
    until(lambda: answers(address, path)[1]["state"] == state, PATIENCE_S, f"{path} is {state}", 0.2)
