"""The camera driver: footage, telemetry and answers, each over an MQTT connection of its own.

Nothing that happens to footage, a slow disk or a defect of ours included, holds back a panic button.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable
from datetime import datetime

import msgspec
import structlog

from drivers.camera import telemetry, wire
from drivers.camera.recalling import Recalling
from drivers.camera.share import RECORDINGS_MAX, Memory, speaker
from drivers.camera.transfer import WINDOW_RETRY_S, Job, Transfer
from drivers.links.mqtt_acks import KeptAck
from drivers.links.mqtt_link import Ack, MqttLink
from gateway.domain.backoff import Backoff
from gateway.domain.events import EmergencyReport, Frame
from gateway.domain.evidence import RecordingKey, Sealed, Segment, UploadState
from gateway.domain.ids import DeviceId
from gateway.domain.time import Instant, Stamp
from gateway.errors import ConfigError, GatewayError, LinkError, SegmentError, StoreBusyError
from gateway.ports import BrokerAddress, DriverContext, InputHealth, RecordingSink

MIB = 1024 * 1024
TRANSFERS = 2048
"""Conversations remembered between their commands; a forgotten one is read anew from the store."""
INLINE_HASH_BYTES = 64 * 1024
FAULT_RETRY_S, FLOOD_RETRY_S = 60, 5
FIRST_PAUSE_S, LONGEST_PAUSE_S, HEALTHY_S = 0.25, 30.0, 20.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of `[[driver]] kind = "camera"`.

    window_bytes: what a camera may send beyond what is durable until the store has told it otherwise;
    memory_bytes: footage of all cameras in memory, beyond which the connection is not read;
    segment_bytes: the largest segment taken; uploads: false hears panic and places, and leaves footage to another.
    """

    window_bytes: int = 8 * MIB
    memory_bytes: int = 64 * MIB
    segment_bytes: int = 4 * MIB
    uploads: bool = True


def build(settings: Settings, context: DriverContext) -> CameraDriver:
    """Make the driver; ConfigError names the limit or the part that is missing."""
    if context.broker is None:
        raise ConfigError("broker", f"driver {context.name!r} (camera) needs one")
    if context.recordings is None:
        raise ConfigError("store", f"driver {context.name!r} (camera) needs the evidence store")
    if settings.segment_bytes < 1:
        raise ConfigError("driver.segment_bytes", "must be positive")
    if settings.window_bytes < settings.segment_bytes:
        raise ConfigError("driver.window_bytes", "must hold at least one segment (segment_bytes)")
    if settings.memory_bytes < settings.window_bytes:
        raise ConfigError("driver.memory_bytes", "must hold at least one window (window_bytes)")
    return CameraDriver(settings, context, context.broker, context.recordings)


