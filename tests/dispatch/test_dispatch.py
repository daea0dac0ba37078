"""A task's life: queued, sent, delivered, answered; refused, lost, cancelled, restarted."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dispatch.asked import DeclinedError, NewTask
from gateway.dispatch.settings import DispatchSettings
from gateway.dispatch.task import Cause
from gateway.domain.events import Origin, ReachReport
from gateway.domain.time import Stamp
from gateway.errors import LinkError, RefusedError, StoreBusyError
from gateway.ports import Resolved
from tests.dispatch.rig import OTHER, OWN, POOL, SECOND, UNIT, Rig, booked, roster


async def test_the_whole_life() -> None:
    """Sent, received, consumed, accepted, en route, at scene, done: each with its moment and who said so."""
    rig = Rig()
    async with rig.running():
        place = {"name": "Cathedral Square", "lat": 52.5725, "lon": -0.2431}
        task = await rig.give("Fight outside", incident="PCC-2231", place=place)
        assert (task.state, task.via, task.reference, task.issi) == ("sent", "radio-1", 1, OWN)
        assert rig.link.texts == ["PCC-2231: Fight outside @ Cathedral Square 52.57250,-0.24310"]
        for act in (
            lambda: rig.report("received"),
            lambda: rig.report("consumed"),
            *(lambda code=code: rig.status(code) for code in (15, 5, 6, 2)),
        ):
            await rig.pass_s(10)
            act()
        task = await rig.now(task)
    assert [(step.state, step.actor) for step in task.history] == [
        ("queued", "control"),
        ("queued", "gateway"),
        ("sent", "radio-1"),
        ("delivered", f"issi {OWN}"),
        ("delivered", f"issi {OWN}"),
        ("accepted", "P-0014"),
        ("en_route", "P-0014"),
        ("at_scene", "P-0014"),
        ("done", "P-0014"),
    ]
    assert task.delivery == "consumed"
    moments = [task.sent_at, task.delivered_at, task.accepted_at, task.en_route_at, task.at_scene_at, task.ended_at]
    began = rig.clock.start.timestamp()
    assert [moment.timestamp() - began for moment in moments] == [0, 10, 30, 40, 50, 60]
    assert rig.ledger.task(task.id) == task


async def test_who_wears_it() -> None:
    """A booked terminal before the officer's own; another's terminal never; nobody's: failed at once."""
    rig = Rig()
    rig.roster = roster(booked(1, "trm-pool", "P-0014"))
    async with rig.running():
        assert (await rig.give()).issi == POOL
        assert (await rig.give(unit=OTHER)).issi == SECOND
        failed = await rig.give(unit="PCC.EMPTY")
    assert (failed.state, failed.cause) == ("failed", Cause("no_terminal", "nobody of the unit has a terminal"))
    assert rig.heard == 2


@pytest.mark.parametrize("reach", ["off", "no_service", "dmo"])
async def test_out_of_reach(reach) -> None:
    """It fails at once with it, and nothing goes out."""
    rig = Rig()
    rig.beats.reaches[UNIT] = reach
    async with rig.running() as dispatch:
        task, _ = await dispatch.create(NewTask(UNIT, "Go"), "control")
        assert (task.state, task.cause) == ("failed", Cause("out_of_reach", reach))
        assert await dispatch.task(task.id) == task
        assert rig.heard == 0
        rig.beats.reaches[UNIT] = "low_battery"
        assert (await rig.give()).state == "sent"


async def test_out_of_reach_while_it_waits() -> None:
    """A radio that goes off while the task waits for a gateway terminal."""
    rig = Rig()
    rig.link.ready = False
    async with rig.running() as dispatch:
        task = await rig.give()
        assert task.state == "queued"
        rig.beats.reaches[UNIT] = "off"
        dispatch.reach(ReachReport(Origin("radio-1", None, OWN), Stamp(rig.clock.now()), "off"), Resolved())
        await rig.pass_s(1)
        assert (await rig.now(task)).cause == Cause("out_of_reach", "off")


async def test_temporary_refusals_are_tried_again_and_bounded() -> None:
    """Further and further apart, four times in all; then it has failed with the radio's code."""
    rig = Rig()
    rig.link.outcomes = [RefusedError(42, "AT+CMGS") for _ in range(9)]
    async with rig.running():
        task = await rig.give()
        assert (task.state, task.attempts) == ("queued", 1)
        await rig.pass_s(0.5)
        assert (await rig.now(task)).attempts == 1
        for pause_s in (1, 2, 4):
            await rig.pass_s(pause_s)
        task = await rig.now(task)
        assert (task.state, task.attempts, task.cause.code, task.out) == ("failed", 4, 42, False)
        await rig.pass_s(30)
    assert len(rig.link.outcomes) == 5


