"""Past fixes to test with."""

from __future__ import annotations

from typing import Any

from gateway.feed.past import PastFix

NOON_MS = 1_795_262_400_000
"""2026-11-21T12:00:00Z."""


def fix(at_s: float = 0.0, lat: float = 52.57, lon: float = -0.24, **more: Any) -> PastFix:
    """One fix, so many seconds after noon; it arrives half a second later."""
    at_ms = NOON_MS + round(at_s * 1000)
    said: dict[str, Any] = {"unit": "PCC.CSO-014", "device": "bcn-14", "person": "P-0014"}
    said |= {"fix_ms": at_ms, "told_ms": at_ms, "arrived_ms": at_ms + 500, "latitude": lat, "longitude": lon}
    said |= {"accuracy_m": 8.0, "altitude_m": None, "speed_mps": 1.4, "heading_deg": 87.5, "source": "mqtt"}
    said |= {"time_quality": "gnss", "mark": "live"}
    return PastFix(**said | more)
