"""TAK servers as consumers of a running feed: what each may see, and that none takes anything else along."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway import tak_half
from gateway.app import opened
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.observe import SystemClock
from gateway.outlets import cot_link
from gateway.outlets.cot_settings import CotSettings
from gateway.settings import Settings, parse
from gateway.tak_half import TakHalf
from tests.feed.shift import Roster, at, press, status, who
from tests.outlets.tak_server import TakServer, until

ALERT, CANCEL, TRACK = "b-a-o-tbl", "b-a-o-can", "a-f-G-U-C"


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Tries follow one another quickly."""
    monkeypatch.setattr(cot_link, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(cot_link, "LONGEST_PAUSE_S", 0.1)
    monkeypatch.setattr(tak_half, "AGAIN_AFTER_S", 0.02)


@pytest.fixture
async def server():
    """A TAK server."""
    made = TakServer()
    await made.start()
    yield made
    await made.stop()


def one(port: int, name: str = "tak", **more) -> CotSettings:
    """A server's section."""
    return CotSettings(name=name, host="127.0.0.1", port=port, settle_s=0.0, **more)


@contextlib.asynccontextmanager
async def running(folder, *servers: CotSettings, **feed_settings):
    """A feed with two officers and the servers that follow it."""
    roster, clock = Roster(), SystemClock()
    units = roster.enlist(1), roster.enlist(2, agency="CAMBS", role="PC")
    feed = Feed(FeedSettings(tick_ms=10, **feed_settings), roster, clock, folder)
    await feed.open()
    tak = TakHalf(list(servers), feed, clock)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(feed.run()), group.create_task(tak.run())]
        yield feed, tak, units, clock
        for task in tasks:
            task.cancel()
    await feed.close()


def place(feed: Feed, unit: str, clock) -> None:
    """A position of a unit."""
    feed.position(at(clock.now(), device=f"bcn-{unit}"), who(unit, f"P-{unit[-1]}", f"bcn-{unit}"))


async def test_positions_an_emergency_and_its_end(tmp_path, server) -> None:
    """From the feed to the map: track, alert, cancellation."""
    async with running(tmp_path, one(server.port)) as (feed, tak, (cso, _), clock):
        place(feed, cso, clock)
        await until(lambda: server.told(TRACK))
        feed.emergency(press(clock.now()), who(cso, "P-1"), journalled=True)
        await until(lambda: server.told(ALERT))
        (raised,) = feed.emergencies()
        assert not raised.delivered  # CoT acknowledges nothing: no machine has said that it has it
        feed.clear(raised.id, "P-9", "assisted")
        await until(lambda: server.told(CANCEL))
        assert server.told(CANCEL)[0] == f"LAPEL.{cso}-9-1-1"
        assert tak.condition() == "ok"
        assert tak.counts()["tak_cancels"] >= 1


async def test_off_duty_is_dropped(tmp_path, server) -> None:
    """Its track is stale before it starts, and no position of it goes out any more."""
    async with running(tmp_path, one(server.port)) as (feed, _, (cso, _pc), clock):
        place(feed, cso, clock)
        await until(lambda: server.told(TRACK))
        feed.status(status(clock.now(), 11), who(cso, "P-1"))
        await until(lambda: b"<__lapel" not in server.events[-1])
        place(feed, cso, clock)
        await asyncio.sleep(0.1)
        assert b"<__lapel" not in server.events[-1]


async def test_a_server_sees_what_its_section_chooses(tmp_path, server) -> None:
    """Units of its agencies; everybody's emergencies, under its own types and marked as exercise."""
    chosen = one(server.port, agency=("CAMBS",), types={"PC": "a-f-G-U-U-L-C"}, exercise=True)
    async with running(tmp_path, chosen) as (feed, _, (cso, constable), clock):
        place(feed, cso, clock)
        place(feed, constable, clock)
        await until(lambda: server.told("a-f-G-U-U-L-C"))
        feed.emergency(press(clock.now()), who(cso, "P-1"), journalled=True)
        await until(lambda: server.told(ALERT))
        assert server.told(TRACK) == []
        assert all(b' opex="e"' in event for event in server.events)


async def test_one_that_is_down_takes_nothing_along(tmp_path, server) -> None:
    """Degraded by name; the other is told, and the feed's health is its own."""
    gone = TakServer()
    await gone.start()
    await gone.stop()
    async with running(tmp_path, one(server.port), one(gone.port, "away")) as (feed, tak, (cso, _), clock):
        place(feed, cso, clock)
        await until(lambda: server.told(TRACK))
        assert tak.condition() == "degraded"
        assert (tak.counts()["tak_up"], tak.counts()["away_up"]) == (1, 0)
        assert feed.health() == "ok"
        feed.emergency(press(clock.now()), who(cso, "P-1"), journalled=True)
        await until(lambda: tak.counts()["away_emergencies_untold"] == 1)
        await gone.start()
        await until(lambda: gone.told(ALERT))
        await until(lambda: tak.condition() == "ok")
        await gone.stop()


