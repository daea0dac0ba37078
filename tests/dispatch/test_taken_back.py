"""Tasks taken back, restarts, full disks; what goes to a radio besides tasks."""

from __future__ import annotations

import asyncio
import time

import pytest

from gateway.dispatch.asked import DeclinedError, NewTask
from gateway.dispatch.settings import DispatchSettings
from gateway.errors import LinkError, RefusedError, StoreBusyError
from tests.dispatch.rig import OTHER, OWN, QUICK, SECOND, UNIT, Alarm, FakeDownlink, Rig


async def test_cancelled_before_it_went_out() -> None:
    """Nothing goes out, the officer need not be told."""
    rig = Rig()
    rig.link.ready = False
    async with rig.running() as dispatch:
        task = await rig.give()
        task = await dispatch.cancel(task.id, "control", "false call")
        assert (task.state, task.notice, task.history[-1].note) == ("cancelled", None, "false call")
        rig.link.ready = True
        await rig.pass_s(5)
        assert (await dispatch.cancel(task.id, "control")).state == "cancelled"
    assert rig.heard == 0


async def test_cancelled_after_it_went_out() -> None:
    """The officer is told; what was done cannot be taken back."""
    rig = Rig()
    async with rig.running() as dispatch:
        task = await rig.give("Fight", incident="PCC-1")
        await dispatch.cancel(task.id, "control")
        task = await rig.now(task)
        assert (task.state, task.notice, rig.link.texts) == ("cancelled", "sent", ["PCC-1: Fight", "CANCELLED: PCC-1"])
        second = await rig.give()
        rig.status(5)
        rig.report("received", reference=3)
        rig.status(2)
        with pytest.raises(DeclinedError) as no:
            await dispatch.cancel(second.id, "control")
        assert no.value.code == 409
        with pytest.raises(DeclinedError) as no:
            await dispatch.cancel("TK-9", "control")
        assert no.value.code == 404


@pytest.mark.parametrize(("lost", "texts"), [(False, ["Go", "CANCELLED: Go"]), (True, [])])
async def test_cancelled_in_the_radio_s_hands(lost, texts) -> None:
    """If it went out all the same the officer is told; if it did not, nothing more goes out."""
    rig = Rig()
    rig.link.held = asyncio.Event()
    async with rig.running() as dispatch:
        task = await rig.give()
        await dispatch.cancel(task.id, "control")
        rig.link.outcomes = [LinkError("gone")] if lost else []
        rig.link.held.set()
        await rig.pass_s(5)
        task = await rig.now(task)
    assert (task.state, task.notice, rig.link.texts) == ("cancelled", None if lost else "sent", texts)


async def test_what_is_said_of_a_long_task_that_is_cancelled() -> None:
    """As much of it as fits; nothing where the force does not want it."""
    rig = Rig()
    async with rig.running() as dispatch:
        task = await rig.give("x" * 120)
        await dispatch.cancel(task.id, "control")
        assert (await rig.now(task)).notice == "sent"
        assert rig.link.texts[1] == "CANCELLED: " + "x" * 109
    rig.settings = DispatchSettings(cancel_mark=None)
    async with rig.running() as dispatch:
        task = await rig.give()
        await dispatch.cancel(task.id, "control")
        task = await rig.now(task)
    assert (task.state, task.notice, len(rig.link.texts)) == ("cancelled", None, 3)


async def test_a_notice_is_not_forgotten_over_a_restart() -> None:
    """Cancelled while no gateway terminal was there: told after the restart."""
    rig = Rig()
    async with rig.running() as dispatch:
        task = await rig.give()
        rig.link.ready = False
        await dispatch.cancel(task.id, "control")
    rig.link.ready = True
    async with rig.running():
        await rig.pass_s(1)
    assert rig.link.texts == ["Go", "CANCELLED: Go"]
    assert rig.ledger.task(task.id).notice == "sent"


# --- restarts and disks


async def test_sent_is_not_sent_twice() -> None:
    """A restart goes on waiting for the report of what was sent."""
    rig = Rig()
    async with rig.running():
        task = await rig.give()
    async with rig.running():
        await rig.pass_s(30)
        rig.report("received")
        assert (await rig.now(task)).state == "delivered"
    assert rig.heard == 1


