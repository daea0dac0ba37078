"""Recordings through Mosquitto to their receipts (durable, hashed, encrypted, logged), as ratios in one run.

Against a plain copy of the same bytes with SHA-256 and fsync, and against a tus server that writes each PATCH
durably; mutual TLS against plain TCP. The sender is paho alone, the gateway `lapel run`; all share this machine.
LAPEL_BENCH_MB names the sizes (256,1024), LAPEL_BENCH_ROUNDS the rounds (3), LAPEL_BENCH_DIR the disk.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho

from tests.bench.peers import MIB, plain_copy, tus_server, tus_upload
from tests.bench.site import Memory, Site, site

SEGMENTS = {"256k": 256 * 1024, "1m": MIB}
DEVICE = "cam-bench"
AIMS = {"share_of_copy": 0.4, "of_tus_256k": 2.0, "of_tus_1m": 1.2, "tls_of_plain": 0.6}


class Sender:
    """Sends one recording within the window it is told; knows nothing of our code."""

    def __init__(self, at: Site, recording: str, size: int, segment: int) -> None:
        self.topic, self.size, self.segment = f"lapel/v1/camera/{DEVICE}", size, segment
        self.file = f"{self.topic}/file/{recording}"
        self.recording, self.window, self.durable = recording, 0, 0
        self.word = threading.Condition()
        self.receipt: dict[str, Any] | None = None
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, f"bench-{recording}")
        self.client.max_inflight_messages_set(20)
        self.client.on_message = self.hear
        if (made := at.certificates) is not None:
            self.client.tls_set(str(made / "ca.crt"), str(made / "client.crt"), str(made / "client.key"))
        self.client.connect("127.0.0.1", at.port)
        self.client.subscribe(f"{self.topic}/response", 1)
        self.client.loop_start()

    def hear(self, _client: object, _user: object, message: Any) -> None:
        """Take up an answer."""
        said = json.loads(message.payload)
        if said.get("recording") != self.recording:
            return
        with self.word:
            self.window = said.get("window_bytes", self.window)
            self.durable = max(self.durable, sum(end - start for start, end in said.get("durable", [])))
            self.receipt = said.get("receipt", self.receipt)
            self.word.notify()

    def send(self, content: memoryview, sha256: str) -> float:
        """Seconds from the answer to init to the receipt."""
        init = {"v": 1, "name": f"{self.recording}.mp4", "size": self.size, "content_type": "video/mp4"}
        while not self.window:
            self.client.publish(f"{self.file}/init", json.dumps(init), 1)
            with self.word:
                self.word.wait(2)
        began = time.perf_counter()
        for offset in range(0, self.size, self.segment):
            with self.word:
                while offset + self.segment - self.durable > self.window:
                    self.word.wait(5)
            self.client.publish(f"{self.file}/{offset}", bytes(content[offset : offset + self.segment]), 1)
        self.client.publish(f"{self.file}/fin/{self.size}/{sha256}", b"", 1)
        with self.word:
            while self.receipt is None:
                self.word.wait(5)
        took = time.perf_counter() - began
        self.client.disconnect()
        self.client.loop_stop()
        assert self.receipt["sha256"] == sha256
        return took


class Rounds:
    """Megabytes a second of each way, round after round; ratios are medians of paired rounds."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rates: dict[str, list[float]] = {}

    def add(self, way: str, seconds: float) -> None:
        """One round of one way."""
        self.rates.setdefault(way, []).append(self.size / 1e6 / seconds)

    def ratio(self, one: str, other: str) -> float:
        """How many times as fast one way was as another."""
        pairs = zip(self.rates[one], self.rates[other], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 2)

    def told(self) -> dict[str, float]:
        """The medians."""
        return {f"{way}_mb_s": round(statistics.median(rates), 1) for way, rates in self.rates.items()}


def measure(size: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Every way in turn, so often."""
    content = b"".join(os.urandom(MIB) for _ in range(size // MIB))
    sha256, source, view = hashlib.sha256(content).hexdigest(), folder / "recording.mp4", memoryview(content)
    source.write_bytes(content)
    found, peaks = Rounds(size), []
    with site(folder / "plain") as plain, site(folder / "tls", tls=True) as mutual, tus_server(folder) as tus:
        for number in range(rounds):
            found.add("copy", plain_copy(source, folder / "copy.mp4"))
            for name, segment in SEGMENTS.items():
                with Memory(plain.gateway.pid) as memory:
                    one = Sender(plain, f"rec-{name}-{number}", size, segment)
                    found.add(f"lapel_{name}", one.send(view, sha256))
                peaks.append(memory.peak)
                found.add(f"tus_{name}", tus_upload(tus, view, segment))
                shutil.rmtree(folder / "tus")
                (folder / "tus").mkdir()
            found.add("tls_1m", Sender(mutual, f"rec-{number}", size, MIB).send(view, sha256))
    ratios = {f"of_tus_{name}": found.ratio(f"lapel_{name}", f"tus_{name}") for name in SEGMENTS}
    shares = {f"share_of_copy_{name}": found.ratio(f"lapel_{name}", "copy") for name in SEGMENTS}
    tls = {"tls_of_plain": found.ratio("tls_1m", "lapel_1m")}
    return {**found.told(), **ratios, **shares, **tls, "gateway_peak_mb": round(max(peaks), 1)}


def run() -> dict[str, Any]:
    """Every size asked for."""
    rounds = int(os.environ.get("LAPEL_BENCH_ROUNDS", "3"))
    found: dict[str, Any] = {"aims": AIMS}
    for megabytes in map(int, os.environ.get("LAPEL_BENCH_MB", "256,1024").split(",")):
        with tempfile.TemporaryDirectory(dir=os.environ.get("LAPEL_BENCH_DIR")) as folder:
            found[f"{megabytes}_mb"] = measure(megabytes * MIB, rounds, Path(folder))
    return found


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
