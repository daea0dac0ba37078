"""A station beside a gateway in memory: what happens to files when things go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.crypto.notes import parse_vkey
from gateway.dock import station as stations
from gateway.dock.settings import DockSection, DockSettings, FolderSection
from gateway.dock.station import Station
from gateway.domain.time import Instant
from gateway.errors import LinkError
from gateway.settings import BrokerSection
from tests.firmware_stubs.gateway_double import GatewayDouble
from tests.firmware_stubs.tiny_log import TinyLog


class Clock:
    """After every keep_until, unless it is set back."""

    def __init__(self) -> None:
        self.utc = datetime(2027, 1, 1, tzinfo=UTC)

    def now(self) -> Instant:
        """Now."""
        return Instant(0.0, self.utc)


class Wire:
    """A link to the gateway double; `down` while there is none."""

    def __init__(self, double, hear) -> None:
        self.double, self.hear, self.down, self.inits = double, hear, asyncio.Event(), []
        self.up = asyncio.Event()

    async def run(self) -> None:
        """Serve until it is told to go down."""
        self.up.set()
        await self.down.wait()
        self.down.clear()
        self.up.clear()
        raise LinkError("gone")

    async def ready(self) -> None:
        """Once it is up."""
        await self.up.wait()

    async def publish(self, topic: str, payload: bytes) -> None:
        """To the double and back, by the dock's own topics."""
        if not self.up.is_set():
            raise LinkError("gone")
        await asyncio.sleep(0)
        found = re.fullmatch(r"lapel/v1/dock/dock-1/camera/([^/]+)/(file/.*)", topic)
        assert found, topic
        if topic.endswith("/init"):
            self.inits.append((found[1], json.loads(payload)))
        for _, answer in self.double.receive(f"lapel/v1/camera/{found[1]}/{found[2]}", payload):
            self.hear(f"lapel/v1/dock/dock-1/camera/{found[1]}/response", answer, lambda: None)


class Rig:
    """A station over tmp_path/in."""

    def __init__(self, root: Path, key: str | None = None, **words) -> None:
        self.root, self.double, self.clock, self.said = root, GatewayDouble(), Clock(), []
        (root / "in/AX1").mkdir(parents=True, exist_ok=True)
        dock = {"id": "dock-1", "log_key": "x", "state": str(root / "state"), "scan_s": 0.02, "settle_s": 0.0, **words}
        folder = FolderSection(path=str(root / "in"), beside=("*.gps",))
        serials, key = {"AX1": "cam-1", "AX2": "cam-2"}, parse_vkey(key or self.double.log.vkey)
        self.settings = DockSettings(DockSection(**dock), BrokerSection(), (folder,), serials, key)

    def tell(self, event: str, **words) -> None:
        """Keep what is said."""
        self.said.append({"event": event, **words})

    def of(self, event: str) -> list[dict]:
        """All of one kind."""
        return [each for each in self.said if each["event"] == event]

    def put(self, name: str, content: bytes = b"film" * 1000) -> Path:
        """A file on the stick."""
        path = self.root / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    @contextlib.asynccontextmanager
    async def running(self):
        """The station, until the block ends."""
        self.station, stop = Station(self.settings, self.clock, self.tell), asyncio.Event()

        def link(hear):
            self.wire = Wire(self.double, hear)
            return self.wire

        async with asyncio.TaskGroup() as group:
            group.create_task(self.station.run(link, stop))
            try:
                yield self
            finally:
                stop.set()

    async def until(self, condition, what: str = "") -> None:
        """Wait for it."""
        async with asyncio.timeout(8):
            while not condition():
                await asyncio.sleep(0.01)


async def test_sent_with_its_side_files_and_deleted_after_the_receipt(tmp_path):
    """Both name one another; both are deleted; the receipts stay."""
    rig = Rig(tmp_path, after="delete")
    film, track = rig.put("AX1/A.MP4"), rig.put("AX1/A.gps", b"track")
    async with rig.running():
        await rig.until(lambda: len(rig.of("deleted")) == 2)
    (device, main), (_, side) = rig.wire.inits
    assert (device, main["name"], side["name"]) == ("cam-1", "A.MP4", "A.gps")
    recordings = [each["recording"] for each in rig.of("receipted")]
    assert (main["user_data"]["beside"], side["user_data"]["beside"]) == ([recordings[1]], [recordings[0]])
    assert not film.exists()
    assert not track.exists()
    assert (tmp_path / "in/AX1/A.MP4.lapel-receipt.json").exists()
    assert [each["file"] for each in rig.of("deleted")] == [str(track), str(film)], "a side file was left alone"


