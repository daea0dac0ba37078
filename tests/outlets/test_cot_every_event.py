"""Every event that the gateway can make of whatever happens on its feed: by the schemas, by pytak, by takproto."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.feed.sse import blocks
from gateway.outlets.cot import Look
from gateway.outlets.cot_waiting import Waiting
from tests import peers
from tests.feed.shift import MemoryFiles, Roster, SetClock, at, press, status, who
from tests.outlets.cot_schema import check_event

LOOK = Look("a-f-G-U-C", {"PC": "a-f-G-U-U-L-C"}, "Dark Blue", exercise=True, version="0.1.0")
NAMES = st.text(max_size=12) | st.sampled_from(
    ["CSO14", "14 Bravo", "<&'\">", "]]>", "</event>", "\x00\x1f", "警察", " ", "-"]
)
numbers, units = st.floats(allow_nan=True, allow_infinity=True), st.integers(0, 2)
steps = st.one_of(
    st.tuples(
        st.just("move"),
        units,
        st.sampled_from(["lip", "mqtt", "bwc", "manual"]),
        st.floats(-90, 90),
        st.floats(-180, 180),
        st.fixed_dictionaries(
            {
                "accuracy_m": st.none() | st.floats(-5, 1e8),
                "heading_deg": st.none() | st.floats(-720, 720),
                "speed_mps": st.none() | st.floats(-5, 500),
                "battery_pct": st.none() | st.integers(-5, 200),
                "age_s": st.none() | st.floats(-200, 2000),
            }
        ),
        st.sampled_from([(), ("low_accuracy",), ("clock_skew", "no_gnss")]),
    ),
    st.tuples(st.just("duty"), units, st.integers(1, 11)),
    st.tuples(st.just("press"), units | st.none(), st.sampled_from(["tetra_status", "camera_panic", "manual"])),
    st.tuples(st.just("ack"), st.integers(0, 9)),
    st.tuples(st.just("clear"), st.integers(0, 9)),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 5.0, 40.0, 700.0])),
    st.tuples(st.just("connect")),
)


class Story:
    """A feed, and what a TAK server is told of it."""

    def __init__(self, names: list[str]) -> None:
        self.roster, self.clock, self.waiting = Roster(), SetClock(), Waiting(LOOK, 10.0)
        self.units = [self.roster.enlist(number, role=("CSO", "PC")[number % 2]) for number in range(len(names))]
        for unit, name in zip(self.units, names, strict=True):
            self.roster.by_unit[unit] = msgspec.structs.replace(self.roster.by_unit[unit], callsign=name or "x")
        self.feed = Feed(FeedSettings(), self.roster, self.clock, Path("nowhere"), files=MemoryFiles())
        self.events: list[bytes] = []

    async def tell(self, story: list[tuple]) -> list[bytes]:
        """All of it; every event that goes out."""
        await self.feed.open()
        consumer = self.feed.subscribe()
        for what, *more in story:
            getattr(self, what)(*more)
            self.feed.tick(self.clock.on(0.1))
            for block in blocks(consumer.take() or b""):
                self.waiting.take(block.event, block.payload)
            while (event := self.waiting.next(self.clock.now())) is not None:
                self.events.append(event)
        await self.feed.close()
        return self.events

    def move(self, number: int, source: str, lat: float, lon: float, more: dict, quality: tuple) -> None:
        """A report, of whatever quality."""
        battery = more.pop("battery_pct")
        report = at(self.clock.on(1), lat, lon, device=f"d{number}{source}", source=source, **more)
        report = msgspec.structs.replace(report, battery_pct=battery)
        self.feed.position(report, who(self.units[number], f"P-{number}", f"d{number}{source}"), quality=quality)
        more["battery_pct"] = battery

    def duty(self, number: int, code: int) -> None:
        """A status."""
        self.feed.status(status(self.clock.on(1), code), who(self.units[number], f"P-{number}"))

    def press(self, number: int | None, trigger: str) -> None:
        """Somebody known, or nobody."""
        known = who(None) if number is None else who(self.units[number], f"P-{number}")
        self.feed.emergency(press(self.clock.on(1), trigger, issi=2340000 + (number or 9)), known, journalled=True)

    def _some(self, number: int) -> str:
        known = self.feed.emergencies()
        return known[number % len(known)].id if known else "none"

    def ack(self, number: int) -> None:
        """A person."""
        self.feed.acknowledge(self._some(number), "P-9")

    def clear(self, number: int) -> None:
        """Over."""
        self.feed.clear(self._some(number), "P-9", "assisted")

    def wait(self, seconds: float) -> None:
        """Positions grow old."""
        self.clock.on(seconds)

    def connect(self) -> None:
        """The server is a new one."""
        self.waiting.connected(self.clock.now())


def kinds(events: list[bytes]) -> set[str]:
    """What they are."""
    read = [check_event(event) for event in events]
    return {"drop" if one.get("stale") < one.get("start") else one.get("type") for one in read}


def parsed_by_others(events: list[bytes]) -> None:
    """The one cuts the stream where we did, the other keeps who, what and where."""
    pytak, takproto = peers.package("pytak"), peers.package("takproto")
    asyncio.run(_cut(pytak, events))
    for event in events:
        own = check_event(event)
        made = takproto.parse_proto(bytearray(takproto.xml2proto(event, takproto.TAKProtoVer.STREAM))).cotEvent
        assert (made.uid, made.type, made.how, made.qos) == tuple(own.get(n) for n in ("uid", "type", "how", "qos"))
        assert (made.lat, made.lon, made.ce) == tuple(float(own[0].get(name)) for name in ("lat", "lon", "ce"))
        assert made.detail.contact.callsign == own[1].find("contact").get("callsign")


async def _cut(pytak, events: list[bytes]) -> None:
    reader, read = asyncio.StreamReader(), []
    reader.feed_data(b"".join(events))
    reader.feed_eof()
    worker = type("Receiver", (pytak.RXWorker,), {"handle_data": None})(asyncio.Queue(), {}, reader)
    worker.use_protobuf = False
    while (event := await worker.readcot()) is not None:
        read.append(event)
    assert read == events


@settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(NAMES, min_size=3, max_size=3), st.lists(steps, min_size=1, max_size=25))
def test_whatever_happens(names, story) -> None:
    """Each event is as the schemas want it, and nothing is left out as not to be made."""
    made = Story(names)
    kinds(asyncio.run(made.tell(story)))
    assert (made.waiting.counts["unencodable"], made.waiting.counts["unreadable"]) == (0, 0)


@settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), max_examples=40)
@given(st.lists(NAMES, min_size=3, max_size=3), st.lists(steps, min_size=5, max_size=25))
def test_whatever_happens_others_read_it(names, story) -> None:
    """Both of other people's readers."""
    parsed_by_others(asyncio.run(Story(names).tell(story)))