async def test_a_refusal_for_good_is_not_tried_again() -> None:
    """CME 34: the same parameter will be out of range tomorrow."""
    rig = Rig()
    rig.link.outcomes = [RefusedError(34, "AT+CMGS")]
    async with rig.running():
        task = await rig.give()
        assert (task.state, task.cause.kind, task.cause.code) == ("failed", "radio_refused", 34)
        await rig.pass_s(30)
    assert rig.heard == 0


async def test_a_delivery_that_failed_for_now() -> None:
    """Status 0x21: sent again, marked on record and to the officer; the next report is of the second."""
    rig = Rig()
    async with rig.running():
        task = await rig.give()
        rig.report("failed", status=0x21, temporary=True)
        await rig.pass_s(2)
        task = await rig.now(task)
        assert (task.state, task.repeated, task.reference, rig.link.texts) == ("sent", True, 2, ["Go", "(repeat) Go"])
        rig.report("failed", reference=1, status=0x4A)
        assert (await rig.now(task)).state == "sent"
        rig.report("received", reference=2)
        assert (await rig.now(task)).state == "delivered"


async def test_a_delivery_that_failed() -> None:
    """0x4B, not registered: failed with the network's own number; a later status changes nothing."""
    rig = Rig()
    async with rig.running():
        task = await rig.give()
        rig.report("failed", status=0x4B)
        task = await rig.now(task)
        assert (task.state, task.cause.kind, task.cause.code) == ("failed", "not_delivered", 0x4B)
        rig.status(5)
        assert (await rig.now(task)).state == "failed"


async def test_an_answer_is_stronger_than_a_failed_delivery() -> None:
    """An officer en route has read it, whatever the network says."""
    rig = Rig()
    async with rig.running():
        task = await rig.give()
        rig.status(5)
        rig.report("failed", status=0x4A)
        assert (await rig.now(task)).state == "en_route"


async def test_a_report_that_outruns_the_radio() -> None:
    """The officer's terminal reports before our radio has said OK."""
    rig = Rig()
    rig.link.held = asyncio.Event()
    async with rig.running() as dispatch:
        task = await rig.give()
        rig.report("received", reference=1)
        rig.link.held.set()
        assert (await rig.now(task)).state == "delivered"
        rig.report("received", reference=77)
        assert dispatch.counts["reports_unmatched"] == 1


async def test_reports_of_another_gateway_terminal() -> None:
    """References are each gateway terminal's own."""
    rig = Rig(links=2)
    async with rig.running():
        task = await rig.give()
        rig.report("received", via="radio-2")
        assert (await rig.now(task)).state == "sent"
        rig.report("received", via="radio-1")
        assert (await rig.now(task)).state == "delivered"


async def test_the_load_is_shared_and_taken_over() -> None:
    """Fewest waiting first; what one could not send goes by another, once."""
    rig = Rig(links=3)
    one, two, three = rig.links.values()
    one.held, one.in_hand = asyncio.Event(), 0
    two.in_hand, three.ready = 5, False
    async with rig.running() as dispatch:
        task = await rig.give()
        assert (one.in_hand, two.heard) == (1, [])
        one.ready = False
        one.held.set()
        task = await rig.now(task)
        assert (task.state, task.via, task.attempts, task.repeated) == ("sent", "radio-2", 1, False)
        assert dispatch.stats()["takeovers"] == 1
    assert (one.heard, one.lost, len(two.heard), three.heard) == ([], 1, 1, [])


async def test_no_gateway_terminal() -> None:
    """It waits, goes out when one is back, and fails when none is for too long."""
    rig = Rig()
    rig.link.ready = False
    async with rig.running():
        first = await rig.give()
        await rig.pass_s(30)
        assert (await rig.now(first)).state == "queued"
        rig.link.ready = True
        await rig.pass_s(1)
        assert (await rig.now(first)).state == "sent"
        rig.link.ready = False
        second = await rig.give(unit=OTHER)
        await rig.pass_s(61)
        second = await rig.now(second)
    assert (second.state, second.cause.kind) == ("failed", "no_gateway_terminal")
    assert rig.heard == 1


