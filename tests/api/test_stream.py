"""The stream, followed by other people's client: cut off, resumed, across a restart, beside a slow one."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from gateway.domain.events import Origin, PositionReport
from gateway.domain.ids import DeviceId, UnitId
from gateway.domain.position import Fix
from gateway.ports import Resolved
from tests.api.site import Site
from tests.feed.schema import check_feature

URGENT = ("emergency", "duty")


class Reader:
    """A consumer's own program: what it knows, and where it stands."""

    def __init__(self) -> None:
        self.units: dict[str, dict[str, Any]] = {}
        self.urgent: dict[str, list[tuple[Any, ...]]] = {name: [] for name in URGENT}
        self.seqs: list[int] = []
        self.epochs: set[str] = set()
        self.snapshots = 0
        self.cursor = ""
        self.statuses: list[dict[str, Any]] = []

    def take(self, event: ServerSentEvent) -> None:
        """One event; every event has data, and all but a status move the cursor."""
        if event.event == "status":
            assert event.id == self.cursor, "a status has no number of its own"
            self.statuses.append(json.loads(event.data))
            return
        epoch, _, seq = event.id.rpartition("-")
        content = json.loads(event.data)
        self.cursor = event.id
        self.epochs.add(epoch)
        self.seqs.append(int(seq))
        if event.event == "snapshot":
            self.snapshots += 1
            self.units = {unit["id"]: unit for unit in content["features"]}
        elif event.event == "position":
            self.units[content["id"]] = content
        elif event.event == "emergency":
            self.urgent["emergency"].append((content["id"], content["state"], content["presses"]))
        elif event.event == "duty":
            self.urgent["duty"].append((content["unit"], content["code"]))

    def latitude(self, unit: str) -> float | None:
        """Where a unit is, as far as it knows."""
        place = self.units.get(unit, {}).get("geometry")
        return place["coordinates"][1] if place else None


@contextlib.contextmanager
def following(site: Site, token: str, cursor: str = "", query: str = "") -> Iterator[Iterator[ServerSentEvent]]:
    """An open stream."""
    headers = {"Last-Event-ID": cursor} if cursor else {}
    with site.client(token) as client, connect_sse(client, "GET", f"/v1/feed{query}", headers=headers) as source:
        source.response.raise_for_status()
        yield source.iter_sse()


def read_until(events: Iterator[ServerSentEvent], reader: Reader, enough: Callable[[], bool]) -> None:
    """Take events until that is so."""
    until = time.monotonic() + 15
    while not enough():
        assert time.monotonic() < until, "it did not come"
        reader.take(next(events))


def test_a_stream_begins_with_everything(site: Site, shared: Path) -> None:
    """A snapshot, then what changes; a position is the whole Feature; the stream's own headers."""
    site.position("bcn-14", 52.57)
    with site.client(site.token()) as client, connect_sse(client, "GET", "/v1/feed") as source:
        assert source.response.headers["Content-Type"].startswith("text/event-stream")
        assert source.response.headers["Cache-Control"] == "no-store"
        events, reader = source.iter_sse(), Reader()
        first = next(events)
        assert (first.event, first.retry) == ("snapshot", 2000)
        reader.take(first)
        assert reader.latitude("PCC.CSO-014") == 52.57
        for feature in json.loads(first.data)["features"]:
            check_feature(feature)
        site.position("bcn-14", 52.5701)
        read_until(events, reader, lambda: reader.latitude("PCC.CSO-014") == 52.5701)
        check_feature(reader.units["PCC.CSO-014"])
        site.press("bcn-15")
        read_until(events, reader, lambda: bool(reader.urgent["emergency"]))


def test_heartbeats(site: Site) -> None:
    """A quiet stream says that it is alive."""
    with site.client(site.token()) as client, client.stream("GET", "/v1/feed") as response:
        got = b""
        for piece in response.iter_raw():
            got += piece
            if got.count(b"\n: heartbeat ") >= 2:
                break
    assert b"Z\n" in got


