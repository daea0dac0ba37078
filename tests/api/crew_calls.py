"""One call of each operation on crews and plans, for the test that holds answers against what is promised."""

from __future__ import annotations

from typing import Any


def crew_calls() -> list[tuple[str, str, str, Any]]:
    """Somebody leaves their unit and is back; a shift is planned."""
    member, theirs = "/v1/units/{unit}/members/{person}", "/v1/units/CAMBS.PC-1187/members"
    shift = {"holder": "PCC.CSO-015", "from": "2026-11-21T20:00:00Z", "to": "2099-11-22T06:00:00Z"}
    return [
        ("delete", member, f"{theirs}/P-1187?reason=lunch", None),
        ("put", member, f"{theirs}/P-1187", {"reason": "back"}),
        ("get", "/v1/units/{unit}/members", theirs, None),
        ("put", "/v1/roster/shifts", "/v1/roster/shifts", shift),
        ("get", "/v1/roster/shifts", "/v1/roster/shifts", None),
    ]
