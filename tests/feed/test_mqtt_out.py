"""The feed out: one connection after another, nothing urgent lost between them, nobody held up by a broker."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

import pytest

from gateway.errors import LinkError
from gateway.feed import mqtt_out
from gateway.feed.agreement import Agreement
from gateway.feed.feed import Feed
from gateway.feed.mqtt_out import SILENT_S, STATUS, FeedOut, Where
from gateway.feed.seen import Seen
from gateway.feed.settings import FeedSettings
from gateway.feed.status import ClockNote, Condition, InputNote
from tests.drivers.links.rig import until
from tests.feed.shift import Roster, SetClock, at, press, who

EMERGENCIES = "lapel/v1/feed/emergency/"


class Broker:
    """An outlet to a broker in memory; it can go, stall, refuse to be looked through."""

    def __init__(self) -> None:
        self.lying: dict[str, dict] = {}
        self.said: list[tuple[str, dict | None]] = []
        self.will: tuple[str, dict] | None = None
        self.connected = False
        self.blind = False
        self.in_flight = self.most_in_flight = 0
        self._up, self._gone = asyncio.Event(), asyncio.Event()
        self.takes = asyncio.Event()
        self.takes.set()

    async def run(self, topic: str, will: bytes) -> None:
        self.will = (topic, json.loads(will))
        self._gone.clear()
        self.connected = True
        self._up.set()
        try:
            await self._gone.wait()
            raise LinkError("the broker went")
        finally:
            self._up.clear()
            self.connected = False

    async def ready(self) -> None:
        await self._up.wait()

    def go(self) -> None:
        """End the connection."""
        self.connected = False
        self._gone.set()

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.in_flight, self.most_in_flight)
        try:
            await self.takes.wait()
            if not self.connected:
                raise LinkError("gone")
            content = json.loads(payload) if payload else None
            self.said.append((topic, content))
            if retain and content is not None:
                self.lying[topic] = content
            elif retain:
                self.lying.pop(topic, None)
        finally:
            self.in_flight -= 1

    async def found(self, below: str) -> dict[str, bytes]:
        if self.blind:
            raise LinkError("not allowed")
        found = {topic: json.dumps(content).encode() for topic, content in self.lying.items()}
        return {topic: payload for topic, payload in found.items() if (topic == STATUS) == (below == STATUS)}


class Shift:
    """A feed of three units, its way out, and a broker."""

    def __init__(self, folder) -> None:
        self.roster, self.clock, self.broker = Roster(), SetClock(), Broker()
        self.units = [self.roster.enlist(number) for number in (1, 2, 3)]
        self.feed = Feed(FeedSettings(), self.roster, self.clock, folder)
        self.state = "up"
        self.out = FeedOut(self.feed, self.broker, self.clock, "pbo-1", self.told)

    def told(self) -> Condition:
        """How the gateway is."""
        last = "2026-11-21T23:40:09Z"
        return Condition({"terminal-1": InputNote(self.state, last)}, {"feed": "ok"}, ClockNote(True, 3.0))

    @asynccontextmanager
    async def connected(self):
        """One connection, cancelled at the end; that it broke is not this test's fault."""
        async with asyncio.TaskGroup() as group:

            async def run():
                with suppress(ExceptionGroup):
                    await self.out.run()

            task = group.create_task(run())
            await until(lambda: self.broker.connected, 2)
            yield task
            task.cancel()

    def filled(self) -> set[str]:
        """Units with both topics."""
        names = [topic.split("/")[5] for topic in self.broker.lying if "/unit/" in topic]
        return {name for name in names if names.count(name) == 2}

    def emergencies(self) -> list[str]:
        """States said of emergencies, in order; None where a topic was emptied."""
        return [content and content["state"] for topic, content in self.broker.said if topic.startswith(EMERGENCIES)]


