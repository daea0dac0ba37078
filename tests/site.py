"""A site with a device authority and the real Mosquitto, started with the configuration that the command wrote."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from click.testing import CliRunner
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from gateway.cli import lapel
from gateway.ports import BrokerAddress
from tests import peers
from tests.drivers.links.rig import free_port


def command(*words: object, code: int = 0) -> str:
    """Run a command of ours in this process; its standard output."""
    done = CliRunner().invoke(lapel, [str(word) for word in words], catch_exceptions=True)
    if code == 0 and done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if code:
        assert done.exception is not None or done.exit_code == code, done.output
    else:
        assert done.exit_code == 0, done.output
    return done.stdout


class Site:
    """One data directory, its authority, and its broker."""

    def __init__(self) -> None:
        self._room = tempfile.TemporaryDirectory(prefix="site-")
        self.root = Path(self._room.name)
        self.root.chmod(0o755)  # the broker runs as a user of its own
        self.data, self.conf, self.keys = self.root / "data", self.root / "broker", self.root / "keys"
        self.data.mkdir()
        self.port, self.gateway_port = free_port(), free_port()
        self._process: subprocess.Popen | None = None

    @property
    def authority(self) -> Path:
        """Where the authority lies."""
        return self.data / "keys" / "authority"

    def enrol(self, name: str, *more: object) -> Path:
        """A key made here and its certificate; the directory they lie in."""
        command("device", "enrol", name, "--out", self.keys, "--data", self.data, *more)
        return self.keys

    def csr(self, name: str, subject: str | None = None) -> Path:
        """A device makes its key itself, with OpenSSL; its request."""
        self.keys.mkdir(exist_ok=True)
        made = self.keys / f"{name}.csr"
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self.keys / f"{name}.key"]
        words = [peers.program("openssl"), "req", "-new", *key, "-subj", f"/CN={subject or name}", "-out", made]
        subprocess.run(words, check=True, capture_output=True)
        return made

    def write(self, *more: object) -> None:
        """Write the broker's configuration, and give it to the broker's user."""
        words = ["-o", self.conf, "--port", self.port, "--gateway-port", self.gateway_port, "--bind", "127.0.0.1"]
        command("broker", "config", *words, "--data", self.data, *more)
        self.give()

    def give(self) -> None:
        """As README.md says."""
        if os.geteuid() == 0:
            shutil.chown(self.conf / "broker.key", "mosquitto")

    def start(self) -> None:
        """Start Mosquitto with what was written, nothing added."""
        binary = peers.program("mosquitto")
        log = (self.root / "broker.log").open("wb")
        self._process = subprocess.Popen([binary, "-c", self.conf / "mosquitto.conf"], stdout=log, stderr=log)
        for port in (self.port, self.gateway_port):
            self._await(port)

    def _await(self, port: int) -> None:
        for _ in range(500):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    return
            assert self._process.poll() is None, (self.root / "broker.log").read_text()
            threading.Event().wait(0.02)
        raise AssertionError("the broker does not listen")

    def reload(self) -> None:
        """SIGHUP, and the moment that it takes."""
        self._process.send_signal(signal.SIGHUP)
        threading.Event().wait(0.3)

    def stop(self) -> None:
        """Stop the broker."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ended(self) -> int:
        """SIGTERM; the code that the broker leaves."""
        process, self._process = self._process, None
        process.terminate()
        return process.wait(10)

    def close(self) -> None:
        """Stop the broker and remove everything."""
        self.stop()
        self._room.cleanup()

    def gateway(self) -> BrokerAddress:
        """As the gateway connects."""
        ours = self.authority
        return BrokerAddress(
            "127.0.0.1",
            self.gateway_port,
            ca=str(ours / "site-ca.crt"),
            cert=str(ours / "gateway.crt"),
            key=str(ours / "gateway.key"),
        )

    def device(self, name: str, port: int | None = None) -> BrokerAddress:
        """As a device connects."""
        files = {
            "ca": self.keys / "ca.crt", "cert": self.keys / f"{name}.crt", "key": self.keys / f"{name}.key"
        }  # fmt: skip
        return BrokerAddress("127.0.0.1", port or self.port, **{word: str(path) for word, path in files.items()})


class Peer:
    """A client that is not ours: paho on a thread of its own, with what a device has."""

    def __init__(self, address: BrokerAddress, client_id: str = "", protocol: int = paho.MQTTv311) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.granted: dict[int, list] = {}
        self.connected = threading.Event()
        self.refused: object = None
        self.down = threading.Event()
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol, reconnect_on_failure=False
        )
        if address.ca is not None:
            self.client.tls_set(address.ca, address.cert, address.key, tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = lambda *_: self.down.set()
        self.client.on_message = lambda _c, _u, message: self.heard.append((message.topic, message.payload))
        self.client.on_subscribe = lambda _c, _u, mid, codes, _p: self.granted.__setitem__(mid, codes)
        self.client.connect(address.host, address.port, 30)
        self.client.loop_start()

    def _on_connect(self, _client, _user, _flags, reason, _props) -> None:
        self.refused = reason if reason.is_failure else None
        self.connected.set()

    def up(self, patience_s: float = 5.0) -> bool:
        """Whether the broker let it in."""
        for _ in range(int(patience_s / 0.01)):
            if self.connected.is_set():
                return self.refused is None
            if self.down.is_set():
                return False
            threading.Event().wait(0.01)
        return False

    def subscribe(self, topic: str) -> bool:
        """Whether the broker granted it."""
        _, mid = self.client.subscribe(topic, 1)
        for _ in range(500):
            if mid in self.granted:
                return not self.granted[mid][0].is_failure
            threading.Event().wait(0.01)
        return False

    def send(self, topic: str, payload: bytes = b"") -> None:
        """Publish and wait for the PUBACK, which a broker gives for what it denies, too."""
        self.client.publish(topic, payload, 1).wait_for_publish(5)

    def close(self) -> None:
        """Go."""
        self.client.disconnect()
        self.client.loop_stop()


def lets_in(address: BrokerAddress, **words: object) -> bool:
    """Whether the broker lets such a client in."""
    try:
        peer = Peer(address, **words)
    except OSError:
        return False
    try:
        return peer.up(3.0)
    finally:
        peer.close()


@asynccontextmanager
async def running_site(*devices: str) -> AsyncIterator[Site]:
    """A site with these devices enrolled and its broker running."""
    site = Site()
    try:
        for name in devices:
            await asyncio.to_thread(site.enrol, name)
        await asyncio.to_thread(site.write)
        await asyncio.to_thread(site.start)
        yield site
    finally:
        site.close()


def until(condition, patience_s=5.0):
    """Wait for a condition."""
    ends = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)
