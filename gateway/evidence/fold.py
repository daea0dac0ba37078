"""The fold that makes the catalogue out of the log: one entry applied to one exhibit, pure."""

from __future__ import annotations

import hashlib
import math
from datetime import datetime
from typing import Any

import msgspec

from gateway.domain.time import from_rfc3339
from gateway.evidence.rows import CustodyEntry, Entry, Exhibit

# What is in the vault is said once, when it gets there. A clip's entry holds the clip's hash, a viewing the viewer.
ADMITTING = frozenset({"receive", "seal", "supersede"})
CHANGING = frozenset({"categorise", "amend", "attribute", "rule_change", "review", "transfer"})
CHANGEABLE = frozenset(
    {
        *("name", "controller", "category", "holder", "rule", "due", "started_at", "ended_at", "flags"),
        *("exhibit_ref", "incident", "review_due"),
    },
)
# Each of these is set by kinds of its own, whatever an entry of another kind says.
OWN = frozenset({"holds", "disposal", "shredded_at", "copies"})
# What a disposal that erases details takes out of the row: all that only details told, and what leads to a person.
PERSONAL = (
    *("device", "recording", "name", "holder", "started_at", "ended_at", "exhibit_ref", "incident", "flags"),
    *("content_type", "container", "codecs", "duration_s", "media_created_at", "playable", "media_reason"),
)
DETAIL_ERASED = "detail-erased"
"""The hold that an exhibit comes back with where a detail of it is gone and nobody disposed of it."""
# What an examination of the master found: only a `derive` that says so sets it, and nothing else sets it.
MEDIA = frozenset(
    {"container", "codecs", "duration_s", "media_created_at", "playable", "media_reason", "thumbnail"},
)
SHREDDING = frozenset({"key_destroy", "dispose"})
TEXTS = (
    *("device", "recording", "name", "controller", "category", "content_type", "sha256", "blob", "blob_sha256"),
    *("key", "holder", "rule", "due", "supersedes", "container", "playable", "media_reason", "thumbnail"),
    *("parent", "exhibit_ref", "incident", "review_due"),
)
TIMES = ("received_at", "started_at", "ended_at", "media_created_at")
LISTS = ("flags", "codecs", "holds")


def custody_entry(entry: Entry) -> CustodyEntry:
    """How an entry is listed."""
    facts = entry.facts
    return CustodyEntry(
        entry.index,
        facts.get("exhibit"),
        facts.get("n"),
        facts["kind"],
        from_rfc3339(facts["at"]),
        None if entry.detail is None else entry.detail.get("actor"),
        hashlib.sha256(entry.leaf).hexdigest(),
        facts["hmac"],
    )


def named_exhibits(entry: Entry) -> set[str]:
    """Which exhibits an entry can change: its own, and the one that it supersedes."""
    said = {**(entry.detail or {}), **entry.facts}
    return {name for name in (entry.facts.get("exhibit"), said.get("supersedes")) if isinstance(name, str)}


def apply_to(known: dict[str, Exhibit], entry: Entry) -> None:
    """Fold one entry into the exhibits by id; acts on no exhibit change none."""
    about = entry.facts.get("exhibit")
    if about is None:
        return
    before = known.get(about)
    after = known[about] = fold(before, entry)
    if after.supersedes in known and (before is None or before.supersedes != after.supersedes):
        older = known[after.supersedes]
        known[older.id] = msgspec.structs.replace(older, superseded_by=after.id)