@pytest.fixture
async def shift(tmp_path):
    """A feed that is open."""
    made = Shift(tmp_path)
    await made.feed.open()
    yield made
    await made.feed.close()


async def test_all_state_lies_retained_and_off_duty_and_back_on(shift):
    """At the first connection everything; then changes as they come."""
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units), 2)
        shift.feed.set_duty(shift.units[0], 11)
        await until(lambda: shift.filled() == set(shift.units[1:]), 2)
        shift.feed.set_duty(shift.units[0], 2)
        await until(lambda: shift.filled() == set(shift.units), 2)
    assert shift.broker.lying[f"lapel/v1/feed/PCC/unit/{shift.units[0]}/duty"]["code"] == 2


async def test_the_status_says_how_it_is_and_goes_out_when_that_changes(shift):
    """Online with inputs, parts and clock; again at a change, not otherwise; offline in the will and at the end."""
    async with shift.connected():
        await until(lambda: STATUS in shift.broker.lying, 2)
        assert shift.broker.lying[STATUS] == {
            "v": 1, "instance": "pbo-1", "epoch": shift.feed.epoch, "seq": shift.broker.lying[STATUS]["seq"],
            "at": "2026-11-21T21:00:00Z", "state": "online",
            "inputs": {"terminal-1": {"state": "up", "last": "2026-11-21T23:40:09Z"}},
            "parts": {"feed": "ok"}, "clock": {"synchronised": True, "offset_ms": 3.0},
        }  # fmt: skip
        shift.state = "down"
        await until(lambda: shift.broker.lying[STATUS]["inputs"]["terminal-1"]["state"] == "down", 3)
        assert len([topic for topic, _ in shift.broker.said if topic == STATUS]) == 2
    offline = {"v": 1, "instance": "pbo-1", "epoch": shift.feed.epoch, "state": "offline"}
    assert shift.broker.will == (STATUS, offline)
    assert shift.broker.lying[STATUS] == offline


async def test_what_is_urgent_while_the_broker_is_away_is_told_in_order_when_it_is_back(shift):
    """Raised, acknowledged and cleared meanwhile: three messages; what ended meanwhile is emptied."""
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units), 2)
        first = shift.feed.raise_manual(unit=shift.units[1]).id
        await until(lambda: shift.emergencies() == ["active"], 2)
        shift.broker.go()
        await until(lambda: not shift.broker.connected, 2)
    assert shift.out.health().state == "down"
    shift.feed.clear(first, "A. Person", "assisted")
    number = shift.feed.raise_manual(unit=shift.units[0]).id
    shift.feed.acknowledge(number, "A. Person")
    shift.feed.set_duty(shift.units[2], 11)
    shift.broker.said.clear()
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units[:2]), 2)
    assert shift.emergencies()[:5] == ["active", "cleared", None, "active", "acknowledged"]
    assert [topic for topic in shift.broker.lying if topic.startswith(EMERGENCIES)] == [EMERGENCIES + number]


async def test_a_broker_that_lost_everything_has_it_all_again(shift):
    """State and open emergencies."""
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units), 2)
        number = shift.feed.raise_manual(unit=shift.units[0]).id
        await until(lambda: EMERGENCIES + number in shift.broker.lying, 2)
        shift.broker.go()
    shift.broker.lying.clear()
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units) and EMERGENCIES + number in shift.broker.lying, 2)


async def test_what_was_in_flight_when_the_link_broke_is_sent_again(shift):
    """An emergency that the broker never confirmed."""
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units), 2)
        shift.broker.takes.clear()
        number = shift.feed.raise_manual(unit=shift.units[0]).id
        await until(lambda: shift.broker.in_flight, 2)
        shift.broker.go()
        shift.broker.takes.set()
    async with shift.connected():
        await until(lambda: EMERGENCIES + number in shift.broker.lying, 2)


