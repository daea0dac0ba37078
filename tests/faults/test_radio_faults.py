"""A terminal that breaks off, garbles, reboots, is unplugged and answers late: nothing read is lost or told twice.

LAPEL_RADIO_FAULTS=1000 makes the long count; 100 is the default.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers import registry
from firmware_stubs.faults import FIRST_ISSI, KINDS
from gateway.errors import GatewayError, LinkError
from gateway.ports import DriverContext, Outgoing
from tests.faults.terminal_process import KeepingIntake, TerminalProcess, WallClock
from tests.scenarios.gateway_process import ROOT

FAULTS = int(os.environ.get("LAPEL_RADIO_FAULTS", "100"))
SECONDS_A_FAULT = 4.0
KEEPALIVE_S, REPLY_S, RENEW_S, REBOOT_S = 0.25, 0.4, 2.0, 0.2
HEARD_ISSI = 2341001


class Rig:
    """The real driver on the stub's port, restarted as the supervisor would, but without its pauses."""

    def __init__(self, port: Path, renew_s: float = RENEW_S, **more: Any) -> None:
        self.intake, self.restarts = KeepingIntake(), 0
        settings = msgspec.convert(
            {"port": str(port), "keepalive_s": KEEPALIVE_S, "reply_s": REPLY_S, "renew_s": renew_s, **more},
            registry.settings_type("tetra"),
        )
        self.driver = registry.build("tetra", settings, DriverContext("terminal-1", WallClock(), self.intake))
        self.outcomes: dict[str, Any] = {}

    async def serve(self) -> None:
        """Run the driver again whenever its port has gone; a port that goes as we end must not keep us."""
        task = asyncio.current_task()
        assert task is not None
        while not task.cancelling():
            try:
                await self.driver.run()
            except* LinkError:
                self.restarts += 1
            await asyncio.sleep(0.0 if task.cancelling() else 0.05)

    async def send(self) -> None:
        """Texts down all the while, one after another; what became of each is kept by its words."""
        downlink = getattr(self.driver, "downlink", None)
        number = 0
        while downlink is not None:
            number += 1
            words = f"Task {number}"
            self.outcomes[words] = "under way"
            try:
                async with asyncio.timeout(20):
                    self.outcomes[words] = await downlink.send(Outgoing(words, HEARD_ISSI, "text", text=words))
            except (GatewayError, TimeoutError) as refused:
                self.outcomes[words] = refused
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def running(rig: Rig, *, sending: bool = True):
    """Driver and sender beside whatever the test does."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(rig.serve()), *([group.create_task(rig.send())] if sending else [])]
        yield
        for task in tasks:
            task.cancel()


class Run:
    """One run of faults and what both sides say of it."""

    def __init__(self, terminal: TerminalProcess, rig: Rig, summary: dict[str, Any], kinds: Sequence[str]) -> None:
        self.terminal, self.rig, self.summary, self.kinds = terminal, rig, summary, kinds


async def suffer(folder: Path, dialect: str, kinds: Sequence[str], count: int) -> Run:
    """So many faults on a radio of that make."""
    more = ("--faults", count, "--seed", 11, "--dialect", dialect, "--reboot-seconds", REBOOT_S, "--kinds", *kinds)
    terminal = await asyncio.to_thread(TerminalProcess, folder / "terminal-1", *more)
    rig = Rig(folder / "terminal-1")
    try:
        async with running(rig), asyncio.timeout(30 + count * SECONDS_A_FAULT):
            while terminal.running and not terminal.of("summary"):
                await asyncio.sleep(0.05)
    finally:
        summary = await asyncio.to_thread(terminal.close)
    return Run(terminal, rig, summary, kinds)


RUNS = {
    "motorola": ("motorola", KINDS, FAULTS // 2),
    "sepura": ("sepura", KINDS, FAULTS // 2),
    "without bursts": ("sepura", [kind for kind in KINDS if kind != "cme_burst"], FAULTS // 4),
}


@pytest.fixture(scope="module", params=RUNS)
def run(request, tmp_path_factory):
    """One run for all the judges of it."""
    return asyncio.run(suffer(tmp_path_factory.mktemp("radio"), *RUNS[request.param]))


@pytest.mark.timeout(60 + FAULTS * SECONDS_A_FAULT)
def test_every_kind_of_fault_happened(run):
    """The stub did what it was asked to, and a replugged port is a new one to the driver."""
    happened = Counter(each["kind"] for each in run.terminal.of("fault"))
    assert happened.total() >= FAULTS // 4
    assert set(happened) == set(run.kinds) or happened.total() < len(run.kinds)
    assert run.rig.restarts >= happened["unplug"] / 2


def test_what_was_read_is_an_event_exactly_once(run):
    """What the stub saw read before a fault against what the driver made of it."""
    seen = run.rig.intake.senders(FIRST_ISSI)
    read = {each["issi"]: each for each in run.terminal.of("sds") if each["read"]}
    assert len(read) > FAULTS / 5
    assert [each for issi, each in read.items() if not seen[issi]] == []
    assert {issi: count for issi, count in seen.items() if count > 1} == {}


def test_after_the_faults_everything_arrives(run):
    """The last ten came when it was quiet again: the radio was registered for all of them."""
    seen = run.rig.intake.senders(FIRST_ISSI)
    last = [each["issi"] for each in run.terminal.of("sds")][-10:]
    assert [issi for issi in last if not seen[issi]] == []
    assert last[-1] - last[0] == 9


def test_no_command_overtakes_an_answer(run):
    """A command sent before the earlier one's result would be paired with the wrong answer."""
    assert run.summary["violations"] == []