def test_how_the_inputs_are(site: Site) -> None:
    """With every heartbeat, the first behind the snapshot; no cursor moves, and a resume from behind one is exact."""
    reader, token = Reader(), site.token()
    with following(site, token) as events:
        read_until(events, reader, lambda: len(reader.statuses) == 3)
    for status in reader.statuses:
        assert (status["v"], status["instance"], {status["epoch"]}) == (1, "test-1", reader.epochs)
        assert status["seq"] >= reader.seqs[-1]
        assert status["inputs"] == {}
    assert reader.snapshots == 1
    site.position()
    site.position("bcn-15")
    with following(site, token, reader.cursor) as events:
        read_until(events, reader, lambda: {"PCC.CSO-014", "PCC.CSO-015"} <= located(reader))
    assert reader.snapshots == 1
    assert reader.seqs == sorted(set(reader.seqs))


def located(reader: Reader) -> set[str]:
    """Units of which it knows where they are."""
    return {name for name in reader.units if reader.latitude(name) is not None}


def test_cut_off_again_and_again(site: Site) -> None:
    """Every urgent record exactly once, each unit's latest position, numbers rising, one snapshot in all."""
    token, reader, done = site.token(), Reader(), threading.Event()
    pressed: list[str] = []

    def shift() -> None:
        """Thirty seconds of a busy night in two."""
        for step in range(60):
            for device, lat in (("bcn-14", 52.0), ("bcn-15", 52.3), ("bcn-1187", 52.6)):
                site.position(device, round(lat + step / 20_000, 5))
            site.status(2 + step % 2, 2341014)
            if step % 10 == 0:
                with site.client(token) as client:
                    unit = ("PCC.CSO-014", "PCC.CSO-015", "CAMBS.PC-1187")[step // 10 % 3]
                    number = client.post("/v1/emergencies", json={"unit": unit}).json()["id"]
                    client.post(f"/v1/emergencies/{number}/ack", json={"by": "I 3"})
                    client.post(f"/v1/emergencies/{number}/clear", json={"by": "I 3", "outcome": "test"})
                    pressed.append(number)
        done.set()

    work = threading.Thread(target=shift)
    with following(site, token) as events:
        reader.take(next(events))
    work.start()
    cuts = 0
    while not done.is_set():
        with following(site, token, reader.cursor) as events:
            for _ in range(7):
                reader.take(next(events))
        cuts += 1
    work.join()
    with following(site, token, reader.cursor) as events:
        last = {"PCC.CSO-014": 52.00295, "PCC.CSO-015": 52.30295, "CAMBS.PC-1187": 52.60295}
        settled = lambda: all(reader.latitude(unit) == lat for unit, lat in last.items())  # noqa: E731
        read_until(events, reader, lambda: settled() and reader.urgent["duty"][-1:] == [("PCC.CSO-014", 3)])
    assert cuts >= 3
    assert reader.snapshots == 1
    assert len(reader.epochs) == 1
    assert reader.seqs == sorted(set(reader.seqs))
    assert reader.urgent["duty"] == [("PCC.CSO-014", 2 + step % 2) for step in range(60)]
    told = {number: [state for each, state, _ in reader.urgent["emergency"] if each == number] for number in pressed}
    for number, states in told.items():
        assert list(dict.fromkeys(states)) == ["active", "acknowledged", "cleared"], (number, states)
        assert states == sorted(states, key=["active", "acknowledged", "cleared"].index)


def test_a_cursor_of_nowhere(site: Site) -> None:
    """Another epoch, the future, rubbish: a snapshot, never silence."""
    token = site.token()
    with following(site, token) as events:
        epoch = next(events).id.rpartition("-")[0]
    for cursor in ("OTHER-5", f"{epoch}-999999999999", "rubbish", "-", f"{epoch}-x"):
        with following(site, token, cursor) as events:
            assert next(events).event == "snapshot", cursor


def test_a_restart_keeps_the_stream(tmp_path: Path) -> None:
    """Same epoch, numbers go on rising, what was urgent while one was away is there, also what came before the stop."""
    reader = Reader()
    site = Site(tmp_path)
    with site:
        token = site.token()
        site.position("bcn-14", 52.57)
        with following(site, token) as events:
            reader.take(next(events))
            site.status(5)
            read_until(events, reader, lambda: bool(reader.urgent["duty"]))
        site.press("bcn-15")
        site.status(6)
    with site, following(site, token, reader.cursor) as events:
        read_until(events, reader, lambda: ("PCC.CSO-014", 6) in reader.urgent["duty"])
        read_until(events, reader, lambda: bool(reader.urgent["emergency"]))
        site.position("bcn-14", 52.5701)
        read_until(events, reader, lambda: reader.latitude("PCC.CSO-014") == 52.5701)
        assert reader.snapshots == 1
        with site.client(token) as client:
            (still,) = client.get("/v1/emergencies").json()["emergencies"]
            assert still["state"] == "active"
    assert len(reader.epochs) == 1
    assert reader.seqs == sorted(set(reader.seqs))
    assert reader.urgent["duty"] == [("PCC.CSO-014", 5), ("PCC.CSO-014", 6)]
    assert len({number for number, _, _ in reader.urgent["emergency"]}) == 1


def test_filters_hold_for_the_stream(site: Site) -> None:
    """Only the units asked for; an emergency is everybody's."""
    reader = Reader()
    with following(site, site.token(), query="?agency=CAMBS") as events:
        reader.take(next(events))
        site.position("bcn-14", 52.57)
        site.status(2, 2341014)
        site.press("bcn-14")
        site.position("bcn-1187", 52.60)
        read_until(events, reader, lambda: reader.latitude("CAMBS.PC-1187") == 52.60)
    assert set(reader.units) == {"CAMBS.PC-1187"}
    assert reader.urgent["duty"] == []
    assert reader.urgent["emergency"]


def test_off_duty_disappears(site: Site) -> None:
    """Who books off is removed from every consumer's map."""
    site.position("bcn-14")
    with following(site, site.token()) as events:
        next(events)
        site.status(11)
        kinds = {}
        for event in events:
            kinds[event.event] = json.loads(event.data)
            if event.event == "removed":
                break
    assert kinds["removed"]["unit"] == "PCC.CSO-014"


CROWD = [f"PCC.X-{number}" for number in range(80)]


def crowd(site: Site, step: int) -> None:
    """Everybody has moved, inside the gateway's own loop."""
    for name in CROWD:
        report = PositionReport(
            Origin("test", DeviceId(f"bcn-{name}")), site.stamp(), Fix(round(50 + step / 10_000, 4), -0.24, 8.0), "mqtt"
        )
        site.gateway.feed.position(report, Resolved(UnitId(name), None, DeviceId(f"bcn-{name}")))


def test_a_slow_consumer_holds_up_nobody(tmp_path: Path) -> None:
    """One that reads nothing until its positions conflate: the other has alarms at once; then both know the same."""
    units = "".join(f'[[unit]]\nid = "{name}"\ncallsign = "{name}"\nagency = "PCC"\n' for name in CROWD)
    with Site(tmp_path, more_roster=units, feed={"buffer_high_bytes": 16_384}) as site:
        token, reader, waits, step = site.token(), Reader(), [], 0
        with slow(site, token) as lazy, following(site, token) as events:
            reader.take(next(events))
            until = time.monotonic() + 20
            while site.within(site.gateway.feed.stats)["conflated"] < 1000:
                assert time.monotonic() < until, "the slow one was never slow"
                step += 1
                site.within(crowd, site, step)
                there = round(50 + step / 10_000, 4)
                read_until(events, reader, lambda there=there: reader.latitude(CROWD[-1]) == there)
            for device in ("bcn-15", "bcn-14", "bcn-1187"):
                began, known = time.monotonic(), len(reader.urgent["emergency"])
                site.press(device)
                read_until(events, reader, lambda known=known: len(reader.urgent["emergency"]) > known)
                waits.append(time.monotonic() - began)
            assert max(waits) < 0.5, waits
            late = caught_up(lazy, reader)
        assert {name: late.latitude(name) for name in CROWD} == {name: reader.latitude(name) for name in CROWD}
        raised = [{number for number, _, _ in each.urgent["emergency"]} for each in (late, reader)]
        assert raised[0] == raised[1]
        assert len(raised[0]) == 3
        assert late.seqs == sorted(set(late.seqs))
        assert len(late.seqs) < len(reader.seqs)


@contextlib.contextmanager
def slow(site: Site, token: str) -> Iterator[socket.socket]:
    """A connection that has asked for the stream and reads nothing yet."""
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        raw.connect(("127.0.0.1", site.gateway.api_port))
        raw.sendall(f"GET /v1/feed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        yield raw


def caught_up(raw: socket.socket, other: Reader) -> Reader:
    """Read all that waits, until it has every emergency that the other one has."""
    reader, text = Reader(), b""
    raw.settimeout(10)
    wanted = {number for number, _, _ in other.urgent["emergency"]}
    while not wanted <= {number for number, _, _ in reader.urgent["emergency"]}:
        text += unchunked(raw)
        *whole, text = text.split(b"\n\n")
        for block in whole:
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
            if "id" in fields:
                reader.take(ServerSentEvent(fields["event"], fields["data"], fields["id"]))
    return reader


def unchunked(raw: socket.socket) -> bytes:
    """One chunk's content (RFC 9112 section 7.1); the head of the answer is passed over."""
    line = b""
    while not (line.endswith(b"\r\n") and line.strip() and set(line.strip()) <= set(b"0123456789abcdefABCDEF")):
        line = b"" if line.endswith(b"\n") else line
        line += raw.recv(1)
    left, got = int(line, 16) + 2, b""
    while len(got) < left:
        got += raw.recv(left - len(got))
    return got[:-2]


def test_too_many_consumers(tmp_path: Path) -> None:
    """503, not a queue; who leaves makes room."""
    with Site(tmp_path, feed={"consumers_max": 1}) as site:
        token = site.token()
        with following(site, token) as events:
            next(events)
            with site.client(token) as client:
                response = client.get("/v1/feed")
            assert (response.status_code, "consumers" in response.json()["detail"]) == (503, True)
        until = time.monotonic() + 5
        while site.within(site.gateway.feed.stats)["consumers"] and time.monotonic() < until:
            time.sleep(0.05)
        with following(site, token) as events:
            assert next(events).event == "snapshot"


def test_a_stop_ends_every_stream(tmp_path: Path) -> None:
    """The gateway goes away in order while somebody listens: the stream ends, and the stop is not held up."""
    ended = threading.Event()
    with Site(tmp_path) as site:
        token = site.token()

        def listen() -> None:
            with contextlib.suppress(httpx.HTTPError), following(site, token) as events:
                for _ in events:
                    pass
            ended.set()

        thread = threading.Thread(target=listen)
        thread.start()
        until = time.monotonic() + 5
        while not site.within(site.gateway.feed.stats)["consumers"] and time.monotonic() < until:
            time.sleep(0.02)
        began = time.monotonic()
    assert time.monotonic() - began < 2.5
    assert ended.wait(5)
    thread.join()


def test_a_consumer_that_takes_nothing_is_cut_off(tmp_path: Path) -> None:
    """It hangs in a write that it never takes: its connection ends all the same, and nothing of it stays."""
    with Site(tmp_path, feed={"stuck_s": 0.5, "buffer_high_bytes": 1 << 16}) as site, socket.socket() as mute:
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        mute.connect(("127.0.0.1", site.gateway.api_port))
        asked = f"GET /v1/feed HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token()}\r\n\r\n"
        mute.sendall(asked.encode())
        assert _until(lambda: site.gateway.feed.stats()["consumers"] == 1)
        [server] = site.gateway.feed._hub.consumers
        cut = threading.Event()
        abort, server.cut = server.cut, lambda: (cut.set(), abort())

        def busy() -> None:
            for number in range(200):
                site.gateway.feed.set_duty("PCC.CSO-014", 2 + number % 2, incident="x" * 60_000 + str(number))

        site.within(busy)
        assert _until(cut.is_set)
        assert _until(lambda: site.gateway.feed.stats()["consumers"] == 0)
        mute.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while mute.recv(1 << 20):
                pass


def _until(true: Callable[[], bool], patience_s: float = 8.0) -> bool:
    """Wait for it."""
    end = time.monotonic() + patience_s
    while not true() and time.monotonic() < end:
        time.sleep(0.02)
    return true()
