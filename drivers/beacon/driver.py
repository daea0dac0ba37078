"""The beacon driver: one MQTT connection, every message acknowledged once intake has kept it."""

from __future__ import annotations

import asyncio
from datetime import datetime

import msgspec

from drivers.beacon import keyring, wire
from drivers.beacon.formats import Name
from drivers.links.mqtt_acks import KeptAck
from drivers.links.mqtt_link import Ack, MqttLink
from gateway.domain.events import EmergencyReport, Frame
from gateway.domain.time import Instant, Stamp
from gateway.errors import ConfigError, WireError
from gateway.ports import DriverContext, InputHealth, Receipt


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `[[driver]] kind = "beacon"`.

    topics: MQTT filters; the first `+` of each is the level that names the device.
    format: what these topics carry; auto tells the formats apart by content.
    keys_file: passphrases of OwnTracks devices (`device = "passphrase"`), the owner's alone to read.
    """

    topics: tuple[str, ...] = wire.TOPICS
    format: Name = "auto"
    keys_file: str | None = None

    def __post_init__(self) -> None:
        """The keys can be had: a check of the configuration says so."""
        self.keyring()

    def keyring(self) -> keyring.Keyring:
        """The keys; ValueError where they cannot be had."""
        return keyring.Keyring() if self.keys_file is None else keyring.read(self.keys_file)


def build(settings: Settings, context: DriverContext) -> BeaconDriver:
    """Make the driver; ConfigError for topics that name no device or a gateway without a broker."""
    if context.broker is None:
        raise ConfigError("broker", f"driver {context.name!r} (beacon) needs one")
    try:
        topics = wire.Topics(settings.topics, context.name)
    except ValueError as problem:
        raise ConfigError("driver.topics", str(problem)) from problem
    if not settings.topics:
        raise ConfigError("driver.topics", "names no topic")
    return BeaconDriver(settings, context, topics)


class BeaconDriver:
    """Positions and SOS of beacons; nothing that footage does can delay it."""

    def __init__(self, settings: Settings, context: DriverContext, topics: wire.Topics) -> None:
        assert context.broker is not None
        self._context, self._topics, self._format = context, topics, settings.format
        self._keyring = settings.keyring()
        self._link = MqttLink(
            context.broker, f"{context.instance}-{context.name}-events", settings.topics, self.receive
        )
        self._last: datetime | None = None
        self._counters = {"frames": 0, "positions": 0, "emergencies": 0, "quarantined": 0, "unjournalled": 0}

    async def run(self) -> None:
        """Serve until cancelled; LinkError when the broker goes."""
        await self._link.run()

    def health(self) -> InputHealth:
        """Up when connected; `last` is the newest message."""
        up = self._link.connected
        counters = {**self._counters, "unacknowledged": self._link.unacknowledged}
        return InputHealth("up" if up else "down", self._last, None if up else "no connection to the broker", counters)

    def receive(self, topic: str, payload: bytes, ack: Ack) -> None:
        """Take one message: events to intake at once, the PUBACK when it is kept."""
        now = self._context.clock.now()
        self._last = now.utc
        count = self._counters
        count["frames"] += 1
        reading = self._read(topic, payload, now)
        for event in reading.events:
            count["emergencies" if isinstance(event, EmergencyReport) else "positions"] += 1
        frame = Frame(self._context.name, Stamp(now), payload, topic, self._topics.device(topic))
        futures: list[asyncio.Future[Receipt]] = []
        if reading.events or not reading.problems:
            futures.append(self._context.intake.accept(frame, reading.events))
        if reading.problems:
            count["quarantined"] += 1
            futures.append(self._context.intake.quarantine(frame, _reason(reading.problems)))
        KeptAck(futures, ack, count)

    def _read(self, topic: str, payload: bytes, now: Instant) -> wire.Reading:
        """What it says; what is kept is the message as it came."""
        try:
            clear = self._keyring.opened(self._topics.device(topic), payload)
        except WireError as problem:
            return wire.Reading((), (problem,))
        return wire.read(self._topics, topic, clear, now, self._format)


def _reason(problems: tuple[WireError, ...]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]}{more}"
