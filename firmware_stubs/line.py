"""A camera's connection for as long as it lasts; what comes of it is told through one queue."""

import contextlib
import queue
import socket
import ssl
from dataclasses import dataclass
from enum import Enum

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from firmware_stubs.mqtt import KEEPALIVE_S, Broker

READS = 64


class Tiding(Enum):
    """What a connection can say."""

    UP = "up"
    DOWN = "down"
    RESPONSE = "response"
    ACKNOWLEDGED = "acknowledged"


@dataclass(frozen=True)
class News:
    """One thing that a connection said."""

    tiding: Tiding
    payload: bytes = b""
    mid: int = 0


class Line:
    """One connection, never reused: a fresh client has no stale segments to send again by itself."""

    def __init__(self, broker: Broker, device: str) -> None:
        self.news: queue.SimpleQueue[News] = queue.SimpleQueue()
        self._broker = broker
        self._responses = f"lapel/v1/camera/{device}/response"
        self._client = broker.client(device, reconnects=False)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self.news.put(News(Tiding.UP))
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.on_publish = self._on_publish

    def open(self) -> None:
        """Connect; OSError where nobody answers."""
        self._client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Publish at QoS 1 and return the packet's number."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def cut(self) -> None:
        """The network is gone without a word: no DISCONNECT, the other end finds out."""
        sock = self._client.socket()
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection and its thread; without its callbacks the client frees its sockets at once."""
        client = self._client
        client.disconnect()
        client.loop_stop()
        client.on_connect = client.on_subscribe = client.on_disconnect = client.on_message = client.on_publish = None

    def _on_connect(self, client: Client, _u: object, _f: ConnectFlags, code: ReasonCode, _p: object) -> None:
        if code.is_failure:
            self.news.put(News(Tiding.DOWN))
        else:
            client.subscribe(self._responses, qos=1)

    def _on_disconnect(self, _c: Client, _u: object, _f: DisconnectFlags, _code: ReasonCode, _p: object) -> None:
        self.news.put(News(Tiding.DOWN))

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self.news.put(News(Tiding.RESPONSE, bytes(message.payload)))

    def _on_publish(self, _c: Client, _u: object, mid: int, _code: ReasonCode, _p: Properties) -> None:
        self.news.put(News(Tiding.ACKNOWLEDGED, mid=mid))


class OpenLine(Line):
    """A connection without a thread: whoever dialled reads and writes when the socket says so."""

    def dial(self) -> socket.socket:
        """Connect and return the socket to watch; OSError where nobody answers."""
        self._client.connect(self._broker.host, self._broker.port, keepalive=KEEPALIVE_S)
        sock = self._client.socket()
        assert isinstance(sock, socket.socket)
        sock.settimeout(0)
        return sock

    @property
    def alive(self) -> bool:
        """Whether it still has its socket."""
        return self._client.socket() is not None

    def reads(self) -> None:
        """Take what has come; TLS may hold more than the socket shows."""
        for _ in range(READS):
            self._client.loop_read()
            sock = self._client.socket()
            if not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                return

    def writes(self) -> None:
        """Send what the socket takes."""
        self._client.loop_write()

    def wants_to_write(self) -> bool:
        """Whether something waits for the socket."""
        return self._client.want_write()

    def keeps_alive(self) -> None:
        """A ping where one is due."""
        self._client.loop_misc()

    def close(self) -> None:
        """End the connection."""
        client = self._client
        client.disconnect()
        if (sock := client.socket()) is not None:
            client.loop_write()
            sock.close()
        client.on_connect = client.on_subscribe = client.on_disconnect = client.on_message = client.on_publish = None