async def test_a_broker_that_stalls_holds_up_nobody_and_gets_only_the_newest(shift):
    """Bounded in flight; the board and other consumers go on; what is urgent passes what waits."""
    units = shift.units + [shift.roster.enlist(number) for number in range(10, 110)]
    shift.feed.refresh()
    shift.broker.takes.clear()
    async with shift.connected():
        await until(lambda: shift.broker.in_flight >= mqtt_out.IN_FLIGHT, 2)
        waiting = shift.out.health().counters["waiting"]
        for code in (2, 3) * 5:
            shift.feed.board.set_duty(units[50], code, 1e10, "api")
            shift.feed.tick(shift.clock.on(1))
            await asyncio.sleep(0.01)
        assert shift.out.health().counters["waiting"] <= waiting + 4
        number = shift.feed.raise_manual(unit=units[0]).id
        await asyncio.sleep(0.05)
        shift.broker.takes.set()
        await until(lambda: shift.filled() == set(units), 3)
        topics = [topic for topic, _ in shift.broker.said]
        assert topics.index(EMERGENCIES + number) <= mqtt_out.IN_FLIGHT + 2
        assert shift.broker.most_in_flight <= mqtt_out.IN_FLIGHT + 1


async def test_a_broker_that_never_confirms_is_given_up(shift, monkeypatch):
    """After so long: LinkError, and the supervisor begins anew."""
    monkeypatch.setattr(mqtt_out, "CONFIRMED_WITHIN_S", 0.05)
    monkeypatch.setattr(mqtt_out, "FAREWELL_S", 0.05)
    shift.broker.takes.clear()
    with pytest.raises(ExceptionGroup) as failed:
        await shift.out.run()
    assert failed.group_contains(LinkError, match="not acknowledged")


async def test_too_much_that_is_urgent_ends_the_connection_rather_than_memory(shift, monkeypatch):
    """Counted; the next connection has all state."""
    monkeypatch.setattr(mqtt_out, "URGENT_MAX", 20)
    monkeypatch.setattr(mqtt_out, "FAREWELL_S", 0.05)
    shift.broker.takes.clear()
    async with shift.connected() as task:
        for _ in range(30):
            number = shift.feed.raise_manual(unit=shift.units[0]).id
            shift.feed.clear(number, "A. Person", "assisted")
        await until(task.done, 2)
    assert shift.out.counters["behind"] > 20
    shift.broker.takes.set()
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units), 2)
    assert not [topic for topic in shift.broker.lying if topic.startswith(EMERGENCIES)]


async def test_stale_topics_are_cleared_at_the_start_and_a_broker_that_shows_none_is_counted(shift):
    """What an earlier run left goes; where that can't be seen everything else goes on."""
    stale = "lapel/v1/feed/PCC/unit/PCC.GONE/duty"
    shift.broker.lying[stale] = {"instance": "pbo-1"}
    shift.broker.blind = True
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units), 2)
        assert shift.out.counters["sweeps_failed"] == 1
    shift.broker.blind = False
    async with shift.connected():
        await until(lambda: stale not in shift.broker.lying, 2)
        await until(lambda: shift.filled() == set(shift.units), 2)
    health = shift.out.health()
    assert (health.counters["stale_cleared"], health.last) == (1, datetime(2026, 11, 21, 21, tzinfo=UTC))


THEIRS = {"instance": "pbo-2", "epoch": "E", "state": "online", "seq": 1}


async def test_no_two_instances_fill_the_topics(shift):
    """While another says that it runs, nothing is said, nor our will; then all is ours but its emergencies."""
    old, alone = "lapel/v1/feed/PCC/unit/PCC.GONE/duty", f"{EMERGENCIES}EM-9"
    shift.broker.lying = {STATUS: dict(THEIRS), old: dict(THEIRS), alone: dict(THEIRS)}
    for seq in (1, 2):
        shift.broker.lying[STATUS]["seq"] = seq
        with pytest.raises(LinkError, match="pbo-2"):
            await shift.out.run()
    assert (shift.broker.said, shift.broker.will) == ([], None)
    shift.broker.lying[STATUS]["state"] = "offline"
    async with shift.connected():
        await until(lambda: old not in shift.broker.lying and shift.filled() == set(shift.units), 2)
        assert shift.broker.lying[STATUS]["instance"] == "pbo-1"
    assert alone in shift.broker.lying


