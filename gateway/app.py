"""The composition root: opens every part in order, closes them in reverse; the only module that sees all rooms."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import msgspec
import structlog

from drivers import registry
from drivers.broker.driver import BrokerWatch, Ends
from drivers.broker.outlet import RetainedOutlet
from drivers.links.embedded_broker import EmbeddedBroker
from gateway import settings as configuration
from gateway.alarming import alarming, check_hook
from gateway.api.auth import Doorkeeper
from gateway.api.rooms import EvidenceRoom, Rooms
from gateway.api.server import Server
from gateway.asking_half import Asking, asking_half
from gateway.cameras_half import cameras_half
from gateway.claim import claim
from gateway.closed_store import ClosedStore
from gateway.console import page
from gateway.crypto.journal_keys import JournalKeys
from gateway.crypto.keys import KeyStore
from gateway.crypto.permissions import refuse_open
from gateway.devices_half import DevicesHalf, devices_half
from gateway.dispatch.dispatch import Dispatch
from gateway.dispatch_half import dispatch_half
from gateway.errors import ConfigError, GatewayError
from gateway.evidence.expected import Expectations
from gateway.evidence_half import EvidenceHalf, evidence_half
from gateway.evidence_work import EvidenceWork
from gateway.fault_keeping import FaultKeeping, counters_of
from gateway.feed.agreement import check_zones
from gateway.feed.feed import Feed
from gateway.history_half import Historian
from gateway.intake_half import intake_half
from gateway.observe import Inputs, Metrics, SystemClock
from gateway.pipeline.group_commit import GroupCommit
from gateway.pipeline.intake import FrameIntake
from gateway.pipeline.journal import Journal
from gateway.pipeline.route import Router
from gateway.ports import BrokerAddress, Clock, Driver, DriverContext, InputHealth, RecordingSink
from gateway.publishing import FEED_OUT, feed_out, is_out
from gateway.roster.directory import Roster
from gateway.roster.importer import read
from gateway.roster.watch import Watch
from gateway.self_booking import SelfBooking, self_booking
from gateway.settings import Settings
from gateway.sharing_half import SharingHalf
from gateway.store.accounts import Accounts
from gateway.store.credentials import CredentialStore
from gateway.store.roster import RosterStore
from gateway.supervisor import Supervisor
from gateway.tak_half import TakHalf
from gateway.tracks_half import TracksHalf, tracks_half
from gateway.zones_half import read_zones, zones_half

BROKER_RIGHTS = "broker-rights"
DriverSettings = dict[str, msgspec.Struct]


def checked(file: str) -> tuple[Settings, DriverSettings]:
    """Settings and each driver's own, with everything they name; ConfigError names file and key."""
    settings = configuration.load(file)
    try:
        drivers = driver_settings(settings)
        check_zones(settings.sharing, [zone.id for zone in read_zones(settings.feed, settings.map)])
        check_hook(settings.feed)
    except ConfigError as wrong:
        raise ConfigError(wrong.key, wrong.problem, wrong.file or file) from wrong
    if settings.roster.file:
        read(settings.roster.file)
    return settings, drivers


def driver_settings(settings: Settings) -> DriverSettings:
    """Each driver's own settings by the driver's name; ConfigError names the key."""
    made = {}
    for number, section in enumerate(settings.driver):
        key = f"driver[{number}]"
        try:
            made[section.name] = configuration.closed(registry.settings_type(section.kind), section.rest, key)
        except ConfigError as wrong:
            named = wrong.key if wrong.key.startswith(key) else f"{key}.{wrong.key.removeprefix('driver.')}"
            raise ConfigError(named, wrong.problem) from wrong
    return made


