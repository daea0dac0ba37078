"""Real brokers on the loopback, an independent device on paho's own thread, and doubles of the ports."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from drivers.links.embedded_broker import EmbeddedBroker
from gateway.domain.time import Instant
from gateway.ports import BrokerAddress, Receipt
from tests import peers

BROKERS = ["iotcore", "mosquitto"]
NOW = Instant(100.0, datetime(2026, 11, 21, 21, 6, tzinfo=UTC))
MIB = 1024 * 1024


def free_port() -> int:
    """A loopback port nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Mosquitto:
    """Debian's mosquitto, memory only."""

    def __init__(self, port: int, extra: str = "") -> None:
        self.port, self.extra = port, extra
        self._process: subprocess.Popen | None = None
        self._dir = tempfile.TemporaryDirectory(prefix="mosquitto-")

    @property
    def address(self) -> BrokerAddress:
        """Where it listens."""
        return BrokerAddress("127.0.0.1", self.port)

    async def open(self) -> None:
        """Start it and wait until it listens."""
        binary = peers.program("mosquitto")
        config = Path(self._dir.name) / "mosquitto.conf"
        config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
            f"max_queued_messages 0\nset_tcp_nodelay true\nlog_type none\n{self.extra}\n"
        )
        config.parent.chmod(0o755)
        self._process = subprocess.Popen(
            [binary, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        async with asyncio.timeout(10):
            while not await asyncio.to_thread(self._listening):
                await asyncio.sleep(0.02)

    def _listening(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    async def close(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None

    def __del__(self) -> None:
        self._dir.cleanup()


@asynccontextmanager
async def broker(kind: str) -> AsyncIterator[EmbeddedBroker | Mosquitto]:
    """One running broker."""
    one = EmbeddedBroker(free_port()) if kind == "iotcore" else Mosquitto(free_port())
    await one.open()
    try:
        yield one
    finally:
        await one.close()


async def until(condition: Callable[[], object], patience_s: float = 10.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(patience_s):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(*coroutines: object) -> AsyncIterator[list[asyncio.Task]]:
    """Run coroutines beside a test; cancel them at its end and let their errors be seen by the test alone."""
    tasks: list[asyncio.Task] = []

    async def kept(coroutine) -> None:
        try:
            await coroutine
        except Exception as problem:
            errors.append(problem)

    errors: list[BaseException] = []
    async with asyncio.TaskGroup() as group:
        tasks.extend(group.create_task(kept(one)) for one in coroutines)
        try:
            yield errors
        finally:
            for task in tasks:
                task.cancel()


class Device:
    """A device as others build it: paho with its own thread."""

    def __init__(self, address: BrokerAddress, name: str, *subscriptions: str) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311)
        self._ready = threading.Event()
        self._subscriptions = subscriptions
        self.client.on_connect = self._connected
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = lambda _client, _user, message: self.heard.append((message.topic, message.payload))
        self.client.max_inflight_messages_set(1000)
        self.client.connect(address.host, address.port, 30)
        self.client.loop_start()
        assert self._ready.wait(5)

    def _connected(self, client, *_) -> None:
        if self._subscriptions:
            client.subscribe([(topic, 1) for topic in self._subscriptions])
        else:
            self._ready.set()

    def send(self, topic: str, payload: bytes = b"", *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for the broker."""
        self.client.publish(topic, payload, 1, retain).wait_for_publish(10)

    def close(self) -> None:
        """Disconnect."""
        self.client.disconnect()
        self.client.loop_stop()


@asynccontextmanager
async def device(address: BrokerAddress, name: str, *subscriptions: str) -> AsyncIterator[Device]:
    """One connected device."""
    one = await asyncio.to_thread(Device, address, name, *subscriptions)
    try:
        yield one
    finally:
        await asyncio.to_thread(one.close)


class StillClock:
    """A clock that stands."""

    def now(self) -> Instant:
        """This moment, always the same."""
        return NOW


class Intake:
    """Keeps what it is given; receipts come at once, or when the test says so."""

    def __init__(self, *, prompt: bool = True) -> None:
        self.prompt = prompt
        self.frames, self.events, self.quarantined, self.receipts = [], [], [], []

    def accept(self, frame, events) -> asyncio.Future[Receipt]:
        """Note frame and events."""
        self.frames.append(frame)
        self.events.extend(events)
        return self._receipt()

    def quarantine(self, frame, reason) -> asyncio.Future[Receipt]:
        """Note frame and reason."""
        self.quarantined.append((frame, reason))
        return self._receipt()

    def _receipt(self) -> asyncio.Future[Receipt]:
        future = asyncio.get_running_loop().create_future()
        self.receipts.append(future)
        if self.prompt:
            future.set_result(Receipt(journalled=True))
        return future

    def release(self, *, journalled: bool = True) -> None:
        """Give every receipt that is due."""
        for future in self.receipts:
            if not future.done():
                future.set_result(Receipt(journalled=journalled))
