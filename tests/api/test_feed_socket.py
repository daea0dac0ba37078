"""The feed over a WebSocket, followed by aiohttp's client: words, filters, acks, the slow, the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway.feed import batch_consumer, hub, slices
from gateway.feed.batches import fragments
from gateway.feed.slices import Long
from tests.api.site import Site
from tests.feed.schema import check_feature

UNITS = {"bcn-14": "PCC.CSO-014", "bcn-15": "PCC.CSO-015", "bcn-1187": "CAMBS.PC-1187"}


class Desk:
    """A control room's program: what it knows, and where it stands."""

    def __init__(self) -> None:
        self.units: dict[str, dict[str, Any]] = {}
        self.records: list[tuple[str, Any, Any]] = []
        self.seqs: list[int] = []
        self.kinds: list[str] = []
        self.beats: list[dict[str, Any]] = []
        self.cursor: str | None = None

    def take(self, said: dict[str, Any]) -> dict[str, Any]:
        """One message."""
        self.kinds.append(said["type"])
        if said["type"] == "heartbeat":
            self.beats.append(said)
        elif said["type"] == "snapshot":
            self.units = {unit["id"]: unit for unit in said["features"]}
            self._at(said, said["seq"])
        elif said["type"] == "batch":
            for one in said["records"]:
                self._record(one["event"], one["record"])
                self._at(said, one["seq"])
        elif said["type"] == "emergency":
            self.records.append(("emergency", said["id"], said["state"]))
            self._at(said, said["seq"])
        return said

    def _at(self, said: dict[str, Any], seq: int) -> None:
        self.seqs.append(seq)
        self.cursor = f"{said['epoch']}-{seq}"

    def _record(self, event: str, record: dict[str, Any]) -> None:
        if event == "position":
            self.units[record["id"]] = record
        else:
            self.records.append((event, record.get("unit"), record.get("code")))

    def latitude(self, unit: str) -> float | None:
        """Where a unit is, as far as it knows."""
        place = self.units.get(unit, {}).get("geometry")
        return place["coordinates"][1] if place else None

    def emergencies(self) -> set[str]:
        """All that it was told of."""
        return {number for event, number, _ in self.records if event == "emergency"}


@contextlib.asynccontextmanager
async def connected(site: Site, token: str, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """An open socket."""
    given = {"Authorization": f"Bearer {token}", **headers}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{site.url}/v1/feed/ws", headers=given, max_msg_size=0) as ws,
    ):
        yield ws


async def read_until(ws: aiohttp.ClientWebSocketResponse, desk: Desk, enough: Callable[[], bool]) -> None:
    """Take messages until that is so."""
    async with asyncio.timeout(15):
        while not enough():
            desk.take(await ws.receive_json())


async def test_hello_snapshot_batch_emergency_heartbeat(site: Site, shared: Path) -> None:
    """Each in its turn; a position is the whole Feature; the numbers rise; inputs are told."""
    site.position("bcn-14", 52.57)
    desk = Desk()
    async with connected(site, site.token()) as ws:
        hello = desk.take(await ws.receive_json())
        assert (hello["type"], hello["instance"], hello["heartbeat_s"]) == ("hello", "test-1", 0.5)
        await ws.send_json({"type": "subscribe"})
        desk.take(await ws.receive_json())
        assert desk.kinds[-1] == "snapshot"
        assert desk.latitude("PCC.CSO-014") == 52.57
        site.position("bcn-14", 52.5701)
        await read_until(ws, desk, lambda: desk.latitude("PCC.CSO-014") == 52.5701)
        for unit in desk.units.values():
            check_feature(unit)
        site.press("bcn-15")
        await read_until(ws, desk, lambda: "emergency" in desk.kinds)
        await read_until(ws, desk, lambda: bool(desk.beats))
    assert desk.beats[0]["seq"] >= hello["seq"]
    assert isinstance(desk.beats[0]["inputs"], dict)
    assert desk.seqs == sorted(set(desk.seqs))


