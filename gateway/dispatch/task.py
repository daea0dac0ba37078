"""A task and its life: every step returns the task as it then stands, and no step leads back. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from gateway.domain.ids import Issi, UnitId

State = Literal[
    "queued",
    "sent",
    "delivered",
    "accepted",
    "en_route",
    "at_scene",
    "done",
    "refused",
    "failed",
    "cancelled",
]
Answer = Literal["accepted", "refused", "en_route", "at_scene", "done"]
CauseKind = Literal[
    "out_of_reach",
    "no_terminal",
    "no_gateway_terminal",
    "too_long",
    "radio_refused",
    "not_delivered",
    "no_answer",
    "fault",
]
ORDER: dict[State, int] = {
    "queued": 0,
    "sent": 1,
    "delivered": 2,
    "accepted": 3,
    "en_route": 4,
    "at_scene": 5,
    "done": 6,
    "refused": 6,
    "failed": 6,
    "cancelled": 6,
}
OVER = 6
STEPS_KEPT = 100
GATEWAY = "gateway"
"""The actor of what no person did."""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where to go: a name, a position (degrees, WGS 84), or both."""

    name: str | None = None
    lat: float | None = None
    lon: float | None = None

    def __str__(self) -> str:
        """As an officer reads it on a small screen."""
        where = f"{self.lat:.5f},{self.lon:.5f}" if self.lat is not None and self.lon is not None else ""
        return " ".join(part for part in (self.name, where) if part)


class Cause(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a task failed; code is the radio's or the network's own number."""

    kind: CauseKind
    detail: str
    code: int | None = None


class Step(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a task's history: what it became, by whom."""

    at: datetime
    state: State
    actor: str
    note: str | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task.

    pending: it waits to go out. handed: a gateway terminal has it, and has not said what became of it.
    sendings counts how often it may have gone to the air; repeated says that it went out again after that.
    notice is the word to the officer that the task is cancelled.
    """

    id: str
    unit: UnitId
    agency: str
    text: str
    words: str
    actor: str
    created_at: datetime
    reported_at: datetime | None = None
    incident: str | None = None
    incident_type: str | None = None
    place: Place | None = None
    seq: int | None = None
    override: str | None = None
    state: State = "queued"
    cause: Cause | None = None
    delivery: Literal["received", "consumed"] | None = None
    person: str | None = None
    issi: Issi | None = None
    via: str | None = None
    reference: int | None = None
    attempts: int = 0
    sendings: int = 0
    repeated: bool = False
    pending: bool = True
    handed: bool = False
    notice: Literal["due", "sent", "failed"] | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    accepted_at: datetime | None = None
    en_route_at: datetime | None = None
    at_scene_at: datetime | None = None
    ended_at: datetime | None = None
    history: tuple[Step, ...] = ()
    v: int = 1

    @property
    def over(self) -> bool:
        """Whether nothing more can become of it."""
        return ORDER[self.state] == OVER

    @property
    def out(self) -> bool:
        """Whether the officer may have seen it."""
        return self.sendings > 0


def stepped(task: Task, at: datetime, actor: str, note: str | None = None, **changes: object) -> Task:
    """The task with changes and a line of history."""
    changed = msgspec.structs.replace(task, **changes)
    history = (*changed.history, Step(at, changed.state, actor, note))
    if len(history) > STEPS_KEPT:
        history = (history[0], *history[-(STEPS_KEPT - 1) :])
    return msgspec.structs.replace(changed, history=history)


def moved(task: Task, state: State, at: datetime, actor: str, note: str | None = None) -> Task:
    """Forward to a state; as it was where that would lead back."""
    if task.over or ORDER[state] <= ORDER[task.state]:
        return task
    changes: dict[str, object] = {"state": state, "pending": False}
    stamp = "ended_at" if ORDER[state] == OVER else f"{state}_at"
    if getattr(task, stamp) is None:
        changes[stamp] = at
    return stepped(task, at, actor, note, **changes)


def handed(task: Task, at: datetime, issi: Issi, person: str | None) -> Task:
    """About to be given to a gateway terminal: from here on it may be on the air."""
    return stepped(
        task,
        at,
        GATEWAY,
        f"to {issi}",
        handed=True,
        attempts=task.attempts + 1,
        sendings=task.sendings + 1,
        repeated=task.sendings > 0,
        issi=issi,
        person=person,
    )


def not_sent(task: Task, at: datetime, why: str, *, tried: bool) -> Task:
    """It did not go out: the link was gone, or (tried) the radio refused it."""
    left = task.sendings - 1
    return stepped(
        task,
        at,
        GATEWAY,
        why,
        handed=False,
        sendings=left,
        attempts=task.attempts if tried else task.attempts - 1,
        repeated=task.repeated and left > 0,
        notice=None if left == 0 else task.notice,
    )


def taken(task: Task, at: datetime, via: str, reference: int | None) -> Task:
    """The radio has sent it."""
    there = msgspec.structs.replace(task, handed=False, pending=False, via=via, reference=reference)
    if task.over or ORDER[task.state] >= ORDER["sent"]:
        return stepped(there, at, via, "sent again" if task.repeated else "sent", sent_at=task.sent_at or at)
    return moved(there, "sent", at, via)


def uncertain(task: Task, at: datetime) -> Task:
    """Found after a restart in a gateway terminal's hands: it may have gone out, so the next is marked a repeat."""
    return stepped(task, at, GATEWAY, "restarted while it was being sent", handed=False)


def confirmed(task: Task, at: datetime, how: Literal["received", "consumed"], actor: str) -> Task:
    """The officer's terminal has it, or shows it."""
    if task.over or task.delivery in ("consumed", how):
        return task
    there = msgspec.structs.replace(task, delivery=how, pending=False, delivered_at=task.delivered_at or at)
    if ORDER[task.state] >= ORDER["delivered"]:
        return stepped(there, at, actor, how)
    return moved(there, "delivered", at, actor, how)


def again(task: Task, at: datetime, why: str) -> Task:
    """The network could not deliver it for now: it waits to go out once more."""
    if task.over or ORDER[task.state] > ORDER["sent"]:
        return task
    return stepped(task, at, GATEWAY, why, pending=True, handed=False, reference=None)


def answered(task: Task, answer: Answer, at: datetime, actor: str) -> Task:
    """The officer's own word. Nobody is done with a task that nobody is known to have."""
    if not task.out or (answer == "done" and ORDER[task.state] < ORDER["delivered"]):
        return task
    return moved(task, answer, at, actor)


def failed(task: Task, at: datetime, cause: Cause) -> Task:
    """It will not go out, or did not arrive; never said of one that the officer answered."""
    if ORDER[task.state] > ORDER["sent"]:
        return task
    return moved(msgspec.structs.replace(task, cause=cause, handed=False), "failed", at, GATEWAY, cause.detail)


def cancelled(task: Task, at: datetime, actor: str, reason: str | None) -> Task:
    """The control room takes it back; an officer who may have it is told."""
    if task.over:
        return task
    return moved(msgspec.structs.replace(task, notice="due" if task.out else None), "cancelled", at, actor, reason)
