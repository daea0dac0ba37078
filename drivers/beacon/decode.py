"""`lapel decode beacon`: one payload a line in, one dictionary an event out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from drivers.beacon import wire
from gateway.domain.events import EmergencyReport, Event, PositionReport
from gateway.domain.time import Instant, rfc3339

TOPIC = "lapel/v1/beacon/unnamed/position"
_UNTIMED = Instant(0.0, datetime(1970, 1, 1, tzinfo=UTC))


def beacon(lines: Iterable[bytes], *, topic: str | None = None) -> Iterator[dict[str, Any]]:
    """Decode payloads line by line; a bad line gives {"error": …} and the run goes on."""
    topics = wire.Topics()
    for line in lines:
        payload = line.strip()
        if not payload:
            continue
        reading = wire.read(topics, topic or TOPIC, payload, _UNTIMED)
        for event in reading.events:
            yield _shown(event, named=topic is not None)
        for problem in reading.problems:
            yield {"error": str(problem)}


def _shown(event: Event, *, named: bool) -> dict[str, Any]:
    """Print an event with the names of the domain."""
    time = event.stamp.device_time
    shown: dict[str, Any] = {
        "event": "emergency" if isinstance(event, EmergencyReport) else "position",
        "device": event.origin.device if named else None,
        "time": None if time is None else rfc3339(time),
    }
    if isinstance(event, (EmergencyReport, PositionReport)) and event.fix is not None:
        fix = event.fix
        shown |= {name: getattr(fix, name) for name in fix.__struct_fields__}
    if isinstance(event, EmergencyReport):
        shown["trigger"] = event.trigger
    elif isinstance(event, PositionReport):
        shown |= {"battery_pct": event.battery_pct, "reason": event.reason}
    return shown
