"""One call of each operation of evidence work, for the test that holds answers against what is promised."""

from __future__ import annotations

from typing import Any

import httpx

from tests.api.site import Site, noise


def prepared(site: Site, client: httpx.Client) -> dict[str, str]:
    """Something to work on: an exhibit, a hold on it and one by incident, a rule proposed by somebody else."""
    exhibit = site.seal(noise(500, 71), "worked").exhibit
    hold = client.post(f"/v1/exhibits/{exhibit}/hold", json={"reason": "court"}).json()["hold"]
    incident = client.post("/v1/holds", json={"reason": "court", "incident": "CC 1"}).json()["hold"]
    with site.client(site.token(user="second")) as second:
        rule = {"category": "complaint", "days": 90, "reason": "schedule 7"}
        version = second.put("/v1/retention/rules", json=rule).json()["rule"]["version"]
    return {"exhibit": exhibit, "hold": hold, "incident": incident, "version": str(version)}


def work_calls(known: dict[str, str]) -> list[tuple[str, str, str, Any]]:
    """(method, its path, the path to ask, the body)."""
    whole, part = "/v1/exhibits/{exhibit}", f"/v1/exhibits/{known['exhibit']}"
    to = {"recipient": "CPS", "legal_gateway": "CPIA 1996", "purpose": "trial"}
    evidential = {"category": "evidential", "exhibit_ref": "AB/1", "incident": "CC 1"}
    change = "/v1/retention/rules"
    return [
        ("post", f"{whole}/categorise", f"{part}/categorise", evidential),
        ("post", f"{whole}/annotate", f"{part}/annotate", {"text": "a red van", "at_s": 1.5}),
        ("post", f"{whole}/amend", f"{part}/amend", {"field": "name", "now": "b.mp4", "reason": "misnamed"}),
        ("post", f"{whole}/hold", f"{part}/hold", {"reason": "SAR", "until": "2099-01-01"}),
        ("post", f"{whole}/release", f"{part}/release", {"hold": known["hold"], "reason": "lapsed"}),
        ("post", f"{whole}/review", f"{part}/review", {"decision": "retain", "reason": "trial"}),
        ("post", f"{whole}/transfer", f"{part}/transfer", to),
        ("get", "/v1/holds", "/v1/holds", None),
        ("post", "/v1/holds", "/v1/holds", {"reason": "SAR", "incident": "CC 2"}),
        ("post", "/v1/holds/{hold}/release", f"/v1/holds/{known['incident']}/release", {"reason": "over"}),
        ("get", change, change, None),
        ("post", f"{change}/dry-run", f"{change}/dry-run", {"category": "evidential", "review_days": 30}),
        ("put", change, change, {"category": "evidential", "review_days": 30, "reason": "x"}),
        (
            *("post", f"{change}/{{category}}/{{version}}/approve"),
            *(f"{change}/complaint/{known['version']}/approve", {"reason": "agreed"}),
        ),
        ("get", "/v1/audit", "/v1/audit?purpose=yearly+audit&verb=alteration", None),
    ]