async def test_queued_goes_on() -> None:
    """What had not gone out goes out, unmarked."""
    rig = Rig()
    rig.link.ready = False
    async with rig.running():
        task = await rig.give()
    rig.link.ready = True
    async with rig.running():
        task = await rig.now(task)
    assert (task.state, task.repeated, rig.link.texts) == ("sent", False, ["Go"])


async def test_in_the_radio_s_hands_at_a_crash() -> None:
    """It may have gone out: sent again, and marked as such."""
    rig = Rig()
    rig.link.held = asyncio.Event()
    async with rig.running():
        task = await rig.give()
        assert rig.ledger.task(task.id).handed
    rig.link.held = None
    async with rig.running() as dispatch:
        task = await rig.now(task)
        assert dispatch.counts["uncertain_after_restart"] == 1
    assert (task.state, task.repeated, rig.link.texts) == ("sent", True, ["(repeat) Go"])


async def test_a_full_disk() -> None:
    """Nothing is given that cannot be kept; nothing goes out unmarked; what was answered is written when it can be."""
    rig = Rig(QUICK, 1)
    async with rig.running() as dispatch:
        task = await rig.give()
        rig.ledger.refusing = True
        with pytest.raises(StoreBusyError):
            await rig.give(unit=OTHER)
        rig.status(5)
        assert (await rig.now(task)).state == "en_route"
        assert dispatch.health() == "degraded"
        rig.ledger.refusing = False
        assert [row.state for row in await dispatch.tasks(rig_wanted())] == ["en_route"]
        assert dispatch.health() == "ok"
    assert rig.ledger.task(task.id).state == "en_route"


def rig_wanted():
    """Every task."""
    from gateway.dispatch.ports import Wanted

    return Wanted()


async def test_handed_over_only_when_that_is_on_disk() -> None:
    """A disk that refuses the mark keeps the task off the air until it is there."""
    rig = Rig()
    rig.link.ready = False
    async with rig.running():
        task = await rig.give()
        rig.ledger.refusing, rig.link.ready = True, True
        await rig.pass_s(1)
        assert (rig.heard, (await rig.now(task)).sendings) == (0, 0)
        rig.ledger.refusing = False
        await rig.pass_s(5)
        assert ((await rig.now(task)).state, (await rig.now(task)).repeated) == ("sent", False)


async def test_a_caller_who_goes_away() -> None:
    """Written while nobody waits any more: taken up all the same, not found at the next start alone."""
    rig = Rig()
    add = rig.ledger.add

    def slowly(*asked):
        time.sleep(0.05)
        return add(*asked)

    rig.ledger.add = slowly
    async with rig.running() as dispatch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await dispatch.create(NewTask(UNIT, "Go"), "control")
        await asyncio.sleep(0.1)
        await rig.settled()
        assert rig.link.texts == ["Go"]


async def test_a_defect_ends_nothing(capsys) -> None:
    """Loud and counted; a second later the room goes on with what it had, marked where it may be out."""
    rig = Rig()
    keep = rig.ledger.keep
    rig.ledger.keep = lambda tasks: 1 / 0
    async with rig.running() as dispatch:
        task = await rig.give()
        rig.ledger.keep = keep
        assert dispatch.counts["defects"] == 1
        await asyncio.sleep(1.1)
        task = await rig.now(task)
    assert (task.state, task.repeated) == ("sent", True)
    assert "ZeroDivisionError" in "".join(capsys.readouterr())


async def test_references_come_round() -> None:
    """Eight bits: a report is of the newest message of its number."""
    rig = Rig()
    async with rig.running():
        old = await rig.give()
        rig.link.reference = 0
        new = await rig.give(override={"reason": "more"})
        assert (old.reference, new.reference) == (1, 1)
        rig.report("received", reference=1)
        assert [(await rig.now(task)).state for task in (old, new)] == ["sent", "delivered"]


# --- answers


async def test_statuses_that_answer_nothing() -> None:
    """Of another unit, of no code, before it was sent, of before it was made; done with what nobody has."""
    rig = Rig()
    rig.link.ready = False
    async with rig.running() as dispatch:
        task = await rig.give()
        rig.status(5)
        assert (await rig.now(task)).state == "queued"
        rig.link.ready = True
        await rig.pass_s(1)
        rig.status(5, OTHER)
        rig.status(None)
        rig.status(4)
        rig.status(2)
        dispatch.duty(UNIT, 5, "control", rig.clock.start.replace(hour=20))
        assert (await rig.now(task)).state == "sent"
        dispatch.duty(UNIT, 5, "control")
        task = await rig.now(task)
    assert (task.state, task.history[-1].actor) == ("en_route", "control")