async def test_not_before_keep_until(tmp_path):
    """The receipt is there, its time is not over."""
    rig = Rig(tmp_path, after="delete")
    film, rig.clock.utc = rig.put("AX1/A.MP4"), datetime(2020, 1, 1, tzinfo=UTC)
    async with rig.running():
        await rig.until(lambda: rig.of("receipted"))
        await asyncio.sleep(0.1)
        assert film.exists()
        rig.clock.utc = datetime(2027, 1, 1, tzinfo=UTC)
        await rig.until(lambda: not film.exists())


async def test_a_restart_neither_sends_nor_forgets(tmp_path):
    """What has its receipt is ended at the next start, without a word to the gateway."""
    rig = Rig(tmp_path, after="delete")
    film, rig.clock.utc = rig.put("AX1/A.MP4"), datetime(2020, 1, 1, tzinfo=UTC)
    async with rig.running():
        await rig.until(lambda: rig.of("receipted"))
    said, rig.clock.utc = len(rig.double.commands), datetime(2027, 1, 1, tzinfo=UTC)
    async with rig.running():
        await rig.until(lambda: not film.exists())
    assert len(rig.double.commands) == said


async def test_another_stick_with_the_same_names(tmp_path):
    """Same path, size and time, another content: it is sent too, and neither is taken for the other."""
    rig = Rig(tmp_path)
    film = rig.put("AX1/A.MP4", b"one " * 1000)
    async with rig.running():
        await rig.until(lambda: rig.of("receipted"))
        stamp = film.stat().st_mtime_ns
        other = tmp_path / "other"
        other.write_bytes(b"two " * 1000)
        os.utime(other, ns=(stamp, stamp))
        other.replace(film)
        await rig.until(lambda: len(rig.of("receipted")) == 2)
    one, two = rig.of("receipted")
    assert one["sha256"] != two["sha256"]
    assert one["recording"] != two["recording"]


async def test_a_stick_that_is_pulled_out_and_comes_back(tmp_path):
    """Named, nothing lost, sent when it is there again."""
    rig = Rig(tmp_path)
    film = rig.put("AX1/A.MP4", b"film" * 800_000)
    rig.double.not_now = 10_000
    async with rig.running():
        await rig.until(lambda: rig.double.not_now <= 9_996)  # every piece was refused
        film.parent.rename(tmp_path / "pulled")
        rig.double.not_now = 0
        await asyncio.sleep(0.1)
        rig.wire.down.set()
        await rig.until(lambda: rig.of("waits"))
        (tmp_path / "pulled").rename(film.parent)
        await rig.until(lambda: rig.of("receipted"))
    assert film.exists()


async def test_a_file_that_cannot_be_read_does_not_hold_up_others(tmp_path, monkeypatch):
    """Named once, tried again and again, sent when it can be."""
    rig, real, refusing = Rig(tmp_path), stations.look, [True]
    bad, good = rig.put("AX1/BAD.MP4", b"bad"), rig.put("AX2/GOOD.MP4", b"good")

    def look(path, *more):
        if refusing and path == bad:
            raise OSError(5, "Input/output error")
        return real(path, *more)

    monkeypatch.setattr(stations, "look", look)
    async with rig.running():
        await rig.until(lambda: rig.of("receipted"))
        assert [each["file"] for each in rig.of("receipted")] == [str(good)]
        await asyncio.sleep(0.2)
        assert rig.of("waits") == [{"event": "waits", "file": str(bad), "problem": "Input/output error"}]
        refusing.clear()
        await rig.until(lambda: len(rig.of("receipted")) == 2)
        await rig.until(lambda: rig.station.problems == {})


async def test_a_full_disk_of_the_dock_ends_nothing(tmp_path, monkeypatch):
    """Without its memory the dock sends, and believes nothing: no file is ended until it can write again."""
    rig, film, full = Rig(tmp_path, after="delete"), None, [True]
    film, real = rig.put("AX1/A.MP4"), stations.Ledger.save

    def save(self, entry):
        if full and entry.receipt is not None:
            raise OSError(28, "No space left on device")
        real(self, entry)

    monkeypatch.setattr(stations.Ledger, "save", save)
    async with rig.running():
        await rig.until(lambda: any("No space" in each["problem"] for each in rig.of("waits")))
        await asyncio.sleep(0.1)
        assert film.exists()
        assert not rig.of("receipted")
        full.clear()
        await rig.until(lambda: not film.exists())


