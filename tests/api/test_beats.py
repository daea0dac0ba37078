"""Heartbeats of server-sent events, as other people's client reads them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse

from tests.api.site import Site


@pytest.fixture
def client(tmp_path: Path):
    """Of a gateway whose heart beats quickly."""
    with Site(tmp_path, feed={"heartbeat_s": 0.1}) as site, site.client(site.token("*")) as made:
        made.site = site
        yield made


def test_as_events_with_the_inputs(client: httpx.Client) -> None:
    """A name, no id of their own, where the stream stands; the next record's id is behind the last one's."""
    ids = []
    with connect_sse(client, "GET", "/v1/feed?heartbeat=event&agency=PCC") as source:
        for event in source.iter_sse():
            content = json.loads(event.data)
            if event.event == "snapshot":
                first = event.id
            elif event.event == "heartbeat":
                assert event.id == (ids[-1] if ids else first)
                assert (content["v"], content["inputs"]) == (1, {})
                assert f"{content['epoch']}-{content['seq']}" >= event.id
                client.site.position("bcn-14", 52.57 + len(ids) / 10_000)
            elif event.event == "position":
                ids.append(event.id)
                if len(ids) > 3:
                    break
    with connect_sse(client, "GET", "/v1/feed?heartbeat=event", headers={"Last-Event-ID": ids[0]}) as source:
        events = (event for event in source.iter_sse() if event.event != "heartbeat")
        assert next(events).event == "position"


def test_as_comments_where_nobody_asks(client: httpx.Client) -> None:
    """Nothing that a client would take for an event."""
    with client.stream("GET", "/v1/feed") as answer:
        ends_s, text = time.monotonic() + 5, ""
        for part in answer.iter_text():
            text += part
            if text.count(": heartbeat ") > 2 or time.monotonic() > ends_s:
                break
    assert text.count(": heartbeat ") > 2
    assert "event: heartbeat" not in text
    assert client.get("/v1/feed?heartbeat=loud").status_code == 400
