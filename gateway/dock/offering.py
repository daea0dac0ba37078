"""How a file is offered: its recording's id, its `init`, the receipt that is laid beside it."""

from __future__ import annotations

import mimetypes
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from gateway.dock.files import Look
from gateway.dock.ledger import Entry
from gateway.dock.watch import RECEIPT_SUFFIX, Found
from gateway.domain.time import rfc3339

BESIDE_MAX = 100
NAME_MAX = 240
_SAFE = re.compile(r"[^A-Za-z0-9._-]")


def shown(path: Path) -> str:
    """A file's name as text, whatever its bytes are."""
    return path.name.encode("utf-8", "backslashreplace").decode()[:NAME_MAX]


def recording_id(path: Path, was: Look, found: Found) -> str:
    """A recording's id: by its content, so that a camera's numbering may start over; or the name the camera gave it.

    `name` is for cameras that send by themselves as well: brought both ways, it is one recording.
    """
    if found.folder.recording_id == "name":
        name = path.stem if path == found.path else path.name
        if _SAFE.search(name) is None:
            return name[:NAME_MAX]
    return f"{_SAFE.sub('_', shown(path))[:80]}-{was.sha256[:16]}"


def init(entry: Entry, found: Found, dock: str, others: list[str]) -> bytes:
    """The `init` of a file; a recording and its side files name one another under `beside`."""
    told: dict[str, object] = {"dock": dock, "file": shown(entry.place), "modified_at": _modified(entry.was)}
    if others:
        told["beside"] = others[:BESIDE_MAX]
    offer = {
        "v": 1,
        "name": shown(entry.place),
        "size": entry.was.size,
        "checksum": entry.was.sha256,
        "content_type": mimetypes.guess_type(shown(entry.place))[0] or "application/octet-stream",
        "user_data": told,
    }
    if found.started_at is not None:
        offer["started_at"] = found.started_at
    return msgspec.json.encode(offer)


def _modified(was: Look) -> str | None:
    try:
        return rfc3339(datetime.fromtimestamp(was.mtime_ns // 1_000_000_000, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def receipt_beside(path: Path) -> Path:
    """Where a file's receipt is laid."""
    return path.with_name(f"{path.name}{RECEIPT_SUFFIX}")


def receipt_text(entry: Entry) -> bytes:
    """The receipt as it is laid beside the file."""
    told = {"v": 1, "file": shown(entry.place), "device": entry.device, "receipt": entry.receipt}
    return msgspec.json.format(msgspec.json.encode(told), indent=1) + b"\n"
