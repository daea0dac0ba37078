"""SDS as JSON: what `lapel decode sds` prints and `lapel encode sds` reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drivers.tetra import lip, lip_json, sds
from drivers.tetra.bits import Bits, from_hex
from gateway.errors import WireError


def as_dict(message: sds.Sds) -> dict[str, Any]:
    """The JSON object of one SDS."""
    if isinstance(message, sds.Text):
        return _text(message)
    if isinstance(message, sds.Lip):
        return {"kind": "lip", "pid": lip.PID, "lip": lip_json.as_dict(message.pdu)}
    if isinstance(message, sds.Delivery):
        kind = "acknowledgement" if message.acknowledgement else "report"
        return {"kind": kind, "pid": message.pid, "status": message.status, "reference": message.reference}
    return _plain(message)


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
    if message.header is not None:
        header = message.header
        known["delivery_report_request"] = header.delivery_report_request
        known["standard_report_only"] = header.standard_report_only
        known["reference"] = header.reference
        known["storage"] = None if header.storage is None else _bits(header.storage)
    if message.stamp is not None:
        known["stamp"] = _bits(message.stamp)
    return known


def from_dict(known: dict[str, Any]) -> sds.Sds:
    """The SDS that `as_dict` printed; WireError where a key is missing or is not what it should be."""
    try:
        return _READERS[known["kind"]](known)
    except (KeyError, TypeError, ValueError, AttributeError, LookupError) as fault:
        raise WireError(f"not a decoded SDS: {type(fault).__name__} {fault}") from fault


def _read_bits(known: dict[str, Any]) -> Bits:
    return from_hex(known["raw"], known["bits"]) if known["bits"] else Bits(0, 0)


def _read_text(known: dict[str, Any]) -> sds.Text:
    header = None
    if "reference" in known:
        storage = _read_bits(known["storage"]) if known.get("storage") else None
        request, standard_only = known["delivery_report_request"], known["standard_report_only"]
        header = sds.Header(request, standard_only, known["reference"], storage)
    stamp = _read_bits(known["stamp"]) if "stamp" in known else None
    return sds.Text(known["pid"], known["coding"], known["text"], header, stamp)


def _read_delivery(known: dict[str, Any]) -> sds.Delivery:
    acknowledgement = known["kind"] == "acknowledgement"
    return sds.Delivery(known["pid"], known["status"], known["reference"], acknowledgement=acknowledgement)


_READERS: dict[str, Callable[[dict[str, Any]], sds.Sds]] = {
    "status": lambda known: sds.Status(known["value"]),
    "short_report": lambda known: sds.ShortReport(known["outcome"], known["reference"]),
    "number": lambda known: sds.Number(_read_bits(known)),
    "text": _read_text,
    "report": _read_delivery,
    "acknowledgement": _read_delivery,
    "lip": lambda known: sds.Lip(lip_json.from_dict(known["lip"])),
    "other": lambda known: sds.Other(known["pid"], _read_bits(known)),
}
