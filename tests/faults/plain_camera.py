"""A camera of paho alone that makes its recording as it sends it: larger than any memory, in any order."""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

MIB = 1 << 20
NOT_NOW = 0x97
PATIENCE_S = 10.0


def peak_mb(pid: int) -> float:
    """The most resident memory that a process has ever had, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError("no such process")


class Film:
    """A recording of so many segments, each made when it is asked for, none like another."""

    def __init__(self, segments: int, octets: int = MIB, seed: int = 1) -> None:
        """State its length; nothing is held but one segment's worth of noise."""
        self.segments, self.octets = segments, octets
        self.noise = random.Random(seed).randbytes(octets - 8)

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.segments * self.octets

    def segment(self, number: int) -> bytes:
        """One segment's bytes."""
        return number.to_bytes(8, "big") + self.noise

    def sha256(self) -> str:
        """Of the whole, hex."""
        digest = hashlib.sha256()
        for number in range(self.segments):
            digest.update(self.segment(number))
        return digest.hexdigest()


class PlainCamera:
    """Sends one film within the window it is told; rests when it is told to; knows nothing of our code."""

    def __init__(self, port: int, device: str, recording: str, film: Film, rest_cap_s: float = 60.0) -> None:
        """Connect and listen; an impatient one rests no longer than rest_cap_s, whatever it is told."""
        self.topic, self.recording, self.film = f"lapel/v1/camera/{device}", recording, film
        self.file = f"{self.topic}/file/{recording}"
        self.window, self.rest_s, self.rest_cap_s = 0, 0.0, rest_cap_s
        self.durable: set[int] = set()
        self.answers: list[dict[str, Any]] = []
        self.receipt: dict[str, Any] | None = None
        self.word = threading.Condition()
        self.client = Client(CallbackAPIVersion.VERSION2, f"{device}-{recording}")
        self.client.max_inflight_messages_set(20)
        self.client.on_message = self._heard
        self.client.connect("127.0.0.1", port)
        self.client.subscribe(f"{self.topic}/response", 1)
        self.client.loop_start()

    def _heard(self, _client: object, _user: object, message: Any) -> None:
        said = json.loads(message.payload)
        if said["recording"] != self.recording:
            return
        with self.word:
            self.window = said.get("window_bytes", self.window)
            if said.get("reason_code") == NOT_NOW:
                self.rest_s = min(said.get("retry_after_s", 0), self.rest_cap_s)
            for start, end in said.get("durable", []):
                self.durable.update(range(-(-start // self.film.octets), end // self.film.octets))
            self.receipt = said.get("receipt", self.receipt)
            self.answers.append({key: said[key] for key in said if key not in ("durable", "missing", "receipt")})
            self.word.notify_all()

    def offer(self, **more: Any) -> None:
        """Send init until it is answered."""
        init = {"v": 1, "name": f"{self.recording}.mp4", "size": self.film.size, **more}
        while not self.window:
            self.client.publish(f"{self.file}/init", json.dumps(init), 1)
            with self.word:
                self.word.wait_for(lambda: self.window, 2)

    def send(self, order: Sequence[int] | None = None, sha256: str = "") -> dict[str, Any]:
        """Send every segment in that order, then fin; the receipt."""
        self.send_all(order)
        return self.fin(sha256)

    def send_all(self, order: Sequence[int] | None = None) -> None:
        """Send every segment, those not yet durable again, until all are."""
        while len(self.durable) < self.film.segments:
            self._round([n for n in order or range(self.film.segments) if n not in self.durable])

    def fin(self, sha256: str = "") -> dict[str, Any]:
        """Say that all has been sent, until the receipt comes."""
        while self.receipt is None:
            self.client.publish(f"{self.file}/fin/{self.film.size}" + (f"/{sha256}" if sha256 else ""), b"", 1)
            with self.word:
                self.word.wait_for(lambda: self.receipt is not None or self.rest_s, 30)
                self.word.wait_for(lambda: self.receipt is not None, self.rest_s)
                self.rest_s = 0
        return self.receipt

    def _round(self, order: Sequence[int]) -> None:
        sent: set[int] = set()
        for number in order:
            with self.word:
                if self.rest_s:
                    self.word.wait_for(lambda: False, self.rest_s)
                    self.rest_s = 0
                    return
                fits = self.word.wait_for(
                    lambda: self.rest_s or (len(sent - self.durable) + 1) * self.film.octets <= self.window, PATIENCE_S
                )
            if not fits:
                return
            self.client.publish(f"{self.file}/{number * self.film.octets}", self.film.segment(number), 1)
            sent.add(number)
        with self.word:
            self.word.wait_for(lambda: self.rest_s or sent <= self.durable, PATIENCE_S)

    def close(self) -> None:
        """Leave; again is no error."""
        self.client.disconnect()
        self.client.loop_stop()
