"""MQTT 3.1.1 on the asyncio loop: QoS 1 in and out, acknowledged only when the receiver says so.

The only importer of the MQTT client. Its sockets are served by the loop's readers and writers,
never by a thread of its own. Each connection has a client object of its own, so that a message
id of an old connection can never be acknowledged on a new one.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from time import monotonic
from typing import Any

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.client import MQTT_LOG_ERR
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

from drivers.links.mqtt_acks import AckLine
from gateway.errors import LinkError, MisuseError
from gateway.ports import BrokerAddress

Ack = Callable[[], None]
OnMessage = Callable[[str, bytes, Ack], None]

KEEPALIVE_S = 30
CONNECT_PATIENCE_S = 10.0
TICK_S = 1.0
BURST_S = 0.004
"""One turn of the loop reads no longer than this, so that timers and other links keep their turn."""
OUT_IN_FLIGHT = 64


class _Candid(ssl.SSLSocket):
    """With TLS 1.3 a refusal comes behind the handshake: where a write fails, the alert that waits says why."""

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 - as the library has it
        """Send; a fault is the peer's own word where it left one."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except OSError:
            with suppress(ssl.SSLWantReadError):
                super().recv(1)
            raise


class Will(msgspec.Struct, frozen=True):
    """What the broker says for us when the link dies."""

    topic: str
    payload: bytes
    retain: bool = True


class SubscriptionRefusedError(LinkError):
    """The broker grants no such subscription."""


