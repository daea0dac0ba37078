"""Rule 10: a driver may fail, loudly; the gateway goes on, and the driver is tried again."""

from __future__ import annotations

import asyncio

import pytest

import gateway.supervisor as module
from gateway.errors import LinkError
from gateway.ports import InputHealth
from gateway.supervisor import Supervisor


class Input:
    """A driver that fails as told, then serves."""

    def __init__(self, *faults: BaseException | None) -> None:
        self.faults = list(faults)
        self.runs = 0
        self.served = asyncio.Event()

    async def run(self) -> None:
        """Fail, end, or serve."""
        self.runs += 1
        if self.faults:
            fault = self.faults.pop(0)
            if fault is not None:
                raise fault
            return
        self.served.set()
        await asyncio.Event().wait()

    def health(self) -> InputHealth:
        """Counters of its own."""
        return InputHealth("up", None, None, {"frames": 7})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.01)


async def supervised(*inputs: Input) -> Supervisor:
    """Run until every input serves."""
    supervisor = Supervisor({f"input-{number}": each for number, each in enumerate(inputs)})
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run())
        for each in inputs:
            await each.served.wait()
        task.cancel()
    return supervisor


async def test_a_lost_link_is_a_restart() -> None:
    """LinkError: tried again, counted."""
    flaky = Input(LinkError("port gone"), LinkError("still gone"))
    supervisor = await supervised(flaky)
    assert flaky.runs == 3
    assert supervisor.inputs["input-0"].restarts == 2
    assert supervisor.inputs["input-0"].state == "up"


@pytest.mark.parametrize("fault", [ValueError("a defect"), RuntimeError("another"), None])
async def test_a_defect_is_this_driver_down_and_no_other(fault: BaseException | None) -> None:
    """Anything unexpected, an early end too: the rest goes on."""
    broken, fine = Input(fault), Input()
    supervisor = await supervised(broken, fine)
    assert broken.runs == 2
    assert fine.runs == 1
    assert supervisor.inputs["input-1"].restarts == 0


async def test_a_group_of_errors_is_one_fault() -> None:
    """Drivers use task groups, so their faults come in groups."""
    grouped = Input(ExceptionGroup("tasks", [LinkError("broker gone")]))
    assert (await supervised(grouped)).inputs["input-0"].restarts == 1


async def test_while_down_health_says_why() -> None:
    """State, problem and restarts, beside the driver's own counters."""
    down = Input(*[LinkError("cable out")] * 1000)
    supervisor = Supervisor({"terminal-1": down})
    async with asyncio.TaskGroup() as group:
        task = group.create_task(supervisor.run())
        async with asyncio.timeout(5):
            while supervisor.inputs["terminal-1"].restarts == 0:
                await asyncio.sleep(0.001)
        health = supervisor.health()["terminal-1"]
        task.cancel()
    assert (health.state, health.problem) == ("down", "cable out")
    assert health.counters["frames"] == 7
    assert health.counters["restarts"] >= 1


async def test_cancelling_ends_every_input() -> None:
    """Closing is bounded."""
    one, two = Input(), Input()
    async with asyncio.timeout(1):
        await supervised(one, two)


class Stubborn(Input):
    """A driver whose link goes at the very moment at which it is cancelled."""

    async def run(self) -> None:
        """Serve; raise LinkError instead of going quietly."""
        self.runs += 1
        self.served.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ExceptionGroup("tasks", [LinkError("port gone")]) from None


async def test_a_link_lost_while_stopping_does_not_start_again() -> None:
    """The stop counts, whatever the driver raised in its place."""
    stubborn = Stubborn()
    async with asyncio.timeout(2):
        await supervised(stubborn)
    assert stubborn.runs == 1
