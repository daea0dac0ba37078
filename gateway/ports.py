"""The plugs between rooms, as protocols with the laws their doubles assert."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    import asyncio

    from gateway.domain.devices import Credential
    from gateway.domain.events import (
        CameraReport,
        EmergencyReport,
        Event,
        Frame,
        PositionReport,
        StatusReport,
        TextReport,
    )
    from gateway.domain.evidence import (
        Act,
        Attribution,
        Recall,
        Recorded,
        RecordingFin,
        RecordingKey,
        RecordingOffer,
        Sealed,
        Segment,
        UploadState,
    )
    from gateway.domain.ids import DeviceId, Issi, UnitId
    from gateway.domain.people import Device, Holder, Person, Unit
    from gateway.domain.time import Instant


class Clock(Protocol):
    """Both clocks at once."""

    def now(self) -> Instant:
        """This moment."""
        ...


class Receipt(msgspec.Struct, frozen=True):
    """What intake did with a frame: journalled is True once it is on disk (fdatasync returned).

    False means that the disk refused: the frame is held in memory until it can be written,
    and what it said has reached the feed, marked unjournalled.
    """

    journalled: bool


class Intake(Protocol):
    """Where drivers put what they read."""

    def accept(self, frame: Frame, events: Sequence[Event]) -> asyncio.Future[Receipt]:
        """Route the events at once (emergencies first of all), journal the frame; never raises.

        The future is shared by a whole group commit; acknowledge to the sender when it is done.
        """
        ...

    def quarantine(self, frame: Frame, reason: str) -> asyncio.Future[Receipt]:
        """Keep a frame that could not be read, with the reason; never raises."""
        ...


class RecordingSink(Protocol):
    """Where footage goes. Errors: SegmentError (0x80), StoreBusyError (0x97)."""

    async def begin(self, offer: RecordingOffer) -> UploadState | Sealed:
        """Open or resume an upload; a recording already sealed with this checksum gives its receipt."""
        ...

    async def keep(self, segment: Segment) -> UploadState:
        """Return only when the segment is durable (group commit, fdatasync)."""
        ...

    async def state(self, key: RecordingKey) -> UploadState | Sealed | None:
        """What is durable; None for a recording never offered."""
        ...

    async def finish(self, fin: RecordingFin) -> UploadState | Sealed:
        """Seal when everything is there; else the state with `missing`."""
        ...

    async def abandon(self, key: RecordingKey) -> Sealed | None:
        """Seal what came as an incomplete exhibit."""
        ...


class Receipts(Protocol):
    """Receipts that say more than the one given before: of recordings whose copies have been verified since."""

    def heard_by(self, listener: Callable[[Sealed], Awaitable[None]]) -> AbstractContextManager[None]:
        """Tell a listener each of them, as long as this lasts."""
        ...


class Custody(Protocol):
    """The only way into the log."""

    async def record(self, act: Act) -> Recorded:
        """Detail durable, leaf committed and signed, catalogue applied; then return."""
        ...


class Timestamps(Protocol):
    """A time-stamping authority (RFC 3161)."""

    async def stamp(self, query: bytes) -> bytes:
        """The authority's reply to a query, unjudged; LinkError where there is none."""
        ...


class Directory(Protocol):
    """Who is who at a moment; answers from memory, never blocks."""

    def device(self, device: DeviceId) -> Device | None:
        """The device of this id."""
        ...

    def terminal(self, issi: Issi) -> Device | None:
        """The terminal with this ISSI."""
        ...

    def holder(self, device: DeviceId, at: datetime) -> Holder:
        """Who held the device then, by the bookings."""
        ...

    def attribute(self, device: DeviceId, start: datetime | None, end: datetime | None) -> Attribution:
        """Who held it over that whole span; nobody or two is a flag."""
        ...

    def person(self, person: str) -> Person | None:
        """The person of this id."""
        ...

    def person_by_issi(self, issi: Issi) -> Person | None:
        """The person whose own ISSI this is."""
        ...

    def unit(self, unit: str) -> Unit | None:
        """The unit of this id."""
        ...

    def unit_of(self, person: str) -> Unit | None:
        """The unit this person is a member of."""
        ...

    def units(self) -> Sequence[Unit]:
        """Every unit."""
        ...


class DeviceRights(Protocol):
    """What the device authority has said of devices; answers from memory, never blocks."""

    def credentials(self, device: DeviceId) -> Sequence[Credential]:
        """Every certificate the device ever had, oldest first; none for a device never enrolled."""
        ...

    def revoked(self, device: DeviceId) -> bool:
        """Whether the device was enrolled and none of its certificates still stands."""
        ...

    def speaks_for(self, dock: DeviceId, camera: DeviceId) -> bool:
        """Whether that dock may bring that camera's recordings."""
        ...


class Renewed(msgspec.Struct, frozen=True):
    """A device's next certificate and the authority that it is to trust, PEM."""

    certificate: str
    ca: str


class Renewals(Protocol):
    """Where a device asks for its next certificate."""

    async def renew(self, device: DeviceId, request: bytes) -> Renewed:
        """Certify the key of a request (PKCS#10); GatewayError says why not."""
        ...