class CameraDriver:
    """One site's cameras."""

    def __init__(
        self, settings: Settings, context: DriverContext, broker: BrokerAddress, recordings: RecordingSink
    ) -> None:
        self._context = context
        self._last: datetime | None = None
        self._stopping, self._uploads = False, settings.uploads
        self._counters = {"frames": 0, "emergencies": 0, "quarantined": 0, "unjournalled": 0}
        client = f"{context.instance}-{context.name}"
        self._telemetry = MqttLink(broker, f"{client}-events", wire.TELEMETRY, self.receive)
        self.footage = Footage(settings, context, (broker, client), recordings, self._counters)

    async def run(self) -> None:
        """Serve until cancelled; LinkError when the telemetry connection goes."""
        receipts = self._context.receipts
        with contextlib.nullcontext() if receipts is None else receipts.heard_by(self.footage.renewed):
            await self._serve()

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear_telemetry(), name="camera telemetry")
            group.create_task(self._keep_footage_up(), name="camera footage")
            self._stopping = False
            try:
                await asyncio.Event().wait()
            finally:
                self._stopping = True

    async def _hear_telemetry(self) -> None:
        """Run the telemetry connection; a broker that goes takes both connections, and footage must know first why."""
        try:
            await self._telemetry.run()
        finally:
            self._stopping = True

    async def _keep_footage_up(self) -> None:
        loop, backoff = asyncio.get_running_loop(), Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, HEALTHY_S)
        while self._uploads:
            began_s = loop.time()
            try:
                await self.footage.run()
            except* LinkError as gone:
                self.footage.failed(gone)
            except* Exception as defect:  # noqa: BLE001 - footage is down, loudly; panic buttons go on
                self.footage.failed(defect)
                structlog.get_logger().error("footage_defect", input=self._context.name, exc_info=defect)
            if self._stopping:  # a fault took the place of our cancellation
                return
            await asyncio.sleep(backoff.next_s(loop.time() - began_s, random.random()))  # noqa: S311

    def health(self) -> InputHealth:
        """Up with both halves connected, degraded with telemetry alone."""
        problem = None if self._telemetry.connected else "no connection to the broker"
        state = "up" if problem is None else "down"
        if problem is None and self._uploads and not self.footage.connected:
            state, problem = "degraded", f"footage: {self.footage.problem or 'not connected'}"
        last = max((moment for moment in (self._last, self.footage.last) if moment is not None), default=None)
        return InputHealth(state, last, problem, self.footage.counters)

    def receive(self, topic: str, payload: bytes, ack: Ack) -> None:
        """Take one telemetry message: events to intake at once, the PUBACK when it is kept."""
        now = self._context.clock.now()
        self._last = now.utc
        self._counters["frames"] += 1
        reading = telemetry.read(topic, payload, now, self._context.name)
        device = reading.events[0].origin.device if reading.events else telemetry.device(topic)
        if device is not None and reading.problem is None:
            self.footage.recall(device, now)
        self._counters["emergencies"] += sum(isinstance(event, EmergencyReport) for event in reading.events)
        frame = Frame(self._context.name, Stamp(now), payload, topic, device)
        futures = []
        if reading.events or reading.problem is None:
            futures.append(self._context.intake.accept(frame, reading.events))
        if reading.problem is not None:
            self._counters["quarantined"] += 1
            futures.append(self._context.intake.quarantine(frame, str(reading.problem)))
        KeptAck(futures, ack, self._counters)


COUNTED = (
    *("segments", "segment_bytes", "sealed", "refused", "busy", "malformed", "answers", "pauses", "flooded"),
    *("renewed", "recalls"),
)


