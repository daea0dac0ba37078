"""The local alarm's program: run as it stands, bounded, its failures told; never the feed's affair."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.alarming import WAITING_MOST, AlarmHook, alarming, check_hook
from gateway.errors import ConfigError
from gateway.feed.emergencies import EmergencyRecord
from gateway.feed.feed import Feed
from gateway.feed.settings import FeedSettings
from gateway.observe import Gauges
from tests.feed.shift import MemoryFiles, Roster, SetClock, press, who


def record(number: str = "EM-20261121-0001") -> EmergencyRecord:
    """An emergency."""
    at = "2026-11-21T21:00:00Z"
    return EmergencyRecord(
        1, 7, number, "active", at, "P-1", "PCC.CSO-1", None, ("beacon_sos",), 1, True, None, None, True
    )


def program(folder: Path, text: str) -> str:
    """A program of the site's own."""
    file = folder / "alarm"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return str(file)


@contextlib.asynccontextmanager
async def running(hook: AlarmHook):
    """The hook at work; the test may take it that calls heard have been made when counts say so."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(hook.run())
        yield hook
        task.cancel()


async def made(hook: AlarmHook, calls: int, failures: int = 0) -> None:
    """Wait until so many calls have been made and ended."""
    async with asyncio.timeout(8):
        while hook.counts["calls"] < calls or hook.counts["failures"] < failures:
            await asyncio.sleep(0.01)


async def lines(file: Path, number: int) -> list[str]:
    """What a program wrote, once there are so many lines."""
    async with asyncio.timeout(8):
        while not file.exists() or len(file.read_text().splitlines()) < number:
            await asyncio.sleep(0.01)
    return file.read_text().splitlines()


async def test_it_is_told_everything_and_no_shell_reads_it(tmp_path, monkeypatch) -> None:
    """Its words as they stand, one line of JSON on its input, none of our secrets."""
    monkeypatch.setenv("LAPEL_BROKER_PASSWORD", "secret")
    out = tmp_path / "out"
    line = (program(tmp_path, f'cat >> "{out}"; echo "$1" >> "{out}"; env >> "{out}"'), "$(touch x); `id` *")
    async with running(AlarmHook(line)) as hook:
        hook.heard("raised", record())
        said, word, *environment = await lines(out, 3)
        await made(hook, 1)
    told = json.loads(said)
    assert (told["v"], told["alarm"], told["emergency"]["id"]) == (1, "raised", "EM-20261121-0001")
    assert word == line[1]
    assert not any("secret" in each for each in environment)
    assert hook.counts["failures"] == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("echo no siren >&2; exit 3", "exit code 3: no siren"),
        ("exec sleep 60", "took longer than 0.5 s"),
        ("sleep 60 & wait", "took longer than 0.5 s"),
        ("yes >&2", "took longer than 0.5 s"),
        ("exec < /dev/null; exit 1", "exit code 1"),
    ],
)
async def test_its_failure_is_told_and_the_next_call_made(tmp_path, text, problem) -> None:
    """By the log and a count; within its time, and nothing of it is left running."""
    with capture_logs() as logs:
        began_s = time.monotonic()
        async with running(AlarmHook((program(tmp_path, text),), 0.5)) as hook:
            hook.heard("raised", record())
            hook.heard("raised", record("EM-20261121-0002"))
            await made(hook, 2, 2)
        assert time.monotonic() - began_s < 4
    told = [one for one in logs if one["event"] == "alarm_hook_failed"]
    assert [one["problem"] for one in told] == [problem, problem]
    assert [one["emergency"] for one in told] == ["EM-20261121-0001", "EM-20261121-0002"]


async def test_a_program_that_is_gone(tmp_path) -> None:
    """Told like any other failure."""
    async with running(AlarmHook((str(tmp_path / "nothing"),))) as hook:
        hook.heard("raised", record())
        await made(hook, 1, 1)


async def test_what_waits_is_bounded() -> None:
    """The newest stay; what merely lasts is left out where a call of that emergency waits."""
    hook = AlarmHook(("/bin/true",))
    for number in range(WAITING_MOST + 5):
        hook.heard("raised", record(f"EM-20261121-{number:04d}"))
        hook.heard("lasts", record(f"EM-20261121-{number:04d}"))
    assert (len(hook._waiting), hook.counts["dropped"]) == (WAITING_MOST, 5)
    assert hook._waiting[0].emergency.id == "EM-20261121-0005"


async def test_the_feed_sounds_it(tmp_path) -> None:
    """At 15 s raised, at 30 s it lasts, over once somebody has it in hand: although a machine had it at once."""
    clock, heard = SetClock(), []
    roster = Roster()
    unit = roster.enlist(1)
    feed = Feed(FeedSettings(), roster, clock, Path("nowhere"), files=MemoryFiles())
    await feed.open()
    feed.siren.heard = lambda word, one: heard.append((word, one.id, one.state, one.delivered))
    feed.tick(clock.now())
    feed.emergency(press(clock.now()), who(unit, "P-1"), journalled=True)
    (one,) = feed.emergencies()
    feed.delivered(one.id)
    for _ in range(40):
        feed.tick(clock.on(1))
    assert heard == [("raised", one.id, "active", True), ("lasts", one.id, "active", True)]
    feed.acknowledge(one.id, "Inspector 3")
    feed.tick(clock.on(1))
    assert heard[2:] == [("over", one.id, "acknowledged", True)]
    await feed.close()


async def test_a_restart_gives_nobody_his_time_anew() -> None:
    """Closed 5 s after the press, open again 5 s later: the alarm is at 15 s, counted from the press."""
    clock, heard, files, roster = SetClock(), [], MemoryFiles(), Roster()
    unit = roster.enlist(1)
    feed = Feed(FeedSettings(), roster, clock, Path("nowhere"), files=files)
    await feed.open()
    feed.emergency(press(clock.now()), who(unit, "P-1"), journalled=True)
    feed.tick(clock.on(5))
    await feed.close()
    clock.on(5)
    feed = Feed(FeedSettings(), roster, clock, Path("nowhere"), files=files)
    await feed.open()
    feed.siren.heard = lambda word, one: heard.append((word, clock.mono_s))
    for _ in range(6):
        feed.tick(clock.now())
        clock.on(1)
    assert heard == [("raised", 1015.0)]
    await feed.close()


async def test_what_could_not_be_registered_sounds_at_once(monkeypatch) -> None:
    """Nobody could acknowledge it: it does not wait for that."""
    clock, heard, roster = SetClock(), [], Roster()
    feed = Feed(FeedSettings(), roster, clock, Path("nowhere"), files=MemoryFiles())
    await feed.open()
    feed.siren.heard = lambda word, one: heard.append((word, one.id, one.device))
    monkeypatch.setattr(feed._alarm.emergencies, "press", None)
    with capture_logs() as logs:
        feed.emergency(press(clock.now(), device="bcn-1"), who(None), journalled=True)
    assert heard == [("raised", "EM-20261121-9001", "bcn-1")]
    assert [one["log_level"] for one in logs if one["event"] == "emergency_unregistered"] == ["critical"]
    await feed.close()


async def test_a_siren_that_breaks_silences_nothing() -> None:
    """The log line and the count come all the same."""
    clock, roster = SetClock(), Roster()
    unit = roster.enlist(1)
    feed = Feed(FeedSettings(), roster, clock, Path("nowhere"), files=MemoryFiles())
    await feed.open()

    def broken(_word: str, _record: EmergencyRecord) -> None:
        raise RuntimeError("no")

    feed.siren.heard = broken
    feed.tick(clock.now())
    feed.emergency(press(clock.now()), who(unit, "P-1"), journalled=True)
    with capture_logs() as logs:
        for _ in range(20):
            feed.tick(clock.on(1))
    assert [one["log_level"] for one in logs if one["event"] == "emergency_unacknowledged"] == ["critical"]
    assert feed.stats()["emergency_faults_siren"] == 1
    assert feed.stats()["emergencies_unacknowledged"] == 1
    await feed.close()


def test_only_what_can_be_run_is_configured(tmp_path) -> None:
    """The whole path of a program; by name of the key."""
    check_hook(FeedSettings())
    check_hook(FeedSettings(alarm_hook=("/bin/true", "x")))
    (tmp_path / "text").write_text("x")
    for line in (("true",), (str(tmp_path / "text"),), (str(tmp_path),), (str(tmp_path / "none"),)):
        with pytest.raises(ConfigError, match=r"feed\.alarm_hook\[0\]"):
            check_hook(FeedSettings(alarm_hook=line))


async def test_nothing_runs_where_none_is_configured() -> None:
    """And where one is, it is counted under its name."""
    feed = Feed(FeedSettings(), Roster(), SetClock(), Path("nowhere"), files=MemoryFiles())
    gauges = Gauges()
    assert alarming(FeedSettings(), feed, gauges) == []
    assert len(alarming(FeedSettings(alarm_hook=("/bin/true",)), feed, gauges)) == 1
    feed.siren.heard("raised", record())
    assert [family.name for family in gauges.collect()] == [
        f"lapel_alarm_hook_{name}" for name in ("calls", "failures", "dropped")
    ]


async def test_a_stop_ends_the_program_too(tmp_path) -> None:
    """Nothing goes on sounding for a gateway that is no more, and the stop waits for nothing."""
    pid = tmp_path / "pid"
    line = (program(tmp_path, f'sleep 60 & echo $$ $! > "{pid}.new"; mv "{pid}.new" "{pid}"; wait'),)
    async with running(AlarmHook(line)) as hook:
        hook.heard("raised", record())
        await lines(pid, 1)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 2
    for number in pid.read_text().split():
        status = Path(f"/proc/{number}/stat")
        assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"
