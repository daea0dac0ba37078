"""A good call of every operation that the OpenAPI document names, but for the endless ones."""

from __future__ import annotations

from typing import Any

from tests.api.crew_calls import crew_calls
from tests.api.work_calls import work_calls

ORDER = {"purpose": "trial", "recipient": "CPS", "legal_gateway": "CPIA"}
STILL = {"recipe": "still", "at_s": 1.5, "purpose": "p"}
HALF = {"device": "cam-0042", "recording": "half", "reason": "crushed"}


def calls(known: dict[str, Any]) -> list[tuple[str, str, str, Any]]:
    """(operation's method, its path, the path to ask, the body) for every route but the endless one."""
    exhibit, emergency = known["exhibit"], known["emergency"]
    plain = (
        *("/live", "/ready", "/ready/feed", "/ready/evidence", "/metrics", "/v1/drivers", "/v1/session", "/"),
        *("/v1/units", "/v1/messages", "/v1/emergencies", "/v1/roster/people", "/v1/roster/units", "/v1/devices"),
        *(
            "/v1/bookings",
            "/v1/copies",
            "/v1/zones",
            "/v1/exhibits",
            "/v1/log/checkpoint",
            "/v1/log/vkey",
            "/openapi.json",
        ),
        "/v1/log/rotations",
        "/asyncapi.yaml",
    )
    return [
        *(("get", path, path, None) for path in plain),
        ("get", "/v1/units/nearest", "/v1/units/nearest?lat=52.57&lon=-0.24&power=pcn", None),
        ("get", "/v1/audit/nearest", "/v1/audit/nearest?purpose=p", None),
        ("get", "/v1/units", "/v1/units?after=OTHER-5", None),
        ("get", "/v1/units/{unit}", "/v1/units/PCC.CSO-014", None),
        ("get", "/v1/zones/{zone}", "/v1/zones/a", None),
        ("get", "/v1/units/{unit}/track", "/v1/units/PCC.CSO-014/track?simplify_m=5", None),
        ("get", "/v1/exhibits/{exhibit}", f"/v1/exhibits/{exhibit}", None),
        ("get", "/v1/exhibits/{exhibit}/custody", f"/v1/exhibits/{exhibit}/custody", None),
        ("get", "/v1/exhibits/{exhibit}/proof", f"/v1/exhibits/{exhibit}/proof", None),
        ("get", "/v1/exhibits/{exhibit}/integrity", f"/v1/exhibits/{exhibit}/integrity", None),
        ("get", "/v1/evidence/reconciliation", "/v1/evidence/reconciliation", None),
        ("get", "/v1/exhibits/{exhibit}/thumbnail", f"/v1/exhibits/{exhibit}/thumbnail", None),
        ("get", "/v1/exhibits/{exhibit}/content", f"/v1/exhibits/{exhibit}/content", None),
        ("get", "/v1/exhibits/{exhibit}/track", f"/v1/exhibits/{known['tracked']}/track", None),
        *work_calls(known["work"]),
        (
            "post",
            "/v1/exhibits/{exhibit}/clip",
            f"/v1/exhibits/{exhibit}/clip",
            {"from_s": 0, "to_s": 1, "purpose": "p"},
        ),
        ("post", "/v1/exhibits/{exhibit}/derivatives", f"/v1/exhibits/{exhibit}/derivatives", dict(STILL)),
        ("get", "/v1/derivatives/{exhibit}", "/v1/derivatives/{derived}", None),
        ("post", "/v1/exports", "/v1/exports", {"exhibits": [exhibit], **ORDER}),
        ("get", "/v1/exports", "/v1/exports", None),
        ("get", "/v1/exports/{export}", "/v1/exports/{export}", None),
        ("get", "/v1/exports/{export}/content", "/v1/exports/{export}/content", None),
        ("delete", "/v1/exports/{export}", "/v1/exports/{export}", None),
        ("get", "/v1/expected", "/v1/expected", None),
        ("get", "/v1/expected/counts", "/v1/expected/counts?from=2026-11-20&to=2026-11-22", None),
        ("post", "/v1/expected/{number}/settle", "/v1/expected/1/settle", {"reason": "crushed"}),
        ("post", "/v1/uploads/seal", "/v1/uploads/seal", dict(HALF)),
        ("post", "/v1/uploads/want", "/v1/uploads/want", {"device": "cam-0042", "recording": "wanted"}),
        (
            "post",
            "/v1/exhibits/{exhibit}/settle",
            f"/v1/exhibits/{known['doubtful']}/settle",
            {"by": "P-0014", "reason": "seen"},
        ),
        ("get", "/v1/disposals", "/v1/disposals", None),
        ("get", "/v1/disposals/due", "/v1/disposals/due", None),
        ("post", "/v1/disposals", "/v1/disposals", {"exhibits": [exhibit], "ground": "order", "reason": "order 8"}),
        ("get", "/v1/disposals/{disposal}", f"/v1/disposals/{known['disposal']}", None),
        ("post", "/v1/disposals/{disposal}/approve", f"/v1/disposals/{known['disposal']}/approve", {}),
        ("post", "/v1/disposals/{disposal}/cancel", f"/v1/disposals/{known['disposal']}/cancel", {"reason": "appeal"}),
        ("get", "/v1/log/tile/{level}/{tile}", "/v1/log/tile/0/000.p/{}", None),
        ("get", "/v1/log/tile/entries/{tile}", "/v1/log/tile/entries/000.p/{}", None),
        ("get", "/static/{name}", "/static/page.css", None),
        ("post", "/v1/emergencies", "/v1/emergencies", {"unit": "PCC.CSO-014"}),
        ("post", "/v1/emergencies/{id}/ack", f"/v1/emergencies/{emergency}/ack", {"by": "Inspector 3"}),
        ("post", "/v1/emergencies/{id}/clear", f"/v1/emergencies/{emergency}/clear", {"by": "I 3", "outcome": "test"}),
        ("get", "/v1/handsets", "/v1/handsets", None),
        ("post", "/v1/messages/{id}/dealt", "/v1/messages/1/dealt", {"by": "Sergeant 7"}),
        ("put", "/v1/units/{unit}/duty", "/v1/units/CAMBS.PC-1187/duty", {"code": 5, "incident": "CC-7"}),
        (
            "put",
            "/v1/units/{unit}/mask",
            "/v1/units/CAMBS.PC-1187/mask",
            {"masked": True, "by": "Inspector 3", "reason": "surveillance"},
        ),
        ("post", "/v1/tasks", "/v1/tasks", {"unit": "PCC.CSO-015", "text": "Go", "place": {"name": "The bandstand"}}),
        ("get", "/v1/tasks", "/v1/tasks", None),
        ("get", "/v1/tasks/{id}", "/v1/tasks/TK-000001", None),
        ("post", "/v1/tasks/{id}/cancel", "/v1/tasks/TK-000001/cancel", {"reason": "false call"}),
        ("get", "/v1/response-times", "/v1/response-times?by=agency", None),
        ("post", "/v1/bookings", "/v1/bookings", {"device": "bcn-14", "holder": "PCC.CSO-014", "how": "card"}),
        ("patch", "/v1/bookings/{booking}", f"/v1/bookings/{known['booking']}", {"reason": "misread"}),
        ("post", "/v1/bookings/{booking}/end", "/v1/bookings/{newest}/end", {}),
        *crew_calls(),
        ("post", "/v1/session", "/v1/session", {"token": "{token}"}),
        ("delete", "/v1/session", "/v1/session", None),
    ]
