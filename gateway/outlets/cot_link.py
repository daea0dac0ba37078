"""The way to one TAK server: TCP or TLS, one event a write, paced, tried again for ever, never holding up anybody."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl

import structlog

from gateway.domain.backoff import Backoff
from gateway.errors import LinkError
from gateway.outlets.cot_settings import CotSettings
from gateway.outlets.cot_waiting import Waiting
from gateway.ports import Clock

PATIENCE_S = 10.0
FIRST_PAUSE_S, LONGEST_PAUSE_S, HEALTHY_S = 0.25, 10.0, 20.0
LOOK_EVERY_S = 0.25
SEND_BUFFER_OCTETS = 65_536
UNANSWERED_MS = 20_000
_log = structlog.get_logger()


def tls_context(settings: CotSettings) -> ssl.SSLContext | None:
    """TLS as this server wants it, read anew for each connection; None without. LinkError: a file is no good."""
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.cert is not None:
            # An empty pass phrase: an encrypted key is refused, where else a terminal would be asked for it.
            context.load_cert_chain(settings.cert, settings.key, password="")
    except (OSError, ValueError) as wrong:
        raise LinkError(f"ca, cert or key of {settings.name}: {wrong}") from wrong
    return context


async def connect(settings: CotSettings) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open the connection within PATIENCE_S; LinkError says why not."""
    context = await asyncio.to_thread(tls_context, settings)
    try:
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await asyncio.open_connection(settings.host, settings.port)
            # Nothing may wait below TLS either, where drain() would not see it: so the limit comes first.
            writer.transport.set_write_buffer_limits(high=0)
            if context is not None:
                await _secured(writer, context, settings.server_name or settings.host)
            return reader, writer
    except TimeoutError as wrong:
        raise LinkError(f"no answer in {PATIENCE_S:g} s") from wrong
    except OSError as wrong:
        raise LinkError(str(wrong) or type(wrong).__name__) from wrong


async def _secured(writer: asyncio.StreamWriter, context: ssl.SSLContext, name: str) -> None:
    try:
        await writer.start_tls(context, server_hostname=name)
    except BaseException:
        writer.transport.abort()
        raise
    # Of TLS a limit of 0 is one that is reached by nothing at all: its writers are held up for ever (asyncio.sslproto).
    writer.transport.set_write_buffer_limits(high=1, low=0)


class CotLink:
    """Sends what waits for as long as it runs; `nudge` where something new does."""

    def __init__(self, settings: CotSettings, waiting: Waiting, clock: Clock) -> None:
        self._settings, self._waiting, self._clock = settings, waiting, clock
        self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, HEALTHY_S)
        self._news = asyncio.Event()
        self.up = False
        self.problem: str | None = "not connected yet"
        self.connections = 0
        self.failures = 0

    def nudge(self) -> None:
        """Something waits."""
        self._news.set()

    async def run(self) -> None:
        """Connect and send until cancelled."""
        while True:
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            try:
                await self._connection()
            except* (LinkError, OSError) as gone:
                self._failed(gone)
            finally:
                self.up = False
            ran_s = loop.time() - began_s
            await asyncio.sleep(self._backoff.next_s(ran_s, random.random()))  # noqa: S311 - spreads tries, no secret

    def _failed(self, gone: BaseExceptionGroup[BaseException]) -> None:
        error: BaseException = gone
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        self.failures += 1
        self.problem = str(error) or type(error).__name__
        _log.warning("cot_down", server=self._settings.name, problem=self.problem)

    async def _connection(self) -> None:
        reader, writer = await connect(self._settings)
        try:
            _tune(writer)
            self.connections += 1
            async with asyncio.TaskGroup() as group:
                group.create_task(_listen(reader))
                group.create_task(self._speak(writer))
        finally:
            writer.transport.abort()  # what it did not take in time is told again on the next

    async def _speak(self, writer: asyncio.StreamWriter) -> None:
        # One common server loses what comes before its own queue for us is there.
        await asyncio.sleep(self._settings.settle_s)
        self.up, self.problem = True, None
        self._waiting.connected(self._clock.now())
        _log.info("cot_up", server=self._settings.name)
        loop = asyncio.get_running_loop()
        slot_s = loop.time()
        while True:
            self._news.clear()
            event = self._waiting.next(self._clock.now())
            if event is None:
                await self._wait_for_news()
                continue
            await self._write(writer, event)
            slot_s = max(slot_s, loop.time()) + 1.0 / self._settings.rate_hz
            await asyncio.sleep(slot_s - loop.time())

    async def _write(self, writer: asyncio.StreamWriter, event: bytes) -> None:
        """One event, one send: the next waits until the kernel has this one whole."""
        writer.write(event)
        try:
            async with asyncio.timeout(self._settings.stall_s):
                await writer.drain()
        except TimeoutError as stalled:
            raise LinkError(f"it takes nothing for {self._settings.stall_s:g} s") from stalled

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._news.wait()
        except TimeoutError:  # an emergency may be due again
            return


async def _listen(reader: asyncio.StreamReader) -> None:
    """Take what the server sends of others, so that it never waits for us; LinkError once it hangs up."""
    while await reader.read(SEND_BUFFER_OCTETS):
        pass
    raise LinkError("it closed the connection")


def _tune(writer: asyncio.StreamWriter) -> None:
    """Little may wait in the kernel, where nothing could be replaced by newer; who is silently gone is found."""
    own: socket.socket = writer.get_extra_info("socket")
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_OCTETS)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    own.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNANSWERED_MS)
