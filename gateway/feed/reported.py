"""What a position report says of itself: whether it is a place at all, and of which device."""

from __future__ import annotations

from gateway.domain.events import PositionReport
from gateway.domain.position import Fix
from gateway.ports import Resolved


def usable(fix: Fix | None) -> bool:
    """Whether a fix lies on the globe (NaN does not)."""
    return fix is not None and -90 <= fix.latitude <= 90 and -180 <= fix.longitude <= 180


def device_of(report: PositionReport, who: Resolved) -> str:
    """The name under which this device's positions are kept: its id, else its ISSI, else its link."""
    origin = report.origin
    return who.device or origin.device or (f"issi-{origin.issi}" if origin.issi is not None else origin.via)
