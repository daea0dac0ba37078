"""Where a recording can be cut without decoding it: groups of pictures, and the bytes that a span needs. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from gateway.domain.evidence import Range

AROUND_S = 120.0
"""So far around the span asked for key frames are looked for."""


class Packet(msgspec.Struct, frozen=True):
    """One packet as ffprobe lists it: seconds from the beginning, its bytes."""

    video: bool
    at_s: float
    length_s: float
    pos: int
    size: int
    key: bool


class Cut(msgspec.Struct, frozen=True):
    """Whole groups of pictures: their real bounds in seconds, and the bytes between."""

    from_s: float
    to_s: float
    span: Range


def read_packets(out: bytes) -> list[Packet]:
    """Ffprobe's compact lines; one that says less than a place and a time is left out."""
    lines = [dict(_fields(line)) for line in out.decode("utf-8", "replace").splitlines()]
    start_s = next((_number(line.get("start_time")) or 0.0 for line in lines if "start_time" in line), 0.0)
    return [packet for line in lines if (packet := _packet(line, start_s)) is not None]


def _fields(line: str) -> Iterator[tuple[str, str]]:
    for part in line.split("|"):
        name, _, value = part.partition("=")
        yield name, value


def _packet(line: dict[str, str], start_s: float) -> Packet | None:
    kind, at_s = line.get("codec_type"), _number(line.get("pts_time"))
    pos, size = _number(line.get("pos")), _number(line.get("size"))
    if kind not in ("video", "audio") or at_s is None or pos is None or size is None or min(pos, size) < 0:
        return None
    length_s = _number(line.get("duration_time")) or 0.0
    return Packet(kind == "video", at_s - start_s, length_s, int(pos), int(size), "K" in line.get("flags", ""))


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if abs(number) < 1e15 else None


def cut(packets: list[Packet], from_s: float, to_s: float) -> Cut | None:
    """The groups of pictures that hold the span, both ends outwards; None where nothing is there."""
    leading = [packet for packet in packets if packet.video] or packets
    keys = sorted(packet.at_s for packet in leading if packet.key)
    ends_s = max((packet.at_s + packet.length_s for packet in leading), default=0.0)
    if not keys or from_s >= ends_s:
        return None
    begin_s = max((at_s for at_s in keys if at_s <= from_s + 0.0005), default=keys[0])
    end_s = min((at_s for at_s in keys if at_s >= to_s - 0.0005 and at_s > begin_s), default=ends_s)
    within = [packet for packet in packets if begin_s - 1 <= packet.at_s < end_s + 1]
    span = min(packet.pos for packet in within), max(packet.pos + packet.size for packet in within)
    return Cut(round(begin_s, 6), round(end_s, 6), span)