async def test_a_link_lost_again_and_again_ends() -> None:
    """Ready, and gone at each try: bounded by patience, with back-off."""
    rig = Rig()
    rig.link.outcomes = [LinkError("gone") for _ in range(1000)]
    async with rig.running():
        task = await rig.give()
        for _ in range(70):
            await rig.pass_s(1)
        assert (await rig.now(task)).state == "failed"
    assert 980 < len(rig.link.outcomes) < 998


async def test_a_driver_with_a_defect_costs_its_task_alone() -> None:
    """Failed, said why; the next goes out."""
    rig = Rig()
    rig.link.outcomes = [ZeroDivisionError()]
    async with rig.running():
        assert (await rig.give()).cause.kind == "fault"
        assert (await rig.give()).state == "sent"


# --- what may not be asked


async def test_committed_units() -> None:
    """409 that names the task; an override with its reason goes out, and answers are of the newer."""
    rig = Rig()
    async with rig.running():
        first = await rig.give()
        with pytest.raises(DeclinedError, match=first.id) as no:
            await rig.give("Another")
        assert (no.value.code, no.value.more) == (409, {"task": first.id, "state": "sent"})
        with pytest.raises(DeclinedError, match="say why"):
            await rig.give("Another", override={"reason": " "})
        second = await rig.give("Another", override={"reason": "life at risk"})
        assert (second.override, second.history[0].note) == ("life at risk", "override: life at risk")
        rig.status(5)
        assert ((await rig.now(first)).state, (await rig.now(second)).state) == ("sent", "en_route")
        rig.status(2)
        rig.status(5)
        assert ((await rig.now(first)).state, (await rig.now(second)).state) == ("en_route", "done")


async def test_the_same_key_is_the_same_task() -> None:
    """Also after it is over, and after a restart; another request by that key is refused, another account's is not."""
    rig = Rig()
    async with rig.running() as dispatch:
        first = await rig.give(key="k1")
        assert (await rig.give(key="k1")).id == first.id
        rig.report("failed", status=0x40)
        await rig.settled()
        assert (await rig.give(key="k1")).state == "failed"
        with pytest.raises(DeclinedError) as no:
            await rig.give("Other words", key="k1")
        assert no.value.code == 422
    async with rig.running() as dispatch:
        assert (await rig.give(key="k1")).id == first.id
    assert rig.heard == 1
    assert dispatch.stats()["open"] == 0


async def test_two_at_once_by_one_key() -> None:
    """A client that retries before the first answer has come."""
    rig = Rig()
    async with rig.running():
        made = await asyncio.gather(*(rig.give(key="k") for _ in range(8)))
    assert len({task.id for task in made}) == rig.heard == 1


async def test_too_long() -> None:
    """422 with how much of it would fit, by the tightest gateway terminal; just as much goes out."""
    rig = Rig(links=2)
    rig.links["radio-2"].limit = 50
    async with rig.running():
        with pytest.raises(DeclinedError) as no:
            await rig.give("£" * 40, incident="I-1")
        assert (no.value.code, no.value.more) == (422, {"limit": 22, "over_octets": 35})
        assert (await rig.give("£" * 22, incident="I-1")).state == "sent"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"unit": "PCC.NOBODY"}, 404),
        ({"text": "  "}, 422),
        ({"text": "x" * 2001}, 422),
        ({"incident": "x" * 201}, 422),
        ({"place": {"lat": 52.0}}, 422),
        ({"place": {"lat": 91.0, "lon": 0.0}}, 422),
        ({"place": {"name": "x" * 201}}, 422),
        ({"reported_at": "2026-11-21T21:30:00Z"}, 422),
        ({"reported_at": "2026-11-21T20:30:00"}, 422),
    ],
)
async def test_bad_requests(asked, code) -> None:
    """Declined with a status, and nothing is kept."""
    rig = Rig()
    async with rig.running():
        with pytest.raises(DeclinedError) as no:
            await rig.give(**asked)
    assert (no.value.code, rig.ledger.rows, rig.heard) == (code, {}, 0)


async def test_a_full_book() -> None:
    """Bounded: the next is told to come later."""
    rig = Rig(DispatchSettings(open_max=1))
    async with rig.running():
        await rig.give()
        with pytest.raises(StoreBusyError):
            await rig.give(unit=OTHER)


# --- taken back
