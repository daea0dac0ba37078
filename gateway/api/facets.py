"""Facets of a list of exhibits as the catalogue takes them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from gateway.evidence.work.holds import incident_ref


def narrowed(facets: dict[str, Any], today: date) -> dict[str, Any]:
    """Facets of a list as the catalogue takes them; what is due or to be reviewed is not what is gone."""
    asked = {name: part for name, part in facets.items() if name != "review_due"}
    if asked.get("incident") is not None:
        asked["incident"] = incident_ref(asked["incident"])
    if facets.get("review_due"):
        asked["review_before"] = (today + timedelta(days=1)).isoformat()
    dated = asked.get("due_before") is not None or facets.get("review_due")
    return asked | ({"present": True} if dated else {})
