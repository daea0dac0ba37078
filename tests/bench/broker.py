"""Positions a second through a broker into a no-op intake, as a share of what bare paho receives.

Both sides drain the same number of the same messages at QoS 1 from the same broker, preloaded in
a persistent session, in turn; the share is the median of the rounds.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import threading
import time

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from drivers.beacon.driver import Settings, build
from gateway.ports import BrokerAddress, DriverContext, Receipt
from tests.drivers.links.rig import Mosquitto, StillClock, free_port

TOPIC = "lapel/v1/beacon/bcn-0931/position"
PAYLOAD = (
    b'{"v":1,"fix_time":"2026-11-21T21:05:28.885Z","latitude":52.573921,"longitude":-0.240317,"accuracy_m":8,'
    b'"altitude_m":11,"heading_deg":87.5,"speed_mps":1.4,"battery_pct":64,"sos":false}'
)


class NoIntake:
    """Counts, and says at once that it is kept."""

    def __init__(self, wanted: int) -> None:
        self.count, self._wanted = 0, wanted
        self.done = asyncio.Event()
        self._kept = asyncio.get_running_loop().create_future()
        self._kept.set_result(Receipt(journalled=True))

    def accept(self, _frame, _events):
        """One position more."""
        self.count += 1
        if self.count == self._wanted:
            self.done.set()
        return self._kept

    quarantine = accept


def _preload(address: BrokerAddress, client_id: str, messages: int) -> None:
    """Leave messages in the persistent session of client_id."""
    ready = threading.Event()
    session = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    session.on_connect = lambda client, *_: client.subscribe(TOPIC, 1)
    session.on_subscribe = lambda *_: ready.set()
    session.connect(address.host, address.port, 30)
    session.loop_start()
    ready.wait(5)
    session.disconnect()
    session.loop_stop()
    sender = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{client_id}-from")
    sender.max_inflight_messages_set(1000)
    sender.connect(address.host, address.port, 30)
    sender.loop_start()
    told = [sender.publish(TOPIC, PAYLOAD, 1) for _ in range(messages)]
    for one in told:
        one.wait_for_publish(30)
    sender.disconnect()
    sender.loop_stop()


def _bare(address: BrokerAddress, client_id: str, messages: int) -> float:
    """Drain with bare paho on its own thread; messages a second."""
    done, count = threading.Event(), 0

    def on_message(*_) -> None:
        nonlocal count
        count += 1
        if count == messages:
            done.set()

    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False)
    client.on_message = on_message
    began_s = time.perf_counter()
    client.connect(address.host, address.port, 30)
    client.loop_start()
    assert done.wait(120), count
    took_s = time.perf_counter() - began_s
    client.disconnect()
    client.loop_stop()
    return messages / took_s


async def _driver(address: BrokerAddress, messages: int) -> float:
    """Drain with the beacon driver; messages a second."""
    intake = NoIntake(messages)
    driver = build(
        Settings(topics=("lapel/v1/beacon/+/position",)),
        DriverContext("b", StillClock(), intake, None, address, "bench"),
    )
    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(driver.run())
        async with asyncio.timeout(120):
            await intake.done.wait()
        took_s = time.perf_counter() - began_s
        task.cancel()
    return messages / took_s


async def _rounds(messages: int, rounds: int) -> dict:
    broker = Mosquitto(free_port())
    await broker.open()
    bare, ours = [], []
    try:
        for number in range(rounds):
            await asyncio.to_thread(_preload, broker.address, f"bare-{number}", messages)
            bare.append(await asyncio.to_thread(_bare, broker.address, f"bare-{number}", messages))
            await asyncio.to_thread(_preload, broker.address, "bench-b-events", messages)
            ours.append(await _driver(broker.address, messages))
    finally:
        await broker.close()
    shares = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    return {
        "positions_per_s": round(statistics.median(ours)),
        "bare_paho_per_s": round(statistics.median(bare)),
        "share": round(statistics.median(shares), 3),
        "aim": 0.7,
    }


def run(messages: int = 20_000, rounds: int = 3) -> dict:
    """Measure; share is ours over bare paho's in the same run."""
    return asyncio.run(_rounds(messages, rounds))


if __name__ == "__main__":
    print(run(*(int(argument) for argument in sys.argv[1:])))
