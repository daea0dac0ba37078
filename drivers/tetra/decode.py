"""`lapel decode` and `lapel encode` for lip, sds and pei: lines in, objects out, a bad line no end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from drivers.tetra import lip as lip_codec
from drivers.tetra import lip_json, sds_json
from drivers.tetra import pei as wire
from drivers.tetra import sds as sds_codec
from drivers.tetra.bits import Bits, from_hex
from gateway.errors import WireError

MAX_LINE = 65_536
"""Security limit of a line of standard input."""


def lip(lines: Iterable[bytes], *, pid: bool = True) -> Iterator[dict[str, Any]]:
    """One LIP PDU a line, in hex, with its PID or without."""

    def one(line: str) -> dict[str, Any]:
        bits = from_hex(line)
        return lip_json.as_dict(lip_codec.decode(lip_codec.strip_pid(bits) if pid else bits))

    return _each(lines, one)


def sds(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """One SDS a line, in hex: four digits of a status value are a status, all else is SDS type 4."""
    return _each(lines, lambda line: sds_json.as_dict(_sds(from_hex(line))))


def _sds(bits: Bits) -> sds_codec.Sds:
    if bits.length == 16 and (bits.value == sds_codec.EMERGENCY_STATUS or bits.value >= 0x7C00):
        return sds_codec.decode_status(bits.value)
    return sds_codec.decode_type4(bits)


def pei(stream: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The raw bytes of a port, in any pieces: one object an item."""
    reader = wire.LineReader()
    for piece in stream:
        yield from map(_item, reader.feed(piece))
    yield from map(_item, reader.finish())


def _item(item: wire.Item) -> dict[str, Any]:
    if isinstance(item, wire.SdsIndication):
        return _short_data(item)
    if isinstance(item, wire.Result):
        return {"item": "result", "ok": item.code is None, "code": item.code}
    if isinstance(item, wire.Unsolicited):
        return {"item": "named", "name": item.name, "text": item.text}
    if isinstance(item, wire.Line):
        return {"item": "line", "text": item.text}
    return {"error": item.reason, "raw": item.raw.hex()}


def _short_data(item: wire.SdsIndication) -> dict[str, Any]:
    known: dict[str, Any] = {
        "item": "short_data",
        "service": item.service,
        "calling": _address(item.calling),
        "called": _address(item.called),
        "bits": item.bits.length,
        "hex": item.bits.hex(),
    }
    if item.doubt:
        known["doubt"] = item.doubt
    try:
        return known | {"sds": sds_json.as_dict(sds_codec.decode(item.service, item.bits))}
    except WireError as fault:
        return {"error": str(fault)} | known


def _address(address: wire.Address | None) -> dict[str, Any] | None:
    return None if address is None else {"digits": address.digits, "issi": address.ssi}


def encode_lip(lines: Iterable[bytes], *, pid: bool = True) -> Iterator[dict[str, Any]]:
    """The inverse of `lip`: one decoded object a line in, {"hex": …} out."""

    def one(line: str) -> dict[str, Any]:
        bits = _printed(lambda: lip_codec.encode(lip_json.from_dict(_object(line))))
        return _hex(lip_codec.with_pid(bits) if pid else bits)

    return _each(lines, one)


def encode_sds(lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    """The inverse of `sds`: one decoded object a line in, {"hex": …} out."""
    return _each(lines, lambda line: _hex(_printed(lambda: sds_codec.encode(sds_json.from_dict(_object(line))))))


def _printed(encode: Callable[[], Bits]) -> Bits:
    """The bits; WireError also where a field is of a kind that no bits can say."""
    try:
        return encode()
    except (TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise WireError(f"cannot be printed: {fault}") from fault


def _hex(bits: Bits) -> dict[str, Any]:
    return {"hex": bits.hex(), "bits": bits.length}


def _object(line: str) -> dict[str, Any]:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise WireError(f"not JSON: {fault}") from fault
    if not isinstance(read, dict):
        raise WireError("not a JSON object")
    return read


def _each(lines: Iterable[bytes], one: Callable[[str], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for line in lines:
        text = line.decode("utf-8", "replace").strip()
        if not text:
            continue
        try:
            if len(text) > MAX_LINE:
                raise WireError(f"line of more than {MAX_LINE} characters")  # noqa: TRY301 - answered as any bad line
            yield one(text)
        except WireError as fault:
            yield {"error": str(fault), "line": text[:200]}