class Footage:
    """Uploads: commands in, what the store says out, the PUBACK after the answer."""

    def __init__(
        self,
        settings: Settings,
        context: DriverContext,
        ends: tuple[BrokerAddress, str],
        recordings: RecordingSink,
        counters: dict[str, int],
    ) -> None:
        broker, client = ends
        self._settings, self._context, self._recordings = settings, context, recordings
        self._in = MqttLink(broker, f"{client}-footage", wire.FOOTAGE, self.receive)
        self._out = MqttLink(broker, f"{client}-answers")
        self._transfers: dict[RecordingKey, Transfer] = {}
        self._speaking: set[RecordingKey] = set()
        self._group: asyncio.TaskGroup | None = None
        self._memory = Memory(settings.memory_bytes)
        self._paused = False
        self.last: datetime | None = None
        self.problem: str | None = None
        self._recalling = Recalling()
        self._count = counters
        counters.update(dict.fromkeys(COUNTED, 0))

    @property
    def connected(self) -> bool:
        """Whether footage can come in and answers go out."""
        return self._in.connected and self._out.connected

    @property
    def counters(self) -> dict[str, int]:
        """What became of commands, and what is in memory now."""
        unsaid = sum(transfer.unsaid for transfer in self._transfers.values())
        return {
            **self._count,
            "held_bytes": self._memory.held_bytes,
            "transfers": len(self._transfers),
            "unsaid": unsaid,
        }

    def failed(self, problem: BaseExceptionGroup[BaseException]) -> None:
        """Remember why it is down."""
        first: BaseException = problem
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        self.problem = str(first) or type(first).__name__

    async def run(self) -> None:
        """Serve until a connection goes; what was not acknowledged comes again."""
        self._transfers.clear()
        self._speaking.clear()
        self._memory.clear()
        self._paused = False
        self._in.resume()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._out.run(), name="camera answers")
                await self._out.ready()
                self._group = group
                group.create_task(self._in.run(), name="camera footage in")
        finally:
            self._group = None

    async def renewed(self, sealed: Sealed) -> None:
        """Tell a camera, unasked, of a receipt that says more; LinkError: it is not connected, and asks."""
        said = wire.Response(sealed.key.recording, topic="…/receipt", receipt=sealed.receipt)
        await self._out.publish(wire.response_topic(sealed.key), wire.respond(said))
        self._count["renewed"] += 1

    def receive(self, topic: str, payload: bytes, ack: Ack) -> None:
        """Take one command."""
        now = self._context.clock.now()
        self.last = now.utc
        try:
            command = wire.parse(topic, payload)
        except wire.CommandError as problem:
            self._malformed(Frame(self._context.name, Stamp(now), wire.trimmed(payload), topic), problem, ack)
            return
        key = wire.key_of(command)
        transfer = self._transfer(key)
        if transfer is None:
            self._flooded(key, now.mono_s, ack)
        elif isinstance(command, wire.Piece):
            self._take(transfer, Job(command, ack))
        else:
            # Its answer, not the PUBACK, is what a camera waits for, and it asks again without one. PUBACKs
            # go out in order: a seal that takes seconds must not hold back those of other cameras' segments.
            ack()
            if key.via is None:  # who waits for an answer listens
                self.recall(key.device, now)
            self._take(transfer, Job(command))

    def _take(self, transfer: Transfer, job: Job) -> None:
        if job.weight > self._settings.segment_bytes:
            self._count["refused"] += 1
            transfer.bad(job, "segment_too_large")
        elif (short := self._memory.refuses(transfer.share, job.weight)) is not None:
            self._count["busy"] += 1
            transfer.busy(job, short, WINDOW_RETRY_S)
        elif transfer.take(job):
            self._memory.take(transfer.share, job.weight)
            self._weigh()
        else:
            self._count["busy"] += 1
        self._advance(transfer)

    def _flooded(self, key: RecordingKey, now_s: float, ack: Ack) -> None:
        """A camera with too many conversations under way: told to wait, once a second; what it sent comes again."""
        ack()
        self._count["flooded"] += 1
        if self._group is not None and self._memory.of(speaker(key)).may_be_told(now_s):
            said = wire.Response(
                key.recording,
                reason_code=wire.NOT_NOW,
                reason_description="too_many_recordings",
                retry_after_s=FLOOD_RETRY_S,
            )
            self._group.create_task(self._out.publish(wire.response_topic(key), wire.respond(said)))

    def _malformed(self, frame: Frame, problem: wire.CommandError, ack: Ack) -> None:
        self._count["malformed"] += 1
        if problem.key is not None:
            frame = msgspec.structs.replace(frame, device=problem.key.device)
            transfer = self._transfer(problem.key)
            if transfer is not None:
                transfer.malformed(problem.suffix, problem.problem)
                self._advance(transfer)
        KeptAck([self._context.intake.quarantine(frame, problem.problem)], ack, self._count)

    def recall(self, device: DeviceId, now: Instant) -> None:
        """Ask a camera that was heard for what a restore lost."""
        asked = self._context.recall() if self._context.recall is not None else None
        if asked is None or now.utc > asked.until or self._group is None:
            return
        if self._recalling.turn(device, now.mono_s):
            self._group.create_task(self._recall(device, wire.recall(asked)))

    async def _recall(self, device: DeviceId, question: bytes) -> None:
        try:
            await self._out.publish(wire.recall_topic(device), question)
            self._count["recalls"] += 1
        except LinkError:  # the connection's own end says so
            self._recalling.failed(device)

    def _transfer(self, key: RecordingKey) -> Transfer | None:
        """The conversation about a recording; None where its camera has too many under way already."""
        found = self._transfers.pop(key, None)
        if found is None:
            share = self._memory.of(speaker(key))
            if len(share.recordings) >= RECORDINGS_MAX and not self._forget_idle(share.recordings):
                return None
            while len(self._transfers) >= TRANSFERS and self._forget_idle(self._transfers):
                pass
            found = Transfer(key, self._settings.window_bytes, self._memory.of(speaker(key)))
            found.share.recordings[key] = None
        self._transfers[key] = found
        return found

    def _forget_idle(self, among: Iterable[RecordingKey]) -> bool:
        """Forget the oldest conversation with nothing under way; whether there was one."""
        for key in among:
            if key not in self._speaking and self._transfers[key].idle:
                share = self._transfers.pop(key).share
                share.recordings.pop(key)
                self._memory.forget_idle(speaker(key))
                return True
        return False

    def _weigh(self) -> None:
        """With more footage in memory than may be, the connection is not read until half of it is gone."""
        held, limit = self._memory.held_bytes, self._settings.memory_bytes
        if held > limit and not self._paused:
            self._paused = True
            self._count["pauses"] += 1
            self._in.pause()
        elif held <= limit // 2 and self._paused:
            self._paused = False
            self._in.resume()

    def _advance(self, transfer: Transfer) -> None:
        """Start what may run now, and say what there is to say."""
        if self._group is None:
            return  # the connection is ending; the broker sends it again
        for job in transfer.startable():
            self._group.create_task(self._perform(transfer, job))
        if not transfer.silent and transfer.key not in self._speaking:
            self._speaking.add(transfer.key)
            self._group.create_task(self._speak(transfer))

    async def _speak(self, transfer: Transfer) -> None:
        """Publish one answer after the other; then, and only then, acknowledge what it answers."""
        topic = wire.response_topic(transfer.key)
        while (answer := transfer.answer()) is not None:
            await self._out.publish(topic, wire.respond(answer.response))
            self._count["answers"] += 1
            for ticket in answer.tickets:
                ticket()
        self._speaking.discard(transfer.key)

    async def _perform(self, transfer: Transfer, job: Job) -> None:
        try:
            await self._do(transfer, job)
        except SegmentError as bad:
            self._count["refused"] += 1
            transfer.bad(job, str(bad))
        except StoreBusyError as busy:
            self._count["busy"] += 1
            transfer.busy(job, str(busy), busy.retry_after_s)
        except GatewayError as fault:
            # Footage is never refused for a fault of ours: the camera keeps it and comes again. Nor may what one
            # recording says of itself, and the store can't write down (MisuseError), cost every camera its connection.
            structlog.get_logger().error("store_fault", device=transfer.key.device, problem=str(fault))
            self._count["busy"] += 1
            transfer.busy(job, "store_fault", FAULT_RETRY_S)
        finally:
            self._memory.give_back(transfer.share, job.weight)
            self._weigh()
        self._advance(transfer)

    async def _do(self, transfer: Transfer, job: Job) -> None:
        match job.command:
            case wire.Piece(segment=segment):
                await self._keep(transfer, job, segment)
            case wire.Init(offer=offer):
                self._settle(transfer, job, await self._recordings.begin(offer))
            case wire.StatusQuery(key=key):
                self._settle(transfer, job, await self._recordings.state(key))
            case wire.Fin(fin=fin):
                self._settle(transfer, job, await self._recordings.finish(fin))
            case wire.Abort(key=key):
                self._settle(transfer, job, await self._recordings.abandon(key))

    async def _keep(self, transfer: Transfer, job: Job, segment: Segment) -> None:
        big = len(segment.content) > INLINE_HASH_BYTES and segment.sha256 is not None
        if not (await asyncio.to_thread(wire.agrees, segment) if big else wire.agrees(segment)):
            raise SegmentError("checksum_mismatch")
        transfer.kept(job, await self._recordings.keep(segment))
        self._count["segments"] += 1
        self._count["segment_bytes"] += len(segment.content)

    def _settle(self, transfer: Transfer, job: Job, outcome: UploadState | Sealed | None) -> None:
        if isinstance(outcome, Sealed):
            self._count["sealed"] += 1
        transfer.settled(job, outcome)