def test_every_duty_every_age_every_kind() -> None:
    """One long shift: all eleven states, live to lost, raised, acknowledged, cleared, dropped; every kind comes out."""
    here = {"accuracy_m": 8.0, "heading_deg": 359.99, "speed_mps": 0.0, "battery_pct": 0, "age_s": 0.0}
    story: list[tuple] = []
    for code in (*range(1, 12), 2):
        story += [("duty", 0, code), ("move", 0, "mqtt", 52.57, -0.24, dict(here), ())]
    for seconds in (5.0, 40.0, 700.0):
        story += [("wait", seconds)]
    story += [("move", 1, "lip", 52.5, -0.2, {**here, "age_s": None}, ("low_accuracy",))]
    story += [("press", 0, "camera_panic"), ("press", None, "tetra_status"), ("ack", 0), ("connect",), ("clear", 0)]
    story += [("wait", 40.0), ("clear", 1), ("wait", 40.0), ("duty", 1, 11), ("connect",)]
    events = asyncio.run(Story(["CSO14", "PC 7", "x"]).tell(story))
    assert kinds(events) == {"a-f-G-U-C", "a-f-G-U-U-L-C", "b-a-o-tbl", "b-a-o-can", "drop"}
    parsed_by_others(events)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'version="2.0"', b'version="1.9"'),
        (b' stale="', b' stail="'),
        (b'lat="52', b'lat="152'),
        (b'qos="1-r-c"', b'qos="1-x-c"'),
        (b"</event>", b"</event>\n"),
        (b'course="87', b'course="387'),
        (b"<__group", b"<contact callsign='x'/><__group"),
    ],
)
def test_the_check_can_fail(before, after) -> None:
    """It finds what is wrong in the published example."""
    example = peers.shared("examples/feed/cot_position.xml").read_bytes().rstrip()
    check_event(example)
    assert before in example
    with pytest.raises(AssertionError):
        check_event(example.replace(before, after))


@pytest.mark.parametrize("name", ["cot_emergency.xml", "cot_emergency_cancel.xml"])
def test_the_published_emergencies_pass(name) -> None:
    """So that the check is not stricter than they are."""
    check_event(peers.shared(f"examples/feed/{name}").read_bytes().rstrip())
