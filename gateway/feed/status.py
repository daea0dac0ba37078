"""The gateway's status as consumers on a broker have it. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from gateway.domain.time import rfc3339


class InputNote(msgspec.Struct, frozen=True):
    """One input: its state, and when it last heard something."""

    state: str
    last: str | None


class ClockNote(msgspec.Struct, frozen=True):
    """The host's clock: whether something keeps it, and how far it is off; None where the host does not say."""

    synchronised: bool | None
    offset_ms: float | None


class Condition(msgspec.Struct, frozen=True):
    """How inputs, parts and clock are."""

    inputs: dict[str, InputNote]
    parts: dict[str, str]
    clock: ClockNote

    def same(self, other: Condition | None) -> bool:
        """Whether the other says the same, but for times."""
        if other is None or self.parts != other.parts or self.clock.synchronised != other.clock.synchronised:
            return False
        return {name: one.state for name, one in self.inputs.items()} == {
            name: one.state for name, one in other.inputs.items()
        }


class _Online(msgspec.Struct, frozen=True):
    v: int
    instance: str
    epoch: str
    seq: int
    at: str
    state: Literal["online"]
    inputs: dict[str, InputNote]
    parts: dict[str, str]
    clock: ClockNote


def online(instance: str, epoch: str, seq: int, at: datetime, condition: Condition) -> bytes:
    """The status of a gateway that runs."""
    told = (condition.inputs, condition.parts, condition.clock)
    return msgspec.json.encode(_Online(1, instance, epoch, seq, rfc3339(at), "online", *told))


def offline(instance: str, epoch: str) -> bytes:
    """What the broker says for a gateway that is gone, and the gateway itself when it goes."""
    return msgspec.json.encode({"v": 1, "instance": instance, "epoch": epoch, "state": "offline"})


class _Holder(msgspec.Struct):
    instance: str
    state: str


def holder(status: bytes) -> tuple[str, bool] | None:
    """Whose status this is, and whether that instance runs; None where it says neither."""
    try:
        said = msgspec.json.decode(status, type=_Holder)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return said.instance, said.state == "online"