@dataclass
class Gateway:
    """The open parts, and how they are."""

    settings: Settings
    roster: Roster
    feed: Feed
    dispatch: Dispatch
    intake: FrameIntake
    evidence: EvidenceHalf | None
    supervisor: Supervisor
    watch: Watch
    journal: GroupCommit[Any]
    evidence_problem: str | None = None
    api_port: int = 0
    broker: BrokerAddress | None = None
    expected: Expectations | None = None
    metrics: Metrics = field(default_factory=Metrics)
    drivers: dict[str, Driver] = field(default_factory=dict)
    devices: DevicesHalf | None = None
    server: Server | None = None
    work: EvidenceWork | None = None
    tak: TakHalf | None = None
    tracks: TracksHalf | None = None
    asking: Asking | None = None
    sharing: SharingHalf | None = None
    booking: SelfBooking | None = None

    def parts(self) -> dict[str, str]:
        """Each part as ok, degraded or down; one part's trouble is never another's."""
        unread = self.watch.problem or (self.devices is not None and self.devices.watch.problem)
        parts = {"feed": self.feed.health(), "roster": "degraded" if unread else "ok"}
        parts["dispatch"] = self.dispatch.health()
        parts["journal"] = "ok" if self.journal.healthy else "degraded"
        if self.settings.evidence.enabled:
            parts["evidence"] = "down" if self.evidence is None else self.evidence.condition
        if self.evidence is not None:
            parts |= self.evidence.parts()
        if self.tak is not None:
            parts["cot"] = self.tak.condition()
        inputs = {name: health.state for name, health in self.inputs().items()}
        if (rights := inputs.pop(BROKER_RIGHTS, None)) is not None:
            parts["broker"] = "ok" if rights == "up" else "degraded"
        if out := {inputs.pop(name) for name in list(inputs) if is_out(name)}:
            parts[FEED_OUT] = "ok" if out == {"up"} else "degraded"
        if self.settings.driver:
            parts["inputs"] = "ok" if set(inputs.values()) <= {"up"} else "degraded"
        return parts

    def inputs(self) -> dict[str, InputHealth]:
        """Health of every input."""
        return self.supervisor.health()

    def uploads(self) -> list[dict[str, Any]]:
        """Uploads in flight."""
        return [] if self.evidence is None else self.evidence.recordings.uploads()


@contextlib.asynccontextmanager
async def opened(settings: Settings, drivers: DriverSettings, clock: Clock | None = None) -> AsyncIterator[Gateway]:
    """Open everything but the inputs; close it in reverse."""
    clock = clock or SystemClock()
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(os.close, await asyncio.to_thread(claim, settings.data))
        await asyncio.to_thread(refuse_open, settings.keys, settings.authority)
        keystore = KeyStore(settings.keys, settings.signers)
        keystore.load(create=True)
        store, roster = await _roster(stack, settings)
        devices = devices_half(settings, CredentialStore(store.engine), clock)
        await asyncio.to_thread(devices.recall)
        half, problem = await _evidence(stack, settings, roster, (clock, devices))
        feed, trail = await _feed(stack, settings, roster, clock)
        sharing = SharingHalf(feed, settings.sharing, trail, half.records.custody if half else None)
        watch = Watch(store, roster, feed.refresh)
        inputs: dict[str, Driver] = {}
        dispatch = await dispatch_half(stack, settings, store, (roster, feed, clock), inputs)
        cameras, expected = cameras_half(stack, settings, (roster, clock), half)
        intake, journal, written = await intake_half(stack, settings, keystore, Router(roster, feed, dispatch), cameras)
        journal.recovered = feed.journal_recovered
        broker = await _broker(stack, settings)
        sink: RecordingSink = half.recordings if half else ClosedStore(problem or "this instance keeps no evidence")
        context = _told(DriverContext("", clock, intake, sink, broker, settings.gateway.instance), half)
        await asyncio.to_thread(devices.open)
        out, rounds = feed_out(settings, feed, clock, partial(RetainedOutlet, broker))
        inputs.update({**_drivers(settings, drivers, context), **_broker_watch(devices, context), **out})
        kept = (half, Supervisor(inputs), watch, journal, problem, 0, broker, expected)
        gateway = Gateway(settings, roster, feed, dispatch, intake, *kept)
        gateway.booking = self_booking(feed, dispatch, (roster, store, clock), watch.nudge)
        gateway.drivers, gateway.devices, gateway.tracks, gateway.sharing = inputs, devices, trail, sharing
        rounds.inputs, rounds.parts = gateway.inputs, gateway.parts
        _metrics(gateway)
        gateway.asking = asking_half(stack, settings, clock, gateway.metrics.gauges)
        gateway.server = server = await _api(stack, gateway, store)
        background = await stack.enter_async_context(asyncio.TaskGroup())
        lasting = [feed.run, watch.run, dispatch.run, devices.run, expected.run, server.run, sharing.run]
        tasks = [background.create_task(run()) for run in (*lasting, *trail.lasting, *_beside(gateway, written, clock))]
        stack.callback(lambda: [task.cancel() for task in tasks])
        yield gateway


