"""AsyncAPI 3.0: what goes over the feed's streams, made of the same types that are sent."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import msgspec
from aiohttp import web

from gateway.api.feed_socket import Ack, Resume, Subscribe
from gateway.api.identity import OPEN
from gateway.api.openapi import loosened
from gateway.api.routing import Answer, Call, Nothing, Routes
from gateway.feed.batches import Alarm, Batch, Heartbeat, Hello, Snapshot
from gateway.feed.duty import DutyRecord
from gateway.feed.emergencies import EmergencyRecord
from gateway.feed.encode import Feature
from gateway.feed.event_consumer import Status
from gateway.feed.zone_cover import CoverRecord
from gateway.feed.zoning import Crossing

ROUTES = Routes()
MEDIA = "application/yaml"
OURS: dict[str, type] = {
    "hello": Hello,
    "snapshot": Snapshot,
    "batch": Batch,
    "emergency": Alarm,
    "heartbeat": Heartbeat,
}
THEIRS: dict[str, type] = {"subscribe": Subscribe, "resume": Resume, "ack": Ack}
RECORDS: dict[str, type] = {
    "unitPosition": Feature,
    "unitDuty": DutyRecord,
    "emergencyRecord": EmergencyRecord,
    "zoneCrossing": Crossing,
    "zoneCoverage": CoverRecord,
}
EVENTS: dict[str, type] = {"status": Status}
"""Server-sent events that are no records: they repeat the last one's id."""
FREE = ("unitRemoved", "officersMessage", "handsetProven", "radioReach", "gatewayStatus")
"""Records described in docs/formats.md: objects with `v` and, on a stream, `seq`."""
SSE = ("snapshot", *EVENTS, *RECORDS, *FREE[:-1])
TOPICS = {
    "unitPosition": "lapel/v1/feed/{agency}/unit/{unit}/position",
    "unitDuty": "lapel/v1/feed/{agency}/unit/{unit}/duty",
    "emergencyRecord": "lapel/v1/feed/emergency/{emergency}",
    "gatewayStatus": "lapel/v1/gateway/status",
}


@ROUTES.add("GET /asyncapi.yaml", OPEN, Answer("AsyncAPI 3.0 of the streams", MEDIA, {"type": "object"}))
async def described(_call: Call[Nothing]) -> web.StreamResponse:
    """Answer the document; it is written as JSON, which is YAML."""
    text = msgspec.json.format(msgspec.json.encode(document(version("lapel"))), indent=2)
    return web.Response(body=text, content_type=MEDIA)


def document(of: str) -> dict[str, Any]:
    """The whole document."""
    channels = {
        "feedSocket": _channel("/v1/feed/ws", "http", (*OURS, *THEIRS)),
        "feedEvents": _channel("/v1/feed", "http", SSE),
        **{f"topic{name[0].upper()}{name[1:]}": _channel(topic, "broker", (name,)) for name, topic in TOPICS.items()},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Lapel", "version": of, "license": {"name": "Apache-2.0"}},
        "defaultContentType": "application/json",
        "servers": {
            "http": {
                "host": "localhost:8080",
                "protocol": "ws",
                "security": [{"$ref": _at("securitySchemes", "bearer")}],
            },
            "broker": {"host": "localhost:1883", "protocol": "mqtt"},
        },
        "channels": channels,
        "operations": _operations(),
        "components": {
            "messages": {**{name: _message(name) for name in (*OURS, *THEIRS, *EVENTS, *RECORDS, *FREE)}},
            "schemas": _schemas(),
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _at(part: str, name: str) -> str:
    return f"#/components/{part}/{name}"


def _channel(address: str, server: str, names: tuple[str, ...]) -> dict[str, Any]:
    parts = [part[1:-1] for part in address.split("/") if part.startswith("{")]
    return {
        "address": address,
        "servers": [{"$ref": f"#/servers/{server}"}],
        "messages": {name: {"$ref": _at("messages", name)} for name in names},
        **({"parameters": {part: {"description": f"Whose: the {part}'s id"} for part in parts}} if parts else {}),
    }


def _operations() -> dict[str, Any]:
    """As the gateway sees it: it sends what consumers hear."""
    told = {
        "tellSockets": _operation("send", "feedSocket", tuple(OURS), "What a WebSocket is sent"),
        "hearSockets": _operation("receive", "feedSocket", tuple(THEIRS), "What a WebSocket may say"),
        "tellEvents": _operation("send", "feedEvents", SSE, "Server-sent events; `id` is the cursor epoch-seq"),
    }
    for name in TOPICS:
        big = f"{name[0].upper()}{name[1:]}"
        told[f"tell{big}"] = _operation("send", f"topic{big}", (name,), "Retained, QoS 1")
    return told


def _operation(action: str, channel: str, names: tuple[str, ...], summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in names],
    }


def _message(name: str) -> dict[str, Any]:
    shape = {**OURS, **THEIRS, **EVENTS, **RECORDS}.get(name)
    summary = (shape.__doc__ or "") if shape is not None else "A record, as docs/formats.md describes it."
    payload = {"$ref": _at("schemas", shape.__name__)} if shape is not None else {"type": "object"}
    return {"name": name, "summary": summary.split("\n")[0], "payload": payload}


def _schemas() -> dict[str, Any]:
    kinds = [*OURS.values(), *THEIRS.values(), *EVENTS.values(), *RECORDS.values()]
    _, schemas = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    return loosened(kinds, schemas)
