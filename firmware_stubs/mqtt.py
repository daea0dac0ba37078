"""A device's own connection to the broker: paho, MQTT 3.1.1, user name = device."""

import json
import ssl
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

KEEPALIVE_S = 20


@dataclass(frozen=True)
class Broker:
    """Where the broker listens, and what a device shows it."""

    host: str
    port: int
    credentials: Path | None = None
    certificates: Path | None = None

    @classmethod
    def parse(cls, text: str, credentials: Path | None = None, certificates: Path | None = None) -> "Broker":
        """Read HOST:PORT."""
        host, _, port = text.rpartition(":")
        return cls(host or "127.0.0.1", int(port), credentials, certificates)

    def client(self, device: str, *, reconnects: bool = True) -> Client:
        """A client of the device's own name, not yet connected."""
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=device,
            clean_session=True,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=reconnects,
        )
        client.connect_timeout = 3.0
        if self.credentials is not None:
            client.username_pw_set(device, json.loads(self.credentials.read_text()).get(device))
        if self.certificates is not None:
            folder = self.certificates
            client.tls_set(
                str(folder / "ca.crt"),
                str(folder / f"{device}.crt"),
                str(folder / f"{device}.key"),
                tls_version=ssl.PROTOCOL_TLS_CLIENT,
            )
        return client