def _told(context: DriverContext, half: EvidenceHalf | None) -> DriverContext:
    """What the store has to tell cameras unasked."""
    if half is None:
        return context
    return msgspec.structs.replace(context, receipts=half.receipts, recall=lambda: half.recall)


Lasting = Callable[[], Coroutine[Any, Any, None]]


def _beside(gateway: Gateway, written: tuple[Journal, JournalKeys], clock: Clock) -> list[Lasting]:
    """What keeps record of the gateway itself and of positions; evidence work that people ask for; TAK servers."""
    lasting: list[Lasting] = [_faults(gateway).run]
    if gateway.booking is not None:
        gateway.metrics.gauges.add("bookings", gateway.booking.stats)
        lasting.append(gateway.booking.run)
    lasting += alarming(gateway.settings.feed, gateway.feed, gateway.metrics.gauges)
    lasting += [part.run for part in (gateway.work, gateway.asking) if part is not None]
    if gateway.evidence is not None:  # what roots the journal in the log
        kept = gateway.evidence.records
        days = gateway.settings.retention.journal_days
        history = Historian(gateway.settings.data / "journal", written, (kept.custody, kept.catalogue), days)
        gateway.metrics.gauges.add("history", lambda: history.counts)
        lasting.append(history.run)
    gateway.tak = TakHalf.of(gateway.settings, gateway.feed, clock)
    if gateway.tak is not None:
        gateway.metrics.gauges.add("cot", gateway.tak.counts)
        lasting.append(gateway.tak.run)
    return lasting


async def _roster(stack: contextlib.AsyncExitStack, settings: Settings) -> tuple[RosterStore, Roster]:
    store = RosterStore(settings.data / "roster.db")
    stack.callback(store.close)
    if settings.roster.file:
        await asyncio.to_thread(store.import_file, read(settings.roster.file), "roster file")
    return store, await asyncio.to_thread(store.roster)


async def _feed(
    stack: contextlib.AsyncExitStack, settings: Settings, roster: Roster, clock: Clock
) -> tuple[Feed, TracksHalf]:
    feed = Feed(settings.feed, roster, clock, settings.data)
    await asyncio.to_thread(zones_half, settings.feed, settings.map, feed)
    return feed, await tracks_half(stack, settings, roster, feed, clock)


async def _evidence(
    stack: contextlib.AsyncExitStack, settings: Settings, roster: Roster, known: tuple[Clock, DevicesHalf]
) -> tuple[EvidenceHalf | None, str | None]:
    """Open the evidence half; one that is not what was written stays shut, loudly, and the feed goes on."""
    if not settings.evidence.enabled:
        return None, None
    try:
        clock, devices = known
        half = await stack.enter_async_context(evidence_half(settings, roster, clock, devices.rights))
    except ConfigError:
        raise
    except Exception as wrong:  # noqa: BLE001 - evidence may fail as it will: positions and emergencies go on
        problem = str(wrong) or type(wrong).__name__
        structlog.get_logger().critical("evidence_shut", problem=problem, exc_info=not isinstance(wrong, GatewayError))
        return None, problem
    devices.log = half.records.custody.record_now
    return half, None


async def _broker(stack: contextlib.AsyncExitStack, settings: Settings) -> BrokerAddress:
    section = settings.broker
    if section.embedded:
        embedded = EmbeddedBroker(section.port)
        await embedded.open()
        stack.push_async_callback(embedded.close)
        return embedded.address
    secret = configuration.password(section)
    return BrokerAddress(section.host, section.port, section.username, secret, section.ca, section.cert, section.key)


def _drivers(settings: Settings, own: DriverSettings, context: DriverContext) -> dict[str, Driver]:
    replace = msgspec.structs.replace
    return {
        section.name: registry.build(section.kind, own[section.name], replace(context, name=section.name))
        for section in settings.driver
    }


