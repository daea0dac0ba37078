"""The embedded broker: ready, bounded, stopped, and clear about what is in its way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from drivers.links import embedded_broker
from drivers.links.embedded_broker import EmbeddedBroker
from gateway.errors import ConfigError
from tests.drivers.links.rig import MIB, Device, device, free_port, until


async def test_it_is_ready_when_open_returns_and_gone_after_close():
    """Open and close, each twice."""
    one = EmbeddedBroker(free_port())
    await one.open()
    await one.open()
    assert one.running
    async with device(one.address, "dev"):
        pass
    await one.close()
    await one.close()
    assert not one.running
    with socket.socket() as sock:
        assert sock.connect_ex(("127.0.0.1", one.port)) != 0


async def test_it_opens_again_on_the_same_port():
    """A second life on the same port."""
    one = EmbeddedBroker(free_port())
    for _ in range(2):
        await one.open()
        async with device(one.address, "dev"):
            pass
        await one.close()


async def test_a_taken_port_is_a_config_error():
    """It names the port."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"broker\.port: 127\.0\.0\.1:{port}"):
            await EmbeddedBroker(port).open()


async def test_a_missing_package_is_a_config_error(monkeypatch):
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "iotcore", None)
    with pytest.raises(ConfigError, match="not installed"):
        await EmbeddedBroker(free_port()).open()


async def test_it_listens_on_the_loopback_alone():
    """Nobody else reaches it."""
    one = EmbeddedBroker(free_port())
    await one.open()
    try:
        with socket.socket() as sock:
            sock.settimeout(1)
            assert sock.connect_ex(("127.0.0.2", one.port)) != 0
    finally:
        await one.close()


async def test_three_hundred_devices_connect_and_a_two_mib_segment_passes():
    """Room for a site, and for the largest segment."""
    one = EmbeddedBroker(free_port())
    await one.open()
    devices = []
    try:
        for number in range(300):
            sock = socket.create_connection(("127.0.0.1", one.port), 5)
            name = b"d%03d" % number
            sock.sendall(b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04" + name)
            devices.append(sock)
        answers = [await asyncio.to_thread(sock.recv, 4) for sock in devices]
        assert answers == [b"\x20\x02\x00\x00"] * 300
        async with device(one.address, "ear", "t/#") as ear, device(one.address, "mouth") as mouth:
            await asyncio.to_thread(mouth.send, "t/x", b"x" * (2 * MIB))
            await until(lambda: [len(payload) for _, payload in ear.heard] == [2 * MIB])
    finally:
        for sock in devices:
            sock.close()
        await one.close()


def test_it_dies_with_its_parent():
    """SIGKILL to the gateway leaves no broker behind."""
    port = free_port()
    code = (
        "import asyncio, time\nfrom drivers.links.embedded_broker import EmbeddedBroker\n"
        f"async def main():\n b = EmbeddedBroker({port}); await b.open(); print('up', flush=True); time.sleep(60)\n"
        "asyncio.run(main())"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
    )
    assert parent.stdout.readline() == b"up\n"
    Device(embedded_broker.EmbeddedBroker(port).address, "dev").close()
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with socket.socket() as sock:
            if sock.connect_ex(("127.0.0.1", port)) != 0:
                return
        time.sleep(0.05)
    raise AssertionError("the broker outlived its parent")
