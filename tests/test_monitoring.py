"""A monitor put together: what it says once, what it goes on saying, and what it does when a log is away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.domain.evidence import Act
from gateway.evidence.monitor.look import Witnesses
from gateway.evidence.verify.notes import parse_vkey
from gateway.monitoring import Monitor, Watched
from gateway.observe import SystemClock
from gateway.outlets.log_tiles import DirectoryLog, HttpLog
from tests.evidence.log.lab import Lab, act


class Room:
    """A log, a monitor of it, and what the hook was told."""

    def __init__(self, folder: Path) -> None:
        self.lab = Lab(folder / "store")
        self.grow(5)
        self.told: list[Mapping[str, object]] = []
        self.monitor = Monitor(folder / "state", SystemClock(), self.told.append)
        self.monitor.open()

    def grow(self, entries: int) -> None:
        """So many more entries."""
        with self.lab.opened() as log:
            log._ask([act(number, f"X-{number}") for number in range(entries)]).result()

    def watched(self, **more: Any) -> Watched:
        """The log as it is looked at."""
        key = parse_vkey((self.lab.evidence / "log/log.vkey").read_bytes(), "vkey")
        source = more.get("source", DirectoryLog(self.lab.evidence / "log"))
        return Watched("pcc", (key,), Witnesses(), source, more.get("catalogue"))

    def events(self) -> list[tuple[object, object]]:
        """What the hook was told, in short."""
        return [(each["kind"], each["alarm"]) for each in self.told]


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    """It."""
    made = Room(tmp_path)
    yield made
    made.monitor.close()
    made.lab.close()


async def test_an_alarm_is_said_once_and_its_end_once(room: Room) -> None:
    """However often it is looked at; a link that fails is no fault of the log, and what is known stays known."""
    assert await room.monitor.look(room.watched()) == []
    away = HttpLog("http://127.0.0.1:1/log", patience_s=1.0)
    await away.open()
    for _ in range(3):
        (alarm,) = await room.monitor.look(room.watched(source=away))
        assert (alarm.kind, alarm.integrity) == ("unreachable", False)
    await away.close()
    assert room.monitor.figures["pcc"]["entries"] == 5
    assert await room.monitor.look(room.watched()) == []
    assert room.events() == [("unreachable", "begins"), ("unreachable", "over")]


async def test_a_fault_of_the_log_stands_until_somebody_looks_into_it(room: Room, tmp_path: Path) -> None:
    """The log shows its better face again: the alarm goes on, by what was kept."""
    await room.monitor.look(room.watched())
    path = room.lab.evidence / "log/checkpoint"
    good = path.read_bytes()
    path.write_bytes(b"nonsense")
    (alarm,) = await room.monitor.look(room.watched())
    assert (alarm.kind, alarm.integrity) == ("unsigned", True)
    path.write_bytes(good)
    (kept,) = await room.monitor.look(room.watched())
    assert (kept.kind, kept.integrity) == ("kept", True)
    assert room.events() == [("unsigned", "begins"), ("kept", "begins"), ("unsigned", "over")]
    for file in (tmp_path / "state/alarms/pcc").iterdir():
        file.unlink()
    assert await room.monitor.look(room.watched()) == []
    assert room.monitor.figures["pcc"] | {"looked_at_s": 0} == {
        "entries": 5,
        "cosigned": 0,
        "alarms": 0,
        "integrity_alarms": 0,
        "kept": 0,
        "rotations": 0,
        "looked_at_s": 0,
    }


async def test_it_remembers_over_a_restart(room: Room, tmp_path: Path) -> None:
    """A monitor that was stopped finds what was done to the log meanwhile."""
    await room.monitor.look(room.watched())
    room.monitor.close()
    again = Monitor(tmp_path / "state", SystemClock(), room.told.append)
    again.open()
    room.grow(3)
    assert await again.look(room.watched()) == []
    assert again.figures["pcc"]["entries"] == 8
    again.close()


async def test_the_catalogue_of_the_same_size(room: Room) -> None:
    """It agrees; one that lags or leads is not judged; one that cannot be read is an alarm."""
    path = room.lab.evidence / "evidence.db"
    assert await room.monitor.look(room.watched(catalogue=path)) == []
    room.lab.catalogue.clear()
    assert await room.monitor.look(room.watched(catalogue=path)) == []
    room.lab.close()
    for left in path.parent.glob("evidence.db*"):
        left.unlink()
    path.write_bytes(b"nonsense" * 1000)
    (alarm,) = await room.monitor.look(room.watched(catalogue=path))
    assert (alarm.kind, alarm.integrity) == ("catalogue_differs", True)


async def test_a_change_of_key_is_told_once(room: Room) -> None:
    """Loud, through the hook too, and no alarm; the key that was pinned first goes on to be enough."""
    watched = room.watched()
    assert await room.monitor.look(watched) == []
    with room.lab.opened() as log:
        old = log.vkey
        log.rotate_now(Act("key_rotate", "cli:test"), room.lab.keystore.log_keys.fresh())
        new = log.vkey
    room.grow(2)
    for _ in range(2):
        assert await room.monitor.look(watched) == []
    assert room.events() == [("key_rotated", "once")]
    assert room.told[0]["problem"] == f"entry 5: {old} signed over to {new}"
    assert room.monitor.figures["pcc"]["rotations"] == 1