class Resolved(msgspec.Struct, frozen=True):
    """An event's origin, resolved by the roster at that moment."""

    unit: UnitId | None = None
    person: str | None = None
    device: DeviceId | None = None
    issi: Issi | None = None
    last_held_by: str | None = None


class FeedSink(Protocol):
    """Where routed events go. Synchronous, in memory, never raises for bad data."""

    def position(self, report: PositionReport, who: Resolved, *, quality: tuple[str, ...]) -> None:
        """Move a unit on the board."""
        ...

    def status(self, report: StatusReport, who: Resolved) -> None:
        """Change a unit's duty state."""
        ...

    def text(self, report: TextReport, who: Resolved) -> None:
        """A text from an officer."""
        ...

    def emergency(self, report: EmergencyReport, who: Resolved, *, journalled: bool) -> None:
        """Raise or add to an emergency; out to every consumer at once."""
        ...

    def camera(self, report: CameraReport, who: Resolved) -> None:
        """Camera telemetry: battery, recording."""
        ...

    def off_duty(self, unit: UnitId, person: str | None = None) -> bool:
        """Whether this unit, or this member of it, is off duty (positions then neither shown nor kept)."""
        ...


class Bookings(Protocol):
    """What duty statuses mean for who is booked on. Synchronous, in memory, never raises."""

    def heard(self, report: StatusReport, who: Resolved) -> None:
        """A duty status that the feed has taken."""
        ...

    def booked_off(self, unit: UnitId, person: str | None, by: str) -> None:
        """The control room has taken a unit off duty, or this one of it."""
        ...


class Publisher(Protocol):
    """MQTT out (QoS 1)."""

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Return once the broker has acknowledged it; LinkError when the link is gone."""
        ...


class BrokerAddress(msgspec.Struct, frozen=True):
    """An MQTT broker; ca, cert and key are paths (mutual TLS) or None."""

    host: str
    port: int
    username: str | None = None
    password: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None


class InputHealth(msgspec.Struct, frozen=True):
    """What an input says of itself: state, when it last heard something, its counters.

    groups are the talkgroups that a radio says it listens to, empty where it says none; None: it is no radio.
    """

    state: str
    last: datetime | None = None
    problem: str | None = None
    counters: dict[str, int] = msgspec.field(default_factory=dict)
    groups: tuple[int, ...] | None = None


OutgoingKind = Literal["text", "location_request", "interval", "status", "report", "report_ack", "location_ack"]


class Outgoing(msgspec.Struct, frozen=True):
    """A message to one terminal, of which there is one in flight a gateway terminal.

    text: for kind `text`. seconds: for kind `interval`, the reporting interval asked for (None: the
    terminal's own again). value: for kind `status`, the 16-bit pre-coded status; for `report` (what became
    of the officer's own message) and `report_ack` the delivery status, with that message's protocol identifier and
    reference. via: the one gateway terminal that may send it, else any. urgent goes ahead of the rest.
    """

    id: str
    issi: Issi
    kind: OutgoingKind
    text: str | None = None
    seconds: int | None = None
    value: int | None = None
    urgent: bool = False
    protocol: int | None = None
    reference: int | None = None
    via: str | None = None


class Sent(msgspec.Struct, frozen=True):
    """The radio has taken a message to the air; reports will carry this message reference (None: it has none)."""

    reference: int | None


class Downlink(Protocol):
    """A gateway terminal that can send. A driver that has one carries it as `downlink`."""

    @property
    def ready(self) -> bool:
        """Registered, in trunked mode, not in a call that forbids sending."""
        ...

    @property
    def waiting(self) -> int:
        """Messages queued here, the one in flight included."""
        ...

    def fits(self, text: str) -> int:
        """How many octets the text is over the limit of this bearer; 0 or less: it fits."""
        ...

    async def send(self, message: Outgoing) -> Sent:
        """Return when the radio has sent it. RefusedError: the radio's code; LinkError: it is gone (not sent)."""
        ...


class DriverContext(msgspec.Struct, frozen=True):
    """All that a driver is given: its name, and the ports it may use."""

    name: str
    clock: Clock
    intake: Intake
    recordings: RecordingSink | None = None
    broker: BrokerAddress | None = None
    instance: str = "lapel"
    receipts: Receipts | None = None
    recall: Callable[[], Recall | None] | None = None
    """Which recordings cameras are to offer again; None where nothing was lost."""


class Driver(Protocol):
    """One input. A driver module has `Settings` (a closed msgspec Struct) and `build(settings, context)`."""

    async def run(self) -> None:
        """Serve until cancelled. LinkError: restart me with back-off; anything else: I am broken, loudly."""
        ...

    def health(self) -> InputHealth:
        """How it is now; never blocks."""
        ...


class WitnessAnswer(msgspec.Struct, frozen=True):
    """What a witness answers, whoever runs it (c2sp.org/tlog-witness)."""

    status: int
    body: bytes
    media: str = "text/plain"


class WitnessDoor(Protocol):
    """One witness of the log, reached over its protocol. LinkError: no answer."""

    async def add_checkpoint(self, body: bytes) -> WitnessAnswer:
        """Ask it to cosign."""
        ...

    async def latest(self, log_id: str) -> bytes | None:
        """The last checkpoint that it cosigned of a log; None where it has or tells none."""
        ...
