"""A 256 MB recording through the broker to its receipt, against a plain copy with SHA-256 and fsync; memory meanwhile.

The sender is paho alone, the gateway a process of its own (`lapel run`); both share this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho

MIB = 1 << 20
SIZE = 256 * MIB
SEGMENT = MIB
DEVICE = "cam-bench"


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def plain_copy(source: Path, target: Path) -> float:
    """Seconds to read, hash, write and fsync the same bytes."""
    began = time.perf_counter()
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(SEGMENT):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    return time.perf_counter() - began


class Sender:
    """Sends one recording within the window it is told; knows nothing of our code."""

    def __init__(self, port: int, recording: str, size: int) -> None:
        self.topic, self.size = f"lapel/v1/camera/{DEVICE}", size
        self.file = f"{self.topic}/file/{recording}"
        self.recording, self.window, self.durable = recording, 0, 0
        self.word = threading.Condition()
        self.receipt: dict[str, Any] | None = None
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, f"bench-{recording}")
        self.client.max_inflight_messages_set(20)
        self.client.on_message = self.hear
        self.client.connect("127.0.0.1", port)
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
        """Seconds from the first segment to the receipt."""
        init = {"v": 1, "name": f"{self.recording}.mp4", "size": self.size, "content_type": "video/mp4"}
        while not self.window:
            self.client.publish(f"{self.file}/init", json.dumps(init), 1)
            with self.word:
                self.word.wait(2)
        began = time.perf_counter()
        for offset in range(0, self.size, SEGMENT):
            with self.word:
                while offset + SEGMENT - self.durable > self.window:
                    self.word.wait(5)
            self.client.publish(f"{self.file}/{offset}", bytes(content[offset : offset + SEGMENT]), 1)
        self.client.publish(f"{self.file}/fin/{self.size}/{sha256}", b"", 1)
        with self.word:
            while self.receipt is None:
                self.word.wait(5)
        took = time.perf_counter() - began
        self.client.disconnect()
        self.client.loop_stop()
        assert self.receipt["sha256"] == sha256
        return took


@contextlib.contextmanager
def gateway(folder: Path, embedded: bool) -> Iterator[tuple[int, int]]:
    """`lapel run` on a fresh store: (broker port, process id)."""
    port = free_port()
    broker = None
    if not embedded:
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n")
        broker = subprocess.Popen(["mosquitto", "-c", config], stderr=subprocess.DEVNULL)
        time.sleep(0.5)
    (folder / "lapel.toml").write_text(
        f"[gateway]\ndata = 'data'\n[broker]\nembedded = {str(embedded).lower()}\nport = {port}\n"
        f"[[driver]]\nkind = 'camera'\nname = 'cameras'\n[api]\nport = 0\n[observe]\nlevel = 'warning'\n"
    )
    child = subprocess.Popen([sys.executable, "-m", "gateway", "run", "-c", folder / "lapel.toml"])
    try:
        for _ in range(200):  # until the broker, which may be the gateway's child, listens
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port, child.pid
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)
        if broker is not None:
            broker.terminate()
            broker.wait(5)


class Memory:
    """The largest resident size of a process while watched, and before, in MB."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak, self.done = pid, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch)

    def now(self) -> float:
        """Resident MB now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1024
        return 0.0

    def watch(self) -> None:
        """Look twenty times a second."""
        while not self.done.wait(0.05):
            self.peak = max(self.peak, self.now())

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()


def measure(embedded: bool, rounds: int) -> dict[str, float]:
    """Median of paired rounds: upload and plain copy in turn."""
    content = os.urandom(SIZE)
    sha256 = hashlib.sha256(content).hexdigest()
    uploads, copies, peaks = [], [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "recording.mp4").write_bytes(content)
        with gateway(folder, embedded) as (port, pid):
            for number in range(rounds):
                copies.append(plain_copy(folder / "recording.mp4", folder / "copy.mp4"))
                with Memory(pid) as memory:
                    uploads.append(Sender(port, f"rec-{number}", SIZE).send(memoryview(content), sha256))
                peaks.append(memory.peak)
    return {
        "upload_mb_s": SIZE / 1e6 / statistics.median(uploads),
        "copy_mb_s": SIZE / 1e6 / statistics.median(copies),
        "share_of_copy": statistics.median(c / u for c, u in zip(copies, uploads, strict=True)),
        "gateway_peak_mb_first": peaks[0],
        "gateway_peak_mb_last": peaks[-1],
    }


def run(rounds: int = 3) -> dict[str, Any]:
    """Through the embedded broker, and through Mosquitto where it is installed."""
    found: dict[str, Any] = {"embedded": measure(True, rounds)}
    if shutil.which("mosquitto"):
        found["mosquitto"] = measure(False, rounds)
    return found


if __name__ == "__main__":
    print(json.dumps(run(), indent=1))