def fold(before: Exhibit | None, entry: Entry) -> Exhibit:
    """The exhibit after one more entry of its chain; unknown kinds move the chain only."""
    facts = entry.facts
    exhibit = before or Exhibit(id=facts["exhibit"], log_index=entry.index)
    changes: dict[str, Any] = {"n": facts["n"], "prev": hashlib.sha256(entry.leaf).hexdigest()}
    if is_examination(facts):
        # Anew as a whole: what this one did not find is not left over from an earlier one.
        changes |= {name: () if name in LISTS else None for name in MEDIA}
    if facts["kind"] in ADMITTING | CHANGING or is_examination(facts):
        said = _described({**(entry.detail or {}), **facts})
        changes |= {name: what for name, what in said.items() if _may_set(facts, name)}
    changes |= _by_kind(exhibit, entry)
    if entry.detail is None and exhibit.shredded_at is None and facts["kind"] not in SHREDDING:
        changes |= {"held": True, "holds": _with(changes.get("holds", exhibit.holds), DETAIL_ERASED)}
    return msgspec.structs.replace(exhibit, **changes)


def is_examination(facts: dict[str, Any]) -> bool:
    """Whether an entry says what the system found in the master (a derived copy's facts are of that copy)."""
    return facts["kind"] == "derive" and facts.get("what") == "media"


def _may_set(facts: dict[str, Any], name: str) -> bool:
    if name in OWN:
        return False
    if is_examination(facts) or name in MEDIA:
        return is_examination(facts) and name in MEDIA
    return facts["kind"] in ADMITTING or name in CHANGEABLE


def _described(said: dict[str, Any]) -> dict[str, Any]:
    """Every word of the exhibit that the entry says, of the type it should have."""
    changes: dict[str, Any] = {name: said[name] for name in TEXTS if isinstance(said.get(name), str)}
    changes |= {name: moment for name in TIMES if (moment := _moment(said.get(name))) is not None}
    changes |= {name: said[name] for name in ("complete", "held") if isinstance(said.get(name), bool)}
    if type(said.get("size")) is int:
        changes["size"] = said["size"]
    changes |= {name: tuple(map(str, said[name])) for name in LISTS if isinstance(said.get(name), list)}
    seconds = said.get("duration_s")
    if isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and math.isfinite(seconds):
        changes["duration_s"] = float(seconds)
    if "holder" in said and said["holder"] is None:
        changes["holder"] = None
    return changes


def _by_kind(exhibit: Exhibit, entry: Entry) -> dict[str, Any]:
    at = from_rfc3339(entry.facts["at"])
    match entry.facts["kind"]:
        case "receive":
            return {"received_at": exhibit.received_at or at}
        case "seal":
            return {"sealed_at": at, "log_index": entry.index}
        case "hold" | "release" | "copy_verified":
            return _kept(exhibit, entry)
        case "dispose_request" | "dispose_cancel" | "key_destroy" | "dispose":
            return _disposed(exhibit, entry, at)
        case _:
            return {}


def _kept(exhibit: Exhibit, entry: Entry) -> dict[str, Any]:
    facts = entry.facts
    if facts["kind"] == "copy_verified":
        return {"copies": facts["copies"]} if type(facts.get("copies")) is int else {}
    name = str(facts.get("hold", ""))
    holds = tuple(each for each in exhibit.holds if each != name)
    holds = _with(holds, name) if facts["kind"] == "hold" else holds
    return {"holds": holds, "held": bool(holds)}


def _disposed(exhibit: Exhibit, entry: Entry, at: datetime) -> dict[str, Any]:
    match entry.facts["kind"]:
        case "dispose_request":
            return {"disposal": str(entry.facts.get("disposal", ""))}
        case "dispose_cancel":
            return {"disposal": None}
        case "key_destroy":
            return {"shredded_at": exhibit.shredded_at or at, "holds": (), "held": False}
        case _:
            gone = {"disposed_at": at, "holds": (), "held": False}
            erased = entry.facts.get("details") == "erased"
            return gone | ({name: () if name in LISTS else None for name in PERSONAL} if erased else {})


def _with(holds: tuple[str, ...], name: str) -> tuple[str, ...]:
    return holds if name in holds else (*holds, name)


def _moment(text: object) -> Any:  # noqa: ANN401 - datetime or None, as the fold wants it
    if not isinstance(text, str):
        return None
    try:
        return from_rfc3339(text)
    except ValueError:
        return None
