"""The embedded MQTT broker of the zero-setup default: a child process on the loopback address.

For demonstration and development: no client certificates, sessions in memory only. A production
site names its own broker in the configuration.
"""

from __future__ import annotations

import asyncio
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from gateway.errors import ConfigError, LinkError
from gateway.ports import BrokerAddress

HOST = "127.0.0.1"
PAYLOAD_LIMIT = 4 * 1024 * 1024
IN_FLIGHT = 100
CONNECTIONS = 2048
START_PATIENCE_S = 10.0
RING_SEGMENT_BYTES = 16 * 1024 * 1024
RING_SEGMENTS = 12
"""Per subscribed filter: how far a slow subscriber may fall behind before messages are dropped."""

_TOML = f"""\
id = 0

[router]
id = 0
max_connections = {CONNECTIONS}
max_outgoing_packet_count = 200
max_segment_size = {RING_SEGMENT_BYTES}
max_segment_count = {RING_SEGMENTS}

[v4.lapel]
name = "lapel"
listen = "{HOST}:{{port}}"
next_connection_delay_ms = 1

[v4.lapel.connections]
connection_timeout_ms = 60000
max_payload_size = {PAYLOAD_LIMIT}
max_inflight_count = {IN_FLIGHT}
dynamic_filters = true
"""


class EmbeddedBroker:
    """One broker child; it ends with `close`, and by itself when this process dies."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._broker: Any = None
        self._config: tempfile.TemporaryDirectory[str] | None = None

    @property
    def address(self) -> BrokerAddress:
        """Where it listens."""
        return BrokerAddress(host=HOST, port=self.port)

    @property
    def running(self) -> bool:
        """Whether the child lives."""
        return self._broker is not None and bool(self._broker.is_running)

    async def open(self) -> None:
        """Start it and return when it accepts connections; ConfigError names what is in the way."""
        if not self.running:
            await asyncio.to_thread(self._start)

    async def close(self) -> None:
        """Stop it; safe to call twice."""
        if self._broker is not None:
            await asyncio.to_thread(self._broker.stop)
        self._broker = None
        if self._config is not None:
            self._config.cleanup()
            self._config = None

    def _start(self) -> None:
        try:
            module = import_module("iotcore")
        except ImportError as problem:
            advice = "the embedded broker is not installed (pip install 'lapel[demo]'); or set broker.host"
            raise ConfigError("broker.embedded", advice) from problem
        self._config = tempfile.TemporaryDirectory(prefix="lapel-broker-")
        path = Path(self._config.name) / "broker.toml"
        path.write_text(_TOML.format(port=self.port), encoding="utf-8")
        broker = module.Broker(port=self.port, listen=HOST, config_path=str(path))
        try:
            broker.start(START_PATIENCE_S)
        except (OSError, RuntimeError) as problem:
            self._config.cleanup()
            raise self._refusal(problem) from problem
        self._broker = broker

    def _refusal(self, problem: OSError | RuntimeError) -> ConfigError | LinkError:
        if isinstance(problem, OSError):
            return ConfigError("broker.port", f"{HOST}:{self.port} can't be used: {problem}")
        return LinkError(f"the embedded broker did not start: {problem}")
