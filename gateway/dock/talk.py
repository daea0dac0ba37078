"""One recording's conversation over a connection: commands published, answers awaited, the receipt verified."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any, Protocol

from gateway.crypto.notes import VerifierKey
from gateway.dock.files import ChangedError, look, piece
from gateway.dock.ledger import Entry
from gateway.dock.receipt import Proven, verify_receipt
from gateway.dock.sending import Answer, Command, Piece, Sending
from gateway.errors import LinkError

Tell = Callable[..., None]
"""Says what happens: an event's name and its words."""
Trouble = Callable[[str], None]
"""Says what is in the way, as often as asked; saying it once is its own affair."""


class Link(Protocol):
    """One MQTT connection (drivers.links.mqtt_link.MqttLink)."""

    async def run(self) -> None:
        """Serve until cancelled; LinkError when it goes."""
        ...

    async def ready(self) -> None:
        """Return once it is connected."""
        ...

    async def publish(self, topic: str, payload: bytes) -> None:
        """Return once the broker has it; LinkError when the link is gone."""
        ...


class Talk:
    """What is said about one file until its receipt holds."""

    def __init__(self, entry: Entry, init: bytes, topic: str, segment_bytes: int) -> None:
        self.entry, self.topic = entry, topic
        self._sending = Sending(entry.was.size, entry.was.sha256, init, segment_bytes)
        self._woken = asyncio.Event()

    @property
    def progress(self) -> dict[str, Any]:
        """How far it has got."""
        return {"durable": self._sending.durable_bytes, "size": self.entry.was.size, "problem": self._sending.problem}

    def hear(self, answer: Answer) -> None:
        """Take an answer."""
        self._sending.hear(answer, asyncio.get_running_loop().time())
        self._woken.set()

    def lost(self) -> None:
        """The connection went."""
        self._sending.lost()
        self._woken.set()

    async def receipt(self, link: Link, key: VerifierKey, trouble: Trouble) -> tuple[dict[str, Any], Proven]:
        """Send until a receipt comes that holds; ChangedError and OSError are the file's."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            if (receipt := self._sending.receipt) is not None:
                proven = await self._judge(receipt, key)
                if proven is not None:
                    return receipt, proven
            if self._sending.problem is not None:
                trouble(self._sending.problem)
            await link.ready()
            if commands := self._sending.to_send(loop.time()):
                await self._publish(link, commands)
                continue
            try:
                async with asyncio.timeout_at(self._sending.deadline(loop.time()) + 0.01):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _judge(self, receipt: dict[str, Any], key: VerifierKey) -> Proven | None:
        """None, and the reason kept, for a receipt that does not hold; ChangedError where the file is at fault."""
        was = self.entry.was
        try:
            return verify_receipt(receipt, self.entry.recording, was.size, was.sha256, key)
        except ValueError as wrong:
            if await asyncio.to_thread(look, self.entry.place) != was:
                raise ChangedError(f"{self.entry.place.name}: has changed since it was hashed") from wrong
            self._sending.reject_receipt(f"receipt not accepted: {wrong}", asyncio.get_running_loop().time())
            return None

    async def _publish(self, link: Link, commands: list[Command]) -> None:
        """Publish side by side, as far as the window goes; a lost connection is no error here."""
        failed: list[BaseException] = []

        async def one(command: Command) -> None:
            try:
                await self._say(link, command)
            except LinkError:
                self._sending.lost()
            except (OSError, ChangedError) as wrong:
                failed.append(wrong)

        async with asyncio.TaskGroup() as group:
            for command in commands:
                group.create_task(one(command))
        if failed:
            raise failed[0]

    async def _say(self, link: Link, command: Command) -> None:
        if not isinstance(command, Piece):
            await link.publish(f"{self.topic}/{command.suffix}", command.payload)
            return
        content = await asyncio.to_thread(piece, self.entry.place, command.start, command.end, self.entry.was)
        digest = hashlib.sha256(content).hexdigest()
        await link.publish(f"{self.topic}/{command.start}/{digest}", content)