async def test_a_defect_ends_itself_alone(tmp_path, server, monkeypatch) -> None:
    """An event that nobody foresaw how to make: the server is down, loudly, tried again, and all else goes on."""
    made = cot_link.CotLink._speak

    async def broken(link, writer) -> None:
        if link._settings.name == "bad":
            raise ZeroDivisionError
        await made(link, writer)

    monkeypatch.setattr(cot_link.CotLink, "_speak", broken)
    async with running(tmp_path, one(server.port, "bad"), one(server.port)) as (feed, tak, (cso, _), clock):
        place(feed, cso, clock)
        await until(lambda: server.told(TRACK))
        assert tak.counts()["bad_up"] == 0
        assert tak.condition() == "degraded"


async def test_the_feed_begins_anew(tmp_path, server) -> None:
    """A consumer that was closed follows again, from a snapshot."""
    async with running(tmp_path, one(server.port)) as (feed, _, (cso, _pc), clock):
        await until(lambda: feed._hub.consumers)
        feed._hub.consumers[0].end("slow consumer")
        await until(lambda: feed._hub.closed.get("slow consumer") and feed._hub.consumers)
        place(feed, cso, clock)
        await until(lambda: server.told(TRACK))


async def test_a_full_feed_is_tried_again(tmp_path, server) -> None:
    """A place among the consumers comes free: it is taken."""
    servers = one(server.port), one(server.port, "second")
    async with running(tmp_path, *servers, consumers_max=1) as (feed, *_):
        await until(lambda: feed._hub.consumers)
        await asyncio.sleep(0.05)
        feed.unsubscribe(feed._hub.consumers[0])
        await until(lambda: feed._hub.consumers)


async def test_cleared_while_the_gateway_was_away_from_the_server(tmp_path, server) -> None:
    """Restarted, it cancels what was cleared before: the server may still show it."""
    async with running(tmp_path) as (feed, _, (cso, _pc), clock):
        feed.emergency(press(clock.now()), who(cso, "P-1"), journalled=True)
        feed.clear(feed.emergencies()[0].id, "P-9", "test")
        await asyncio.sleep(0.1)
    async with running(tmp_path, one(server.port)):
        await until(lambda: server.told(CANCEL))
        assert server.told(ALERT) == []


def test_no_section_no_part() -> None:
    """Without [[cot]] there is nothing to be degraded."""
    assert TakHalf.of(Settings(), None, SystemClock()) is None


async def test_in_a_whole_gateway(tmp_path, server) -> None:
    """Composed: an emergency raised by the control room is on the map, the part is named, its counters are scraped."""
    section = {"name": "tak-1", "host": "127.0.0.1", "port": server.port, "settle_s": 0.0}
    raw = {
        "gateway": {"data": str(tmp_path / "data")},
        "evidence": {"enabled": False},
        "api": {"port": 0},
        "cot": [section],
    }
    async with opened(parse(raw), {}) as gateway:
        gateway.feed.emergency(press(SystemClock().now(), issi=77), who(None, issi=77), journalled=True)
        await until(lambda: server.told(ALERT))
        assert gateway.parts()["cot"] == "ok"
        assert b"lapel_cot_tak_1_alerts 1.0" in gateway.metrics.exposition()
        await server.stop()
        await until(lambda: gateway.parts()["cot"] == "degraded")
        assert gateway.parts()["feed"] == "ok"


async def test_an_agencys_server_is_told_what_the_agency_sees(tmp_path, server) -> None:
    """Its own units; of another agency's emergency that there is one, not whose; nothing of the unit."""
    async with running(tmp_path, one(server.port, consumer="PCC")) as (feed, _, (cso, pc), clock):
        for unit in (cso, pc):
            place(feed, unit, clock)
        feed.emergency(press(clock.now(), issi=None), who(pc, f"P-{pc[-1]}"), journalled=True)
        await until(lambda: server.told(ALERT) and server.told(TRACK))
        await asyncio.sleep(0.1)
        assert not [uid for kind in (ALERT, TRACK) for uid in server.told(kind) if pc in uid]
        assert server.told(TRACK)[0] == f"LAPEL.{cso}"