class MqttLink:
    """One MQTT connection; `run` serves it until it is lost or cancelled. Its session persists, unless `clean`."""

    def __init__(
        self,
        address: BrokerAddress,
        client_id: str,
        subscriptions: Sequence[str] = (),
        on_message: OnMessage | None = None,
        will: Will | None = None,
    ) -> None:
        self.address, self.client_id, self.will = address, client_id, will
        self.subscriptions, self.on_message = tuple(subscriptions), on_message
        self.clean = False
        self.received = self.published = self.connections = 0
        self._connection: _Connection | None = None
        self._paused = False
        self._slots = asyncio.Semaphore(OUT_IN_FLIGHT)
        self._up = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and our subscriptions."""
        return self._connection is not None and self._connection.up

    @property
    def unacknowledged(self) -> int:
        """Messages received on this connection and not yet acknowledged to the broker."""
        return 0 if self._connection is None else len(self._connection.acks)

    async def run(self) -> None:
        """Serve until cancelled; LinkError when the broker can't be reached, refuses or goes."""
        if self._connection is not None:
            raise MisuseError(f"{self.client_id} is already running")
        connection = self._connection = _Connection(self)
        try:
            await connection.open()
            self.connections += 1
            connection.hold(paused=self._paused)
            self._up.set()
            await connection.serve()
        finally:
            self._up.clear()
            self._connection = None
            connection.close()

    async def ready(self) -> None:
        """Return once it is connected; `run` must be under way elsewhere."""
        await self._up.wait()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return once the broker has acknowledged it; LinkError when the link is gone."""
        async with self._slots:
            if self._connection is None or not self._connection.up:
                raise LinkError(f"no connection to {self.address.host}:{self.address.port}")
            await self._connection.publish(topic, payload, retain=retain)
            self.published += 1

    def pause(self) -> None:
        """Stop reading. Footage only: a pause beyond the keepalive (30 s) costs the connection."""
        self._hold(paused=True)

    def resume(self) -> None:
        """Read on."""
        self._hold(paused=False)

    def _hold(self, *, paused: bool) -> None:
        self._paused = paused
        if self._connection is not None and self._connection.up:
            self._connection.hold(paused=paused)


def _tls(address: BrokerAddress) -> ssl.SSLContext | None:
    """Build the TLS context where the address names a CA or a certificate (mutual TLS)."""
    if address.ca is None and address.cert is None:
        return None
    with _named(address.ca):
        context = ssl.create_default_context(cafile=address.ca)
    context.sslsocket_class = _Candid
    if address.cert is not None:
        with _named(f"{address.cert} with {address.key}"):
            context.load_cert_chain(address.cert, address.key)
    return context


@contextmanager
def _named(files: str | None) -> Iterator[None]:
    """Say which files a fault is in: the TLS library does not."""
    try:
        yield
    except OSError as problem:
        raise LinkError(f"{files}: {problem.strerror or problem}") from problem


class _Connection:
    """One life of the link: a client object, its socket on the loop, its acknowledgements."""

    def __init__(self, link: MqttLink) -> None:
        self.link, self.acks = link, AckLine()
        self.up = False
        self._loop = asyncio.get_running_loop()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._accepted: asyncio.Future[None] = self._loop.create_future()
        self._unconfirmed: dict[int, asyncio.Future[None]] = {}
        self._sock: Any = None
        self._reading = self._writing = self._flushing = False
        self._steps = 0
        self._said = ""
        self._client = self._make(link)

    def _make(self, link: MqttLink) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=link.client_id,
            clean_session=link.clean,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.max_inflight_messages_set(OUT_IN_FLIGHT)
        client.on_connect, client.on_subscribe = self._on_connect, self._on_subscribe
        client.on_disconnect, client.on_publish = self._on_disconnect, self._on_publish
        client.on_message = self._on_message
        client.on_log = self._on_log
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_register_write
        if link.will is not None:
            client.will_set(link.will.topic, link.will.payload, 1, link.will.retain)
        if link.address.username is not None:
            client.username_pw_set(link.address.username, link.address.password)
        return client

    # life
    async def open(self) -> None:
        """Connect, subscribe, and return when the broker has agreed to both."""
        where = f"{self.link.address.host}:{self.link.address.port}"
        try:
            async with asyncio.timeout(CONNECT_PATIENCE_S):
                await asyncio.to_thread(self._dial)
                self._attach()
                done, _ = await asyncio.wait((self._accepted, self._gone), return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise LinkError(f"{where}: no answer within {CONNECT_PATIENCE_S:.0f} s") from None
        except (OSError, ValueError) as problem:
            raise LinkError(f"{where}: {problem}") from problem
        done.pop().result()
        self.up = True

    def _dial(self) -> None:
        """Connect and shake hands, which blocks: on a thread, before any callback reaches the loop."""
        context = _tls(self.link.address)
        if context is not None:
            self._client.tls_set_context(context)
        self._client.connect(self.link.address.host, self.link.address.port, KEEPALIVE_S)

    def _attach(self) -> None:
        self._sock = self._client.socket()
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a PUBACK must not wait for more
        self.hold(paused=False)
        self._flush()

    async def serve(self) -> None:
        """Keep the connection alive until it is lost (LinkError)."""
        while not self._gone.done():
            self._client.loop_misc()
            await asyncio.wait((self._gone,), timeout=TICK_S)
        self._gone.result()

    def close(self) -> None:
        """Say goodbye if the socket still takes it, and fail what waits; safe to call twice."""
        self.up = False
        self._lost(LinkError("link closed"))
        if self._client.socket() is not None:
            self._client.disconnect()
            self._client.loop_write()
        if (sock := self._client.socket()) is not None:
            self._detach()
            sock.close()
        for future in (self._gone, self._accepted):
            if future.done() and not future.cancelled():
                future.exception()  # marked as seen: run has raised it already

    def _lost(self, problem: BaseException) -> None:
        self.up = False
        for future in (self._gone, *self._unconfirmed.values()):
            if not future.done():
                future.set_exception(problem)
        self._unconfirmed.clear()

    # the socket on the loop
    def hold(self, *, paused: bool) -> None:
        """Put the socket on the loop or take it off."""
        if self._sock is None or self._reading is not paused:
            return
        if paused:
            self._loop.remove_reader(self._sock)
        else:
            self._loop.add_reader(self._sock, self._readable)
        self._reading = not paused

    def _detach(self) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            self._loop.remove_reader(sock)
            self._loop.remove_writer(sock)
        self._reading = self._writing = False

    def _on_socket_close(self, _client: paho.Client, _user: object, _sock: object) -> None:
        self._detach()

    def _readable(self) -> None:
        """Read packet after packet while there are any, for one burst."""
        until = monotonic() + BURST_S
        try:
            while self._reading:
                before = self._steps
                self._client.loop_read()
                if self._steps == before and not self._buffered():
                    return
                if monotonic() > until:
                    break
        except Exception as defect:  # noqa: BLE001 - ends run() with the receiver's own error, not the loop's log
            self._lost(defect)
            return
        if self._reading and self._buffered():
            self._loop.call_soon(self._readable)

    def _buffered(self) -> bool:
        """Tell whether TLS holds bytes that the selector cannot see."""
        return isinstance(self._sock, ssl.SSLSocket) and self._sock.pending() > 0

    def _on_register_write(self, _client: paho.Client, _user: object, _sock: object) -> None:
        # Before the socket is on the loop this comes on the dialling thread; _attach flushes.
        if self._sock is not None and not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Write what waits; only a full socket is worth a writer on the loop."""
        self._flushing = False
        if self._sock is None:
            return
        self._client.loop_write()
        wanted = self._sock is not None and self._client.want_write()
        if wanted and not self._writing:
            self._loop.add_writer(self._sock, self._flush)
        elif self._writing and not wanted and self._sock is not None:
            self._loop.remove_writer(self._sock)
        self._writing = wanted

    # what the broker says
    def _on_connect(self, client: paho.Client, _user: object, _flags: object, reason: Any, _props: object) -> None:  # noqa: ANN401
        if reason.is_failure:
            self._lost(LinkError(f"the broker refused {self.link.client_id}: {reason}"))
        elif self.link.subscriptions:
            client.subscribe([(topic, 1) for topic in self.link.subscriptions])
        else:
            self._accept()

    def _on_subscribe(self, _client: paho.Client, _user: object, _mid: int, reasons: Any, _props: object) -> None:  # noqa: ANN401
        refused = [t for t, reason in zip(self.link.subscriptions, reasons, strict=False) if reason.is_failure]
        if refused:
            self._lost(SubscriptionRefusedError(f"the broker refused the subscription to {', '.join(refused)}"))
        else:
            self._accept()

    def _accept(self) -> None:
        self._client.on_log = None  # it costs a line of text a packet
        if not self._accepted.done():
            self._accepted.set_result(None)

    def _on_disconnect(self, _client: paho.Client, _user: object, _flags: object, reason: object, _p: object) -> None:
        self._lost(LinkError(f"the broker closed the connection of {self.link.client_id}: {self._said or reason}"))

    def _on_log(self, _client: paho.Client, _user: object, level: int, line: str) -> None:
        """Keep the words of a refusal: with TLS 1.3 the broker's alert comes behind the handshake, and only here."""
        if level == MQTT_LOG_ERR:
            self._said = line.removeprefix("failed to receive on socket: ")

    def _on_message(self, _client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        self._steps += 1
        self.link.received += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""  # a topic that is not UTF-8 (clause 1.5.3) names nobody; the receiver quarantines it
        ack: Ack = partial(self._ack, self.acks.arrived(message.mid)) if message.qos else _nothing
        if self.link.on_message is None:
            ack()
        else:
            self.link.on_message(topic, bytes(message.payload), ack)

    def _ack(self, ticket: list[int]) -> None:
        """Acknowledge to the broker; nothing happens when this connection is over (it redelivers)."""
        ready = self.acks.done(ticket)
        if self._sock is not None:
            for mid in ready:
                self._client.ack(mid, 1)

    # out
    async def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Publish and wait for the broker's PUBACK."""
        told = self._client.publish(topic, payload, 1, retain)
        if told.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise LinkError(f"could not publish to {topic}: {paho.error_string(told.rc)}")
        confirmed = self._unconfirmed[told.mid] = self._loop.create_future()
        try:
            await confirmed
        finally:
            self._unconfirmed.pop(told.mid, None)

    def _on_publish(self, _client: paho.Client, _user: object, mid: int, _reason: object, _props: object) -> None:
        self._steps += 1
        confirmed = self._unconfirmed.get(mid)
        if confirmed is not None and not confirmed.done():
            confirmed.set_result(None)


def _nothing() -> None:
    """Acknowledge a QoS 0 message: there is nothing to say."""
