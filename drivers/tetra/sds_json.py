"""SDS as JSON: what `lapel decode sds` prints and `lapel encode sds` reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from drivers.tetra import lip, lip_json, sds
from drivers.tetra import sds_parts as parts
from drivers.tetra.bits import Bits, from_hex
from gateway.errors import WireError


def as_dict(message: sds.Sds) -> dict[str, Any]:
    """The JSON object of one SDS."""
    if isinstance(message, sds.Text):
        return _text(message)
    if isinstance(message, sds.Lip):
        return {"kind": "lip", "pid": lip.PID, "lip": lip_json.as_dict(message.pdu)}
    if isinstance(message, sds.Delivery):
        return _delivery(message)
    if isinstance(message, sds.Fragment):
        known = {"kind": "fragment", "pid": message.pid, "part": _part(message.part), "inner": message.inner}
        return known | _header(message.header) | _bits(message.bits)
    return _plain(message)


def _delivery(message: sds.Delivery) -> dict[str, Any]:
    kind = "acknowledgement" if message.acknowledgement else "report"
    known = {"kind": kind, "pid": message.pid, "status": message.status, "reference": message.reference}
    if message.control:
        known["control"] = message.control
    if message.rest.length:
        known["rest"] = _bits(message.rest)
    return known


def _part(part: parts.Part) -> dict[str, Any]:
    return msgspec.structs.asdict(part)


def _plain(message: sds.Status | sds.ShortReport | sds.Number | sds.Other) -> dict[str, Any]:
    if isinstance(message, sds.Status):
        return {"kind": "status", "value": message.value, "emergency": message.value == sds.EMERGENCY_STATUS}
    if isinstance(message, sds.ShortReport):
        return {"kind": "short_report", "outcome": message.outcome, "reference": message.reference}
    if isinstance(message, sds.Number):
        return {"kind": "number"} | _bits(message.bits)
    return {"kind": "other", "pid": message.pid} | _bits(message.bits)


def _bits(bits: Bits) -> dict[str, Any]:
    return {"bits": bits.length, "raw": bits.hex()}


def _text(message: sds.Text) -> dict[str, Any]:
    known: dict[str, Any] = {"kind": "text", "pid": message.pid, "coding": message.coding, "text": message.text}
    known |= _header(message.header)
    if message.stamp is not None:
        known["stamp"] = msgspec.structs.asdict(message.stamp)
    if message.user_header is not None:
        part = message.user_header.part
        known["user_header"] = {"part": part and _part(part), "raw": message.user_header.octets.hex().upper()}
    if message.flag:
        known["flag"] = True
    if message.raw is not None:
        known["letters"] = _bits(message.raw)
    return known


def _header(header: sds.Header | None) -> dict[str, Any]:
    if header is None:
        return {}
    storage = header.storage
    kept = None
    if storage is not None:
        kept = {"validity": storage.validity, "forward_type": storage.forward_type} | _bits(storage.forward)
    return {
        "delivery_report_request": header.delivery_report_request,
        "standard_report_only": header.standard_report_only,
        "reference": header.reference,
        "storage": kept,
    }


def from_dict(known: dict[str, Any]) -> sds.Sds:
    """The SDS that `as_dict` printed; WireError where a key is missing or is not what it should be."""
    try:
        return _READERS[known["kind"]](known)
    except (KeyError, TypeError, ValueError, AttributeError, LookupError) as fault:
        raise WireError(f"not a decoded SDS: {type(fault).__name__} {fault}") from fault


def _read_bits(known: dict[str, Any]) -> Bits:
    return from_hex(known["raw"], known["bits"]) if known["bits"] else Bits(0, 0)


def _read_text(known: dict[str, Any]) -> sds.Text:
    user = known.get("user_header")
    return sds.Text(
        known["pid"],
        known["coding"],
        known["text"],
        _read_header(known),
        parts.TimeStamp(**known["stamp"]) if "stamp" in known else None,
        _read_user_header(user) if user else None,
        bool(known.get("flag")),
        _read_bits(known["letters"]) if "letters" in known else None,
    )


def _read_header(known: dict[str, Any]) -> sds.Header | None:
    if "reference" not in known:
        return None
    kept = known.get("storage")
    storage = parts.Storage(kept["validity"], kept["forward_type"], _read_bits(kept)) if kept else None
    return sds.Header(known["delivery_report_request"], known["standard_report_only"], known["reference"], storage)


def _read_user_header(known: dict[str, Any]) -> parts.UserHeader:
    part = parts.Part(**known["part"]) if known["part"] else None
    return parts.UserHeader(part, bytes.fromhex(known["raw"]))


def _read_delivery(known: dict[str, Any]) -> sds.Delivery:
    acknowledgement = known["kind"] == "acknowledgement"
    rest = _read_bits(known["rest"]) if "rest" in known else Bits(0, 0)
    control = known.get("control", 0)
    return sds.Delivery(known["pid"], known["status"], known["reference"], acknowledgement, control, rest)


def _read_fragment(known: dict[str, Any]) -> sds.Fragment:
    part = parts.Part(**known["part"])
    return sds.Fragment(known["pid"], part, _read_bits(known), known["inner"], _read_header(known))


_READERS: dict[str, Callable[[dict[str, Any]], sds.Sds]] = {
    "status": lambda known: sds.Status(known["value"]),
    "short_report": lambda known: sds.ShortReport(known["outcome"], known["reference"]),
    "number": lambda known: sds.Number(_read_bits(known)),
    "text": _read_text,
    "fragment": _read_fragment,
    "report": _read_delivery,
    "acknowledgement": _read_delivery,
    "lip": lambda known: sds.Lip(lip_json.from_dict(known["lip"])),
    "other": lambda known: sds.Other(known["pid"], _read_bits(known)),
}