async def test_one_that_says_nothing_any_more_is_gone(shift):
    """The broker restarted, its will is lost: the same word for so long is no sign of life."""
    shift.broker.lying = {STATUS: dict(THEIRS)}
    with pytest.raises(LinkError):
        await shift.out.run()
    shift.clock.on(SILENT_S)
    async with shift.connected():
        await until(lambda: shift.filled() == set(shift.units), 2)


async def test_an_agencys_topics_are_of_its_own_view(tmp_path):
    """Below a root of its own, with a status of its own; what it may not see does not lie there."""
    shift = Shift(tmp_path)
    theirs, other = shift.units[0], shift.roster.enlist(9, agency="CAMBS", role="PC")
    await shift.feed.open()
    rule = Agreement(consumer="PCC", owner="CAMBS", when="emergency", within_m=2_000.0)
    shift.feed.sharing.take_up([rule])
    seen = Seen(shift.feed, shift.feed.sharing.view("PCC", masked=False))
    shift.out = FeedOut(seen, shift.broker, shift.clock, "pbo-1", shift.told, Where.of_agency("PCC"))
    root = "lapel/v1/agency/PCC/feed"
    stale = f"{root}/CAMBS/unit/CAMBS.OLD/duty"
    shift.broker.lying[stale] = {"v": 1, "instance": "pbo-1"}
    for unit in (theirs, other):
        number = unit.rpartition("-")[2]
        shift.feed.position(at(shift.clock.on(1), device=f"bcn-{number}"), who(unit, f"P-{number}"))

    def lying() -> set[str]:
        shift.feed.tick(shift.clock.on(1.1))
        return {topic.removeprefix(f"{root}/") for topic in shift.broker.lying if topic.startswith(root)}

    own = {f"PCC/unit/{unit}/{leaf}" for unit in shift.units for leaf in ("position", "duty")}
    near = {f"CAMBS/unit/{other}/{leaf}" for leaf in ("position", "duty")}
    async with shift.connected():
        await until(lambda: lying() == own, 3)
        shift.feed.emergency(press(shift.clock.on(1)), who(theirs, "P-1"), journalled=True)
        await until(lambda: own | near < lying(), 3)
        (number,) = [one.id for one in shift.feed.emergencies()]
        assert shift.broker.lying[f"{root}/CAMBS/unit/{other}/position"]["properties"]["shared_by"]
        shift.feed.clear(number, "P-9", "test")
        await until(lambda: lying() == own, 3)
        assert f"{root.rpartition('/')[0]}/status" in shift.broker.lying
        assert STATUS not in shift.broker.lying
    assert shift.broker.will is not None
    assert shift.broker.will[0] == "lapel/v1/agency/PCC/status"


async def test_an_agencys_topics_are_taken_over_too(tmp_path):
    """Whose they were its own status says: everybody's is ours already, should we have been quicker there."""
    shift = Shift(tmp_path)
    await shift.feed.open()
    seen = Seen(shift.feed, shift.feed.sharing.view("PCC", masked=False))
    where = Where.of_agency("PCC")
    shift.out = FeedOut(seen, shift.broker, shift.clock, "pbo-1", shift.told, where)
    left = f"{where.root}/CAMBS/unit/CAMBS.COVERT/position"
    shift.broker.lying = {
        STATUS: {**THEIRS, "instance": "pbo-1"},
        where.status: {**THEIRS, "state": "offline"},
        left: {"v": 1, "instance": THEIRS["instance"]},
    }
    async with shift.connected():
        await until(lambda: left not in shift.broker.lying, 2)