async def test_a_stick_that_cannot_be_written_to(tmp_path, monkeypatch):
    """The receipt is in the ledger; that it could not be laid beside is said."""
    rig = Rig(tmp_path)
    rig.put("AX1/A.MP4")

    def refused(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(stations, "write_whole", refused)
    async with rig.running():
        await rig.until(lambda: rig.of("receipt_not_beside"))
    assert len(rig.of("receipted")) == 1


async def test_a_key_that_is_not_the_logs(tmp_path):
    """Named; nothing deleted; asked again."""
    rig = Rig(tmp_path, TinyLog(b"\x09" * 32).vkey, after="delete")
    film = rig.put("AX1/A.MP4")
    async with rig.running():
        await rig.until(lambda: rig.of("waits"))
        await asyncio.sleep(0.1)
        assert not rig.station.quiet
    assert film.exists()
    assert "receipt not accepted" in rig.of("waits")[0]["problem"]
    assert not rig.of("receipted")


async def test_a_file_that_changes_before_it_is_ended(tmp_path):
    """The new content is a recording of its own, and only that is deleted after its own receipt."""
    rig = Rig(tmp_path, after="move", move_to=str(tmp_path / "sent"))
    film, rig.clock.utc = rig.put("AX1/A.MP4", b"one"), datetime(2020, 1, 1, tzinfo=UTC)
    async with rig.running():
        await rig.until(lambda: rig.of("receipted"))
        film.write_bytes(b"another")
        await rig.until(lambda: len(rig.of("receipted")) == 2)
        rig.clock.utc = datetime(2027, 1, 1, tzinfo=UTC)
        await rig.until(lambda: rig.of("moved"))
    assert (tmp_path / "sent/cam-1/A.MP4").read_bytes() == b"another"
    assert len({each["sha256"] for each in rig.of("receipted")}) == 2


async def test_a_connection_that_comes_and_goes(tmp_path):
    """Said, taken up again, everything sent once."""
    rig = Rig(tmp_path, parallel=3, segment_kib=16)
    for number in range(8):
        rig.put(f"AX{number % 2 + 1}/F{number}.MP4", bytes([number]) * 300_000)
    async with rig.running():
        for _ in range(2):
            await rig.until(lambda: getattr(rig, "wire", None) and rig.wire.up.is_set())
            await asyncio.sleep(0.05)
            rig.wire.down.set()
        await rig.until(lambda: len(rig.of("receipted")) == 8)
        await rig.until(lambda: rig.station.quiet)
    assert rig.of("no_connection")
    assert len({each["recording"] for each in rig.of("receipted")}) == 8


@pytest.mark.parametrize("topic", ["", "a/b", "lapel/v1/dock/dock-1/camera/cam-1/response"])
async def test_answers_that_say_nothing(tmp_path, topic):
    """Noted, and nothing else."""
    rig = Rig(tmp_path)
    async with rig.running():
        await rig.until(lambda: rig.station.quiet)
        rig.wire.hear(topic, b"{", lambda: None)
        assert rig.of("answer_unreadable")


async def test_kept_until_a_later_receipt_names_a_time(tmp_path, monkeypatch):
    """While copies are not verified the dock keeps the file and asks again; then it may go."""
    monkeypatch.setattr(stations, "ASK_AGAIN_S", 0.0)
    rig = Rig(tmp_path, after="delete")
    film, given = rig.put("AX1/A.MP4"), rig.double.log.receipt
    rig.double.log.receipt = lambda *words: {**given(*words), "keep_until": "9999-12-31T23:59:59Z"}
    async with rig.running():
        await rig.until(lambda: rig.of("receipted"))
        await rig.until(lambda: len(rig.wire.inits) > 2, "asked again")
        assert film.exists()
        assert len(rig.of("receipted")) == 1, "nothing new is not told"
        for key, receipt in rig.double.receipts.items():
            rig.double.receipts[key] = {**receipt, "copies": 2, "keep_until": "2026-11-22T21:08:02Z"}
        await rig.until(lambda: rig.of("deleted"))
    assert not film.exists()
    assert len(rig.of("receipted")) == 2