def _broker_watch(devices: DevicesHalf, context: DriverContext) -> dict[str, Driver]:
    """The broker as an input, where there is a certificate to try its rights with."""
    probe = devices.probe()
    if probe is None or context.broker is None:
        if not devices.settings.broker.embedded:  # whose limits are known
            structlog.get_logger().warning("broker_rights_unchecked", why="no device authority, or no mutual TLS")
        return {}
    ends, client = Ends(context.broker, probe), f"{context.instance}-broker-rights"
    return {BROKER_RIGHTS: BrokerWatch(ends, client, devices, context.clock, devices.remark)}


def _faults(gateway: Gateway) -> FaultKeeping:
    """What goes wrong with the gateway itself, kept; by the host's own clock, whatever the rest goes by."""
    half = gateway.evidence

    def counters() -> dict[str, int]:
        return counters_of(gateway.intake.counts, gateway.inputs())

    folder, records = gateway.settings.data / "journal", half.records if half else None
    faults = FaultKeeping(folder, counters, SystemClock(), records)
    gateway.metrics.gauges.add("faults", lambda: faults.counts)
    return faults


def _metrics(gateway: Gateway) -> None:
    gauges = gateway.metrics.gauges
    gauges.add("intake", lambda: gateway.intake.counts)
    gauges.add("feed", lambda: {key: n for key, n in gateway.feed.stats().items() if isinstance(n, (int, float))})
    gauges.add("dispatch", gateway.dispatch.stats)
    if gateway.tracks is not None:
        gauges.add("tracks", gateway.tracks.stats)
    if gateway.sharing is not None:
        gauges.add("sharing", gateway.sharing.stats)
    if gateway.devices is not None:
        gauges.add("devices", gateway.devices.counts)
    if gateway.expected is not None:
        expected = gateway.expected
        gauges.add("cameras", lambda: expected.stats)
    if gateway.evidence is not None:
        gateway.evidence.add_gauges(gauges)
    gateway.metrics.registry.register(
        Inputs(lambda: [(name, h.state == "up", h.counters) for name, h in gateway.inputs().items()])
    )


async def _api(stack: contextlib.AsyncExitStack, gateway: Gateway, store: RosterStore) -> Server:
    settings, half = gateway.settings, gateway.evidence
    room = None
    if half is not None:
        kept = half.records
        want = half.recordings.shares.want
        told = (kept.custody, kept.catalogue, kept.reader, kept.thumbnails)
        room = EvidenceRoom(*told, want, half.desk, half.witnesses, half.disposing, half.copies)
        if half.checks is not None:
            room = replace(room, scrubs=half.checks.scrubs, reconciled=half.checks.reconciling.read)
        work = gateway.work = EvidenceWork(settings, half, SystemClock())
        work.add_gauges(gateway.metrics.gauges)
        room = replace(room, deriver=work.deriver, exports=work.exports)
    door = Doorkeeper(Accounts(store.engine), settings.auth.roles, settings.auth.session_hours)
    rooms = Rooms(
        instance=settings.gateway.instance,
        doorkeeper=door,
        metrics=gateway.metrics,
        roster=lambda: gateway.roster,
        roster_store=store,
        feed=gateway.feed,
        dispatch=gateway.dispatch,
        evidence=room,
        inputs=gateway.inputs,
        parts=gateway.parts,
        uploads=gateway.uploads,
        footage_problem=lambda: half.recordings.problem if half else None,
        roster_changed=gateway.watch.nudge,
        roster_look=gateway.watch.look,
        expected=gateway.expected,
        tracks=gateway.tracks,
        asking=gateway.asking,
    )
    server = Server(rooms, version("lapel"), page.ROUTES)
    gateway.api_port = await server.open(settings.api.host, settings.api.port)
    stack.push_async_callback(server.close)
    return server


async def serve(
    settings: Settings,
    drivers: DriverSettings,
    stop: asyncio.Event,
    started: Callable[[Gateway], None] = lambda _gateway: None,
) -> None:
    """Run the gateway until stop is set: inputs last up and first down."""
    async with opened(settings, drivers) as gateway, asyncio.TaskGroup() as group:
        inputs = group.create_task(gateway.supervisor.run())
        started(gateway)
        await stop.wait()
        inputs.cancel()
