"""The closed union of events that a driver may emit."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from gateway.domain.ids import DeviceId, Issi
from gateway.domain.position import Fix, PositionSource
from gateway.domain.time import Stamp

Trigger = Literal["tetra_status", "lip_reason", "tetra_call", "camera_panic", "beacon_sos", "manual"]


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Who is speaking: a device id (MQTT topic level) or an ISSI (radio), heard on link `via`."""

    via: str
    device: DeviceId | None = None
    issi: Issi | None = None


class PositionReport(msgspec.Struct, frozen=True, gc=False):
    """A position, or the word that there is none (fix None, e.g. a LIP report without a fix).

    reason is the sender's own word for why it reported (LIP reason code as text), late says that
    the fix is too old to move the live position (LIP time-elapsed class 2 or 3).
    """

    origin: Origin
    stamp: Stamp
    fix: Fix | None
    source: PositionSource
    reason: str | None = None
    battery_pct: int | None = None
    late: bool = False


class StatusReport(msgspec.Struct, frozen=True):
    """A pre-coded status: its 16-bit value, and the duty code 0..16 the dialect maps it to."""

    origin: Origin
    stamp: Stamp
    value: int
    code: int | None


class ReadReceipt(msgspec.Struct, frozen=True):
    """The sender asks to be told when its message has been dealt with: by whom it was heard, and its reference."""

    via: str
    issi: Issi
    protocol: int
    reference: int


class TextReport(msgspec.Struct, frozen=True):
    """A text from an officer's terminal; receipt: where its sender wants to know that it was dealt with."""

    origin: Origin
    stamp: Stamp
    text: str
    receipt: ReadReceipt | None = None


class EmergencyReport(msgspec.Struct, frozen=True):
    """Somebody pressed the button. Never gated, filtered or delayed by anything."""

    origin: Origin
    stamp: Stamp
    trigger: Trigger
    fix: Fix | None = None


class CameraReport(msgspec.Struct, frozen=True):
    """A camera's own telemetry: `status`, `recording_started`, `recording_stopped`; body as sent."""

    origin: Origin
    stamp: Stamp
    kind: str
    body: dict[str, Any]


Delivery = Literal["sent", "received", "consumed", "failed"]
Reach = Literal["ok", "dmo", "no_service", "off", "low_battery", "unknown"]


class DeliveryReport(msgspec.Struct, frozen=True):
    """What became of a message we sent: SDS-TL report or short report (TS 100 392-2 clause 29.4.2).

    reference is the 8-bit message reference it answers, status the delivery status as sent,
    temporary whether another try may help (status 0x20..0x3F).
    """

    origin: Origin
    stamp: Stamp
    reference: int
    delivery: Delivery
    status: int
    temporary: bool = False


class ReachReport(msgspec.Struct, frozen=True):
    """Whether a terminal can be reached, as it said itself (LIP reasons 0, 1, 8, 9, 10, 12)."""

    origin: Origin
    stamp: Stamp
    reach: Reach


Event = PositionReport | StatusReport | TextReport | EmergencyReport | CameraReport | DeliveryReport | ReachReport


class Frame(msgspec.Struct, frozen=True):
    """Raw bytes exactly as a link delivered them, with where they came from.

    channel is the MQTT topic, or the PEI line kind; device is known where the topic carries it.
    """

    via: str
    stamp: Stamp
    payload: bytes
    channel: str = ""
    device: DeviceId | None = None
    issi: Issi | None = None
