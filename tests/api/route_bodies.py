"""Good requests of the feed's routes that take a body."""

from __future__ import annotations

from typing import Any

from gateway.api.routing import Route


def bodies(route: Route) -> list[dict[str, Any] | None]:
    """Good requests of a route that takes a body; nothing in them names anybody hidden."""
    return (
        {
            "/v1/emergencies": [{"unit": "PCC.CSO-015"}],
            "/v1/emergencies/{id}/ack": [{"by": "Inspector 3"}],
            "/v1/emergencies/{id}/clear": [{"by": "Inspector 3", "outcome": "test"}],
            "/v1/messages/{id}/dealt": [{"by": "Sergeant 7"}],
            "/v1/units/{unit}/duty": [{"code": 3}],
            "/v1/units/{unit}/mask": [{"masked": False, "by": "Inspector 3", "reason": "over"}],
            "/v1/tasks": [{"unit": "PCC.CSO-015", "text": "Go", "override": {"reason": "nearer"}}],
            "/v1/tasks/{id}/cancel": [{"reason": "false call"}],
            "/v1/bookings": [{"device": "bcn-15", "holder": "PCC.CSO-015"}],
            "/v1/bookings/{booking}": [{"reason": "misread"}],
            "/v1/bookings/{booking}/end": [{}],
        }.get(route.path, [{}])
        if route.takes_body
        else [None]
    )
