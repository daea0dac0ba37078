"""Every step of a task, in any order: forward only, and on record."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch import task as steps
from gateway.dispatch.asked import NewTask, words
from gateway.dispatch.task import ORDER, STEPS_KEPT, Cause, Place, Task
from gateway.domain.ids import Issi, UnitId

NOON = datetime.fromisoformat("2026-11-21T12:00:00+00:00")
STEPS = {
    "handed": lambda task, at: steps.handed(task, at, Issi(7), None) if task.pending and not task.handed else task,
    "not_sent": lambda task, at: steps.not_sent(task, at, "gone", tried=False) if task.handed else task,
    "taken": lambda task, at: steps.taken(task, at, "radio-1", 1) if task.handed else task,
    "uncertain": lambda task, at: steps.uncertain(task, at) if task.handed else task,
    "received": lambda task, at: steps.confirmed(task, at, "received", "issi 7") if task.out else task,
    "consumed": lambda task, at: steps.confirmed(task, at, "consumed", "issi 7") if task.out else task,
    "again": lambda task, at: steps.again(task, at, "0x21") if task.out and not task.handed else task,
    "failed": lambda task, at: steps.failed(task, at, Cause("not_delivered", "0x4A")),
    "cancelled": lambda task, at: steps.cancelled(task, at, "control", None),
    **{
        answer: lambda task, at, answer=answer: steps.answered(task, answer, at, "P-1")
        for answer in ("accepted", "refused", "en_route", "at_scene", "done")
    },
}


def new() -> Task:
    """A task as it is made."""
    return Task(id="T", unit=UnitId("PCC.A"), agency="PCC", text="Go", words="Go", actor="control", created_at=NOON)


@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=40))
def test_any_order_of_steps(names: list[str]) -> None:
    """Never back; what is over stays as it is; a state reached has its moment; history only grows."""
    task = new()
    for minute, name in enumerate(names):
        at = NOON + timedelta(minutes=minute)
        after = STEPS[name](task, at)
        assert ORDER[after.state] >= ORDER[task.state]
        assert not task.over or after.state == task.state
        assert after.sendings >= 0
        assert after.attempts >= 0
        assert len(after.history) >= len(task.history)
        if after.state != task.state:
            stamp = "ended_at" if after.over else f"{after.state}_at"
            assert getattr(after, stamp) == at
            assert (after.history[-1].state, after.history[-1].at, after.pending) == (after.state, at, False)
        assert not (after.over and after.pending)
        task = after


def test_history_is_bounded() -> None:
    """The first line, who made it, stays."""
    task = steps.stepped(new(), NOON, "control")
    for minute in range(3 * STEPS_KEPT):
        task = steps.stepped(task, NOON + timedelta(minutes=minute), "gateway", str(minute))
    assert len(task.history) == STEPS_KEPT
    assert (task.history[0].actor, task.history[-1].note) == ("control", str(3 * STEPS_KEPT - 1))


def test_what_the_officer_reads() -> None:
    """Incident, text, place: what there is of them."""
    place = Place("Quay", 52.5, -0.25)
    assert words(NewTask("U", " Go ")) == "Go"
    assert words(NewTask("U", "Go", "PCC-1")) == "PCC-1: Go"
    assert words(NewTask("U", "Go", " ", place=Place())) == "Go"
    assert words(NewTask("U", "Go", "PCC-1", place=place)) == "PCC-1: Go @ Quay 52.50000,-0.25000"
    assert words(NewTask("U", "Go", place=Place(lat=1.0, lon=2.0))) == "Go @ 1.00000,2.00000"
