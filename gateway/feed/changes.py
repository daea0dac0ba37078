"""What has changed behind a cursor, for one who asks again and again: the same stream, an answer at a time."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.feed import sse
from gateway.feed.consumer import Consumer

_ENCODER = msgspec.json.Encoder()


class _Snapshot(msgspec.Struct):
    features: list[msgspec.Raw]
    emergencies: list[msgspec.Raw]


class _Named(msgspec.Struct):
    id: str = ""
    unit: str = ""


async def awaited(consumer: Consumer, wait_s: float) -> bytes:
    """What it has to say, as soon as there is any of it; nothing where that time passes or the feed stops."""
    if sse.blocks(chunk := await consumer.opening()):
        return chunk
    try:
        async with asyncio.timeout(wait_s):
            async for chunk in consumer:
                if sse.blocks(chunk):
                    return chunk
    except TimeoutError:
        pass
    return b""


def collected(chunk: bytes, after: str, at: str) -> bytes:
    """A FeatureCollection (RFC 7946 section 3.3): units changed, units removed, every urgent record, where it stands.

    `lapel:whole` says that it is everything, and that what the consumer knew before is void.
    """
    features: dict[str, msgspec.Raw] = {}
    removed: dict[str, None] = {}
    records: list[dict[str, object]] = []
    whole, reached = False, after
    for block in sse.blocks(chunk):
        reached, payload = block.id, msgspec.Raw(block.payload)
        if block.event == "snapshot":
            whole, features = True, _all(block.payload)
            removed.clear()
        elif block.event == "position":
            name = msgspec.json.decode(block.payload, type=_Named).id
            features[name] = payload
            removed.pop(name, None)
        else:
            records.append({"seq": _seq(block.id), "event": block.event, "record": payload})
            if block.event == "removed":
                gone = msgspec.json.decode(block.payload, type=_Named).unit
                features.pop(gone, None)
                removed[gone] = None
    epoch, _, seq = reached.rpartition("-")
    return _ENCODER.encode(
        {
            "type": "FeatureCollection",
            "lapel:stream": {"epoch": epoch, "seq": int(seq), "generated_at": at},
            "lapel:whole": whole,
            "lapel:removed": list(removed),
            "lapel:records": records,
            "features": list(features.values()),
        }
    )


def _all(payload: bytes) -> dict[str, msgspec.Raw]:
    features = msgspec.json.decode(payload, type=_Snapshot).features
    return {msgspec.json.decode(one, type=_Named).id: one for one in features}


def _seq(cursor: str) -> int:
    return int(cursor.rpartition("-")[2])
