"""The AsyncAPI document: whole, and true of what a WebSocket is sent."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema

from gateway.api.asyncapi import document
from tests.api.site import Site
from tests.api.test_feed_socket import Desk, connected, read_until


def test_every_reference_leads_somewhere() -> None:
    """Nothing points at what is not there."""
    whole = document("1.2.3")
    for ref in set(re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(whole))):
        place: Any = whole
        for part in ref.split("/"):
            place = place[part]
        assert place, ref


def test_the_route_answers_it(shared_site: Site) -> None:
    """To anybody, as YAML."""
    with shared_site.client() as client:
        answer = client.get("/asyncapi.yaml")
    assert answer.headers["Content-Type"].startswith("application/yaml")
    assert answer.json()["asyncapi"] == "3.0.0"


async def test_what_is_sent_is_what_is_described(shared_site: Site) -> None:
    """Every kind of message of a real socket, by its own schema."""
    whole, seen, desk = document("1.2.3"), {}, Desk()
    take = desk.take
    desk.take = lambda said: seen.setdefault(said["type"], said) and take(said)  # type: ignore[method-assign]
    async with connected(shared_site, shared_site.token()) as ws:
        await ws.send_json({"type": "subscribe"})
        await read_until(ws, desk, lambda: "snapshot" in seen)
        shared_site.position()
        shared_site.press("bcn-15")
        await read_until(ws, desk, lambda: len(seen) == 5)
    for kind, said in seen.items():
        ref = whole["components"]["messages"][kind]["payload"]["$ref"]
        jsonschema.Draft202012Validator({"$ref": ref, "components": whole["components"]}).validate(said)