def test_what_was_told_as_sent_is_on_the_screen(run):
    """Each text that the driver says was sent, with the reference that the officer's radio saw."""
    shown = {each["text"]: each["reference"] for each in run.terminal.of("screen")}
    sent = {words: each.reference for words, each in run.rig.outcomes.items() if hasattr(each, "reference")}
    wrong = {words: (reference, shown.get(words)) for words, reference in sent.items() if shown.get(words) != reference}
    assert wrong == {}
    assert len(sent) >= FAULTS // 50


LOSSES = ["burst", "reboot", "unplug 0.2", "mode 1", "confuse", "reboot\nburst"]


@pytest.mark.parametrize("loss", LOSSES, ids=[loss.replace("\n", " and ") for loss in LOSSES])
async def test_registrations_come_back(tmp_path, loss):
    """Whatever took them, they are made again at once, long before the next renewal."""
    terminal = await asyncio.to_thread(
        TerminalProcess, tmp_path / "t", "--cues", "--quiet", "--every", 0.05, "--reboot-seconds", REBOOT_S
    )
    rig = Rig(tmp_path / "t", renew_s=300)
    try:
        async with running(rig, sending=False), asyncio.timeout(20):
            while not any(each["ready"] for each in terminal.of("progress")):
                await asyncio.sleep(0.02)
            for cue in loss.split("\n"):
                terminal.cue(cue)
            while len(terminal.of("done")) <= loss.count("\n"):
                await asyncio.sleep(0.02)
            while not rig.intake.senders(FIRST_ISSI):
                terminal.cue(f"text {FIRST_ISSI} Still here")
                await asyncio.sleep(0.2)
    finally:
        await asyncio.to_thread(terminal.close)


@pytest.mark.parametrize("speed", [9600, 38400, 115200])
async def test_the_speed_is_found(tmp_path, speed):
    """A radio that answers at one speed alone, found by trying."""
    more = ("--quiet", "--every", 0.05, "--speed", speed)
    terminal = await asyncio.to_thread(TerminalProcess, tmp_path / "t", *more)
    rig = Rig(tmp_path / "t", baud="probe", probe_s=0.2)
    try:
        async with running(rig, sending=False), asyncio.timeout(30):
            while not any(each["ready"] for each in terminal.of("progress")):
                await asyncio.sleep(0.02)
    finally:
        await asyncio.to_thread(terminal.close)


async def test_another_program_on_the_port_is_named(tmp_path):
    """The problem says who has it; once it is gone the radio is served."""
    terminal = await asyncio.to_thread(TerminalProcess, tmp_path / "t", "--quiet", "--every", 0.05)
    words = [sys.executable, "-m", "firmware_stubs.occupant", "--port", str(tmp_path / "t"), "--lock"]
    occupant = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
    rig = Rig(tmp_path / "t")
    try:
        await asyncio.to_thread(occupant.stdout.readline)
        async with running(rig, sending=False), asyncio.timeout(30):
            while str(occupant.pid) not in (rig.driver.health().problem or ""):
                await asyncio.sleep(0.02)
            occupant.terminate()
            while not any(each["ready"] for each in terminal.of("progress")):
                await asyncio.sleep(0.02)
    finally:
        occupant.kill()
        occupant.communicate()
        await asyncio.to_thread(terminal.close)