async def test_codes_are_the_force_s_own() -> None:
    """Another table, another answer; one code for two answers is no table."""
    rig = Rig(DispatchSettings(accepted=(7,), refused=(8,), en_route=(15,)))
    async with rig.running():
        one, two = await rig.give(), await rig.give(unit=OTHER)
        rig.status(7)
        rig.status(8, OTHER)
        assert [(await rig.now(task)).state for task in (one, two)] == ["accepted", "refused"]
    with pytest.raises(ValueError, match="duty code 5 stands for two answers"):
        DispatchSettings(refused=(5,))


# --- location requests, intervals, acknowledgements


async def test_where_are_you() -> None:
    """A stale position is asked for once a minute; a fresh one is not."""
    rig = Rig()
    async with rig.running():
        await rig.give()
        rig.beats.old = True
        for _ in range(2):
            await rig.give(override={"reason": "more"})
        kinds = [message.kind for message in rig.link.heard]
        assert (kinds.count("location_request"), kinds.count("text")) == (1, 3)
        await rig.pass_s(61)
        await rig.give(override={"reason": "more"})
    assert [message.kind for message in rig.link.heard].count("location_request") == 2


def intervals(link: FakeDownlink) -> list[tuple[int, int | None]]:
    """Intervals asked for, by ISSI."""
    return [(message.issi, message.seconds) for message in link.heard if message.kind == "interval"]


async def test_intervals_while_an_emergency_lasts() -> None:
    """Raised once, put back when it is over; the person's own terminal where the alarm came from another device."""
    rig = Rig()
    async with rig.running() as dispatch:
        rig.beats.alarms = [Alarm("EM-1"), Alarm("EM-2", person="P-0015", issi=None)]
        dispatch.emergency()
        await rig.settled()
        assert sorted(intervals(rig.link)) == [(OWN, 10), (SECOND, 10)]
        assert all(message.urgent for message in rig.link.heard)
        rig.beats.alarms[0].state = "acknowledged"
        await rig.pass_s(1)
        rig.beats.alarms[0].state = "cleared"
        await rig.pass_s(1)
        assert intervals(rig.link)[2:] == [(OWN, None)]
        await rig.pass_s(1)
        assert rig.ledger.intervals == {SECOND: "EM-2"}


async def test_intervals_over_a_restart() -> None:
    """Not raised twice; put back after a restart for an emergency that nobody knows any more."""
    rig = Rig()
    rig.beats.alarms = [Alarm("EM-1")]
    async with rig.running():
        await rig.settled()
    async with rig.running():
        await rig.settled()
        assert intervals(rig.link) == [(OWN, 10)]
    rig.beats.alarms = []
    rig.link.outcomes = [LinkError("gone")]
    async with rig.running():
        await rig.pass_s(2)
        await rig.pass_s(2)
    assert (intervals(rig.link), rig.ledger.intervals) == ([(OWN, 10), (OWN, None)], {})


async def test_an_interval_that_cannot_be_put_back_is_tried_again() -> None:
    """Given up after some tries, and taken up again: a battery is at stake."""
    rig = Rig()
    rig.beats.alarms = [Alarm("EM-1")]
    async with rig.running() as dispatch:
        await rig.settled()
        rig.link.outcomes = [RefusedError(34, "no") for _ in range(6)]
        rig.beats.alarms[0].state = "cleared"
        for _ in range(40):
            await rig.pass_s(8)
        assert dispatch.counts["errands_given_up"] == 1
    assert (intervals(rig.link)[-1], rig.ledger.intervals) == ((OWN, None), {})


@pytest.mark.parametrize(("text", "texts"), [(None, []), ("Control has it", ["Control has it"])])
async def test_a_word_on_acknowledgement(text, texts) -> None:
    """Off unless the force wants it; once."""
    rig = Rig(DispatchSettings(ack_text=text, emergency_interval_s=0))
    async with rig.running():
        rig.beats.alarms = [Alarm("EM-1")]
        await rig.pass_s(1)
        rig.beats.alarms[0].state = "acknowledged"
        for _ in range(3):
            await rig.pass_s(1)
    assert [message.text for message in rig.link.heard] == texts