async def test_filters_and_other_filters(site: Site) -> None:
    """Only the units asked for, an emergency all the same; another subscribe begins anew."""
    desk = Desk()
    async with connected(site, site.token()) as ws:
        await ws.send_json({"type": "subscribe", "filters": {"agency": ["CAMBS"]}})
        await read_until(ws, desk, lambda: "snapshot" in desk.kinds)
        assert set(desk.units) == {"CAMBS.PC-1187"}
        site.position("bcn-14", 52.57)
        site.press("bcn-14")
        site.position("bcn-1187", 52.5701)
        await read_until(ws, desk, lambda: desk.latitude("CAMBS.PC-1187") == 52.5701)
        assert set(desk.units) == {"CAMBS.PC-1187"}
        assert desk.emergencies()
        await ws.send_json({"type": "subscribe", "filters": {"agency": ["PCC"]}})
        await read_until(ws, desk, lambda: set(desk.units) == {"PCC.CSO-014", "PCC.CSO-015"})
        assert site.within(site.gateway.feed.stats)["consumers"] == 1
    assert desk.kinds.count("snapshot") == 2
    assert desk.seqs == sorted(set(desk.seqs))


async def test_other_filters_in_the_middle_of_a_snapshot(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No message begins before the one begun has ended; the last word counts."""
    for module in (hub, slices):
        monkeypatch.setattr(module, "AT_ONCE", 1)
    desk, said = Desk(), fragments

    def slowly(event: Long, instance: str) -> Iterator[bytes]:
        """So that the second subscription comes between two fragments."""
        for fragment in said(event, instance):
            time.sleep(0.05)
            yield fragment

    monkeypatch.setattr(batch_consumer, "fragments", slowly)
    async with connected(site, site.token()) as ws:
        desk.take(await ws.receive_json())
        await ws.send_json({"type": "subscribe"})
        await asyncio.sleep(0.1)
        await ws.send_json({"type": "subscribe", "filters": {"agency": ["CAMBS"]}})
        await read_until(ws, desk, lambda: set(desk.units) == {"CAMBS.PC-1187"})
    assert desk.kinds.count("snapshot") == 2


async def test_an_ack_is_a_delivery_and_no_acknowledgement(tmp_path: Path) -> None:
    """A machine has it: nobody's name stands on it, the alarm is raised all the same. Other numbers change nothing."""
    with Site(tmp_path, feed={"emergency_alarm_s": 1.5}) as site:
        await acked(site, Desk(), site.token())
        async with asyncio.timeout(5):
            while not site.within(site.gateway.feed.stats)["emergencies_unacknowledged"]:
                await asyncio.sleep(0.05)


async def acked(site: Site, desk: Desk, token: str) -> None:
    """An emergency raised, and answered by a machine."""
    async with connected(site, token) as ws:
        await ws.send_json({"type": "subscribe"})
        await read_until(ws, desk, lambda: "snapshot" in desk.kinds)
        site.press("bcn-15")
        await read_until(ws, desk, lambda: bool(desk.emergencies()))
        with site.client(token) as client:
            assert [one["delivered"] for one in client.get("/v1/emergencies").json()["emergencies"]] == [False]
            for seq in (0, desk.seqs[0], desk.seqs[-1]):
                await ws.send_json({"type": "ack", "seq": seq})
            told = lambda: client.get("/v1/emergencies").json()["emergencies"][0]  # noqa: E731
            async with asyncio.timeout(5):
                while not told()["delivered"]:
                    await asyncio.sleep(0.02)
            assert (told()["state"], told()["acknowledged_by"]) == ("active", None)


async def test_cut_off_at_fifty_moments(site: Site) -> None:
    """Every urgent record exactly once, each unit's latest position, numbers rising, one snapshot in all."""
    token, desk, draw = site.token(), Desk(), random.Random(1)
    pressed: set[str] = set()

    def shift(step: int) -> None:
        for number, device in enumerate(UNITS):
            site.position(device, round(52 + number / 10 + step / 20_000, 5))
        site.status(2 + step % 2, 2341014)
        if step % 10 == 0:
            with site.client(token) as client:
                unit = list(UNITS.values())[step // 10 % 3]
                one = client.post("/v1/emergencies", json={"unit": unit}).json()["id"]
                client.post(f"/v1/emergencies/{one}/clear", json={"by": "I 3", "outcome": "test"})
                pressed.add(one)

    async def night() -> None:
        for step in range(60):
            await asyncio.to_thread(shift, step)
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        work = group.create_task(night())
        for _ in range(50):
            async with connected(site, token) as ws:
                word = {"type": "resume", "cursor": desk.cursor} if desk.cursor else {"type": "subscribe"}
                await ws.send_json(word)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(draw.random() * 0.08):
                        while True:
                            desk.take(await ws.receive_json())
        await work
    last = {unit: round(52 + number / 10 + 59 / 20_000, 5) for number, unit in enumerate(UNITS.values())}
    async with connected(site, token) as ws:
        await ws.send_json({"type": "resume", "cursor": desk.cursor or ""})
        await read_until(ws, desk, lambda: all(desk.latitude(unit) == there for unit, there in last.items()))
        duties = lambda: [code for event, _, code in desk.records if event == "duty"]  # noqa: E731
        await read_until(ws, desk, lambda: len(duties()) == 60 and desk.emergencies() == pressed)
    assert desk.kinds.count("hello") >= 5
    assert desk.kinds.count("snapshot") == 1
    assert desk.seqs == sorted(set(desk.seqs))
    assert duties() == [2 + step % 2 for step in range(60)]
    for one in pressed:
        states = [state for event, number, state in desk.records if (event, number) == ("emergency", one)]
        assert list(dict.fromkeys(states)) == ["active", "cleared"]


@pytest.mark.parametrize(
    ("word", "code", "why"),
    [
        ("{", 1008, "JSON"),
        ("[1]", 1008, "Expected"),
        ('{"type":"shout"}', 1008, "shout"),
        ('{"type":"resume"}', 1008, "cursor"),
        ('{"type":"subscribe","filters":{"colour":"red"}}', 1008, "colour"),
        ('{"type":"subscribe","filters":{"bbox":[1,2]}}', 1008, "bbox"),
        ('{"type":"subscribe","filters":{"zone":["ward:NIX"]}}', 1008, "no zone 'ward:NIX'"),
        ('{"type":"ack","seq":-1}', 1008, "seq"),
        (b"\x00", 1008, "text"),
    ],
)
async def test_words_that_are_none(shared_site: Site, word: str | bytes, code: int, why: str) -> None:
    """Closed, and told why."""
    async with connected(shared_site, shared_site.token()) as ws:
        await ws.receive_json()
        await (ws.send_bytes(word) if isinstance(word, bytes) else ws.send_str(word))
        async with asyncio.timeout(5):
            end = await ws.receive()
        assert (end.type, ws.close_code) == (aiohttp.WSMsgType.CLOSE, code)
        assert why in end.extra


async def test_a_cursor_of_nowhere(shared_site: Site) -> None:
    """A snapshot, never silence."""
    for cursor in ("OTHER-5", "rubbish", ""):
        async with connected(shared_site, shared_site.token()) as ws:
            await ws.receive_json()
            await ws.send_json({"type": "resume", "cursor": cursor})
            assert (await ws.receive_json())["type"] == "snapshot"


async def test_who_says_nothing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is told to, and closed: it must not think that it follows."""
    monkeypatch.setattr("gateway.api.feed_socket.FIRST_WORD_S", 0.1)
    async with connected(site, site.token()) as ws:
        await ws.receive_json()
        end = await ws.receive()
        assert (ws.close_code, "subscribe" in end.extra) == (1008, True)


async def test_too_many(tmp_path: Path) -> None:
    """Try again later, not a queue; who leaves makes room."""
    with Site(tmp_path, feed={"consumers_max": 1}) as site:
        token = site.token()
        async with connected(site, token) as ws:
            await ws.send_json({"type": "subscribe"})
            await read_until(ws, desk := Desk(), lambda: "snapshot" in desk.kinds)
            async with connected(site, token) as other:
                await other.send_json({"type": "subscribe"})
                await other.receive_json()
                end = await other.receive()
                assert (other.close_code, "consumers" in end.extra) == (1013, True)
        async with asyncio.timeout(5):
            while site.within(site.gateway.feed.stats)["consumers"]:
                await asyncio.sleep(0.02)
        assert site.within(site.gateway.feed.stats)["consumers_closed"] == {"left": 1}


async def test_who_may(site: Site) -> None:
    """feed:read; not another site's page with our cookie; not without an upgrade."""
    with site.client(site.token()) as client:
        plain = client.get("/v1/feed/ws")
        assert (plain.status_code, plain.headers["Upgrade"]) == (426, "websocket")
        client.post("/v1/session", json={"token": site.token()})
        cookie = client.cookies["lapel_session"]
    for token, origin, status in (
        (site.token("duty:write"), "", 403),
        ("", "https://elsewhere.example", 403),
        ("", site.url, 101),
    ):
        headers = {"Authorization": f"Bearer {token}"} if token else {"Cookie": f"lapel_session={cookie}"}
        headers |= {"Origin": origin} if origin else {}
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(f"{site.url}/v1/feed/ws", headers=headers):
                    got = 101
            except aiohttp.WSServerHandshakeError as refused:
                got = refused.status
        assert got == status, (token, origin)


@pytest.mark.parametrize("subscribed", [True, False])
async def test_a_stop_ends_every_socket(tmp_path: Path, subscribed: bool) -> None:
    """1001 going away, at once, whether it has said a word or not."""
    with Site(tmp_path) as site:
        ws = await (entered := connected(site, site.token())).__aenter__()
        await ws.receive_json()
        if subscribed:
            await ws.send_json({"type": "subscribe"})
            await ws.receive_json()
        began = time.monotonic()
        stop = asyncio.get_running_loop().run_in_executor(None, site.__exit__)
        async with asyncio.timeout(5):
            while (said := await ws.receive()).type is aiohttp.WSMsgType.TEXT:
                pass
        await stop
        assert (ws.close_code, said.extra) == (1001, "going away")
        assert time.monotonic() - began < 2.5
    with contextlib.suppress(aiohttp.ClientError):
        await entered.__aexit__(None, None, None)


def handshaken(site: Site, buffer: int) -> socket.socket:
    """A client that has subscribed and reads nothing more."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    raw.connect(("127.0.0.1", site.gateway.api_port))
    head = (
        f"GET /v1/feed/ws HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {site.token()}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    word = b'{"type":"subscribe"}'
    raw.sendall(head.encode() + bytes((0x81, 0x80 | len(word))) + bytes(4) + word)
    return raw


@pytest.mark.parametrize("reads", [True, False])
async def test_a_consumer_that_takes_nothing_is_closed(tmp_path: Path, reads: bool, monkeypatch) -> None:
    """With 1013 "slow consumer" behind what it did not take; cut off where it reads not even that; others go on."""
    monkeypatch.setattr("gateway.api.feed_socket.CLOSE_PATIENCE_S", 1.0)
    with Site(tmp_path, feed={"stuck_s": 0.5, "buffer_high_bytes": 1 << 16}) as site:
        desk, mute = Desk(), handshaken(site, 4096)
        async with connected(site, site.token()) as ws, asyncio.timeout(20):
            await ws.send_json({"type": "subscribe"})
            await read_until(ws, desk, lambda: "snapshot" in desk.kinds)
            while site.within(site.gateway.feed.stats)["consumers"] < 2:
                await asyncio.sleep(0.02)
            for number in range(150):
                site.within(site.gateway.feed.set_duty, "PCC.CSO-014", 2 + number % 2, incident="x" * 60_000)
            await read_until(ws, desk, lambda: len(desk.records) == 150)
            while "stuck consumer" not in site.within(site.gateway.feed.stats)["consumers_closed"]:
                await asyncio.sleep(0.05)
            if reads:
                assert (await asyncio.to_thread(rest, mute)).endswith(b"\x88\x0f\x03\xf5slow consumer")
            began = time.monotonic()
            site.press("bcn-15")
            await read_until(ws, desk, lambda: bool(desk.emergencies()))
            assert time.monotonic() - began < 1
        mute.close()


def rest(raw: socket.socket) -> bytes:
    """All that comes until the connection ends; its last bytes."""
    raw.settimeout(10)
    got = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := raw.recv(1 << 20):
            got = got[-64:] + piece
    return got
