"""What a disposal leaves in the place of an exhibit: a certificate that names no person but who asked and approved."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from gateway.domain.time import rfc3339
from gateway.evidence.disposal.record import Disposal, DisposalWord, Part
from gateway.evidence.rows import Exhibit


class Reached(msgspec.Struct, frozen=True):
    """What was done where: places that have forgotten it, those given up, what else may still hold a key or a copy."""

    places: tuple[str, ...]
    given_up: tuple[str, ...] = ()
    key_backups: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()

    @property
    def wanted(self) -> int:
        """How many places there were."""
        return len(self.places) + len(self.given_up)


def certificate(one: Disposal, part: Part, row: Exhibit, reached: Reached) -> dict[str, Any]:
    """The certificate of one exhibit, as the `dispose` entry's detail holds it."""
    return {
        "v": 1,
        "disposal": one.id,
        "exhibit": row.id,
        "sha256": row.sha256,
        "size": row.size,
        "blob": row.blob,
        "blob_sha256": row.blob_sha256,
        "controller": row.controller,
        "category": row.category,
        "rule": row.rule,
        "due": row.due,
        "ground": one.ground,
        "requested": _said(one.requested, part.entries.get("dispose_request"), one.erase),
        "approved": None
        if one.approved is None
        else _said(one.approved, part.entries.get("dispose_approve"), one.erase),
        "not_before": rfc3339(one.not_before),
        "sealed": {"at": _at(row.sealed_at), "log_index": row.log_index},
        "key_destroyed": {
            "at": _at(part.key_destroyed_at),
            "log_index": part.entries.get("key_destroy"),
            "keys": part.detail.get("keys", []),
            "kek": row.key,
        },
        "copies": {"removed": len(reached.places), "of": reached.wanted, "places": list(reached.places)},
        "not_reached": {"places": list(reached.given_up), "key_backups": list(reached.key_backups)},
        "exports_made": list(reached.exports),
        "details": "erased" if one.erase else "kept",
        "alone": None if one.erase else one.alone,
        "parts_disposed_together": sorted(one.parts),
    }


def as_text(said: dict[str, Any]) -> str:
    """The certificate for a person to read."""
    key, copies, missed = said["key_destroyed"], said["copies"], said["not_reached"]
    lines = [
        ("Certificate of disposal", said["disposal"]),
        ("Exhibit", said["exhibit"]),
        ("SHA-256", said["sha256"]),
        ("Bytes", said["size"]),
        ("Blob", f"{said['blob']} (SHA-256 {said['blob_sha256']})"),
        ("Controller", said["controller"]),
        ("Rule", f"{said['rule']}, category {said['category']}, due {said['due']}"),
        ("Ground", said["ground"]),
        ("Asked for", _line(said["requested"])),
        ("Approved", "-" if said["approved"] is None else _line(said["approved"])),
        ("Key destroyed", f"{key['at']}, log entry {key['log_index']}, was wrapped by {key['kek']}"),
        ("Copies removed", f"{copies['removed']} of {copies['of']} ({', '.join(copies['places'])})"),
        ("Not reached", _listed([*missed["places"], *missed["key_backups"]])),
        ("Exports made before", _listed(said["exports_made"])),
        ("Details", said["details"]),
    ]
    if said.get("log"):
        lines.append(("Disposed of", f"{said['log']['at']}, log entry {said['log']['index']}"))
    return "\n".join(f"{name + ':':<25}{'-' if what is None else what}" for name, what in lines)


def _line(said: dict[str, Any]) -> str:
    why = f": {said['reason']}" if said.get("reason") else ""
    return f"{said['at']} by {said['by'] or '-'}, log entry {said['log_index']}{why}"


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "none"


def _said(word: DisposalWord, index: int | None, erase: bool) -> dict[str, Any]:  # noqa: FBT001 - as the request says it
    """Who and when; why only where details stay: a reason may name the person who is to be forgotten."""
    return {"by": word.by, "at": rfc3339(word.at), "log_index": index, "reason": None if erase else word.reason}


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
