"""Records of the feed to make events of."""

from __future__ import annotations

import json

from gateway.outlets.cot import Look

LOOK = Look("a-f-G-U-C", {"PC": "a-f-G-U-U-L-C"}, "Cyan", exercise=False, version="1")


def feature(unit: str = "PCC.CSO-014", **more) -> dict:
    """A unit's feature; anything of its properties as wanted."""
    place = more.pop("place", (-0.240317, 52.573921))
    properties = {
        "seq": 1000123,
        "callsign": "CSO14",
        "issi": 2341014,
        "agency": "PCC",
        "role": "CSO",
        "powers": ["pcn"],
        "duty": {"code": 2, "state": "available", "deployable": True},
        "source": "mqtt",
        "fix_time": "2026-11-21T21:00:28.885Z",
        "stale_at": "2026-11-21T21:01:28Z",
        "accuracy_m": 8.0,
        "heading_deg": 87.5,
        "speed_mps": 1.4,
        "battery_pct": 71,
        **more,
    }
    geometry = None if place is None else {"type": "Point", "coordinates": place}
    return {"type": "Feature", "id": unit, "geometry": geometry, "properties": properties}


def pressed(number: str = "EM-1", unit: str | None = "PCC.CSO-014", state: str = "active", **more) -> dict:
    """An emergency's record."""
    return {"v": 1, "seq": 1, "id": number, "state": state, "unit": unit, "position": None, **more}


def raw(record: object) -> bytes:
    """As it comes on the stream."""
    return json.dumps(record).encode()
