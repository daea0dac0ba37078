"""What is asked to be made of a master, how far that has got, and what the log says of it. Pure."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Any, Literal

import msgspec

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId
from gateway.domain.time import rfc3339
from gateway.errors import EvidenceError
from gateway.evidence.rows import Exhibit
from gateway.evidence.settling import RESTRICTING

Recipe = Literal["clip_copy", "clip_exact", "h264_copy", "still", "audio"]
State = Literal["waiting", "making", "done", "failed"]
CLIPS = frozenset({"clip_copy", "clip_exact"})
FLAG = "derived"
WORDS_MAX = 1000
LONGEST_S = 10 * 86_400.0
SUFFIXES = {
    "clip_copy": (".mp4", "video/mp4"),
    "clip_exact": (".mp4", "video/mp4"),
    "h264_copy": (".mp4", "video/mp4"),
    "still": (".png", "image/png"),
    "audio": (".flac", "audio/flac"),
}


class WishError(EvidenceError):
    """What was asked for cannot be made, or not so."""


class MakingError(EvidenceError):
    """It was tried and could not be made; says why. Trying again would not help."""


class Wish(msgspec.Struct, frozen=True):
    """Of which master, by which recipe, from when to when (seconds of the recording), why, by whom."""

    master: str
    recipe: Recipe
    purpose: str
    actor: str
    from_s: float | None = None
    to_s: float | None = None
    at_s: float | None = None

    def check(self, row: Exhibit | None) -> Exhibit:
        """The master; WishError says what is wrong with the wish, or with the master."""
        if not self.purpose.strip() or len(self.purpose) > WORDS_MAX:
            raise WishError(f"purpose: say it, in at most {WORDS_MAX} characters")
        if row is None:
            raise WishError(f"{self.master}: there is no such exhibit")
        if row.disposed_at is not None or row.shredded_at is not None:
            raise WishError(f"{row.id}: it was disposed of")
        if row.sealed_at is None or row.size is None or row.sha256 is None:
            raise WishError(f"{row.id}: it is not sealed")
        self._check_times(row.duration_s)
        return row

    def _check_times(self, duration_s: float | None) -> None:
        if self.recipe in CLIPS:
            begin, end = _second(self.from_s, "from_s"), _second(self.to_s, "to_s")
            if end <= begin:
                raise WishError(f"to_s: {end:g} is not behind {begin:g}, where it begins")
            _inside(begin, duration_s, "from_s")
        elif self.recipe == "still":
            _inside(_second(self.at_s, "at_s"), duration_s, "at_s")
        elif self.at_s is not None:
            raise WishError(f"at_s: {self.recipe} is made of the whole; a still has a second of its own")


def _second(value: float | None, name: str) -> float:
    if value is None or not math.isfinite(value) or not 0 <= value <= LONGEST_S:
        raise WishError(f"{name}: say a second of the recording, from 0 on")
    return value


def _inside(second: float, duration_s: float | None, name: str) -> None:
    if duration_s is not None and second >= duration_s:
        raise WishError(f"{name}: {second:g} is behind the end, {duration_s:g}")


class Made(msgspec.Struct, frozen=True):
    """How it was made: tool and version, its arguments, the bounds that it really has, its suffix and type."""

    tool: str
    command: tuple[str, ...]
    from_s: float | None = None
    to_s: float | None = None
    suffix: str | None = None
    content_type: str | None = None


class DeriveJob(msgspec.Struct, frozen=True):
    """One wish on its way: the exhibit and the blob that it becomes, where it stands and, where it failed, why."""

    exhibit: ExhibitId
    blob: str
    wish: Wish
    asked_at: str
    state: State = "waiting"
    reason: str | None = None
    begun: int = 0
    ended_at: str | None = None
    v: int = 1


class Sealing(msgspec.Struct, frozen=True):
    """What a new blob holds, and which key-encryption key wraps its identity."""

    sha256: str
    size: int
    blob_sha256: str
    kek: str


def acts(job: DeriveJob, master: Exhibit, made: Made, sealing: Sealing) -> list[Act]:
    """The master's own entry, then `receive` and `seal` of what was made: one batch."""
    actor, parent = job.wish.actor, {"parent": master.id}
    whose = {"controller": master.controller}
    told = {"derived": _derived(job.wish, master, made)}
    facts: dict[str, Any] = {
        **whose,
        **parent,
        "category": master.category or "uncategorised",
        "sha256": sealing.sha256,
        "size": sealing.size,
        "complete": True,
        "rule": master.rule,
        "due": master.due,
        "held": False,
        "blob": job.blob,
        "blob_sha256": sealing.blob_sha256,
        "key": sealing.kek,
    }
    return [
        Act(*_on_master(job, made), detail={"sha256": sealing.sha256, **told["derived"]}),
        Act("receive", actor, job.exhibit, {**whose, **parent}, told),
        Act("seal", actor, job.exhibit, facts, {**told, **_detail(job, master, made)}),
    ]


def _on_master(job: DeriveJob, made: Made) -> tuple[str, str, ExhibitId, dict[str, Any]]:
    wish, derived = job.wish, {"derived": job.exhibit}
    if wish.recipe in CLIPS:
        bounds = {"from_s": made.from_s, "to_s": made.to_s}
        return "clip", wish.actor, ExhibitId(wish.master), {**bounds, **derived}
    return "derive", wish.actor, ExhibitId(wish.master), {**derived, "recipe": wish.recipe}


def _derived(wish: Wish, master: Exhibit, made: Made) -> dict[str, Any]:
    asked = {name: getattr(wish, name) for name in ("from_s", "to_s", "at_s") if getattr(wish, name) is not None}
    bounds = {} if made.from_s is None else {"from_s": made.from_s, "to_s": made.to_s}
    return {
        "master": master.id,
        "master_sha256": master.sha256,
        "recipe": wish.recipe,
        "purpose": wish.purpose,
        "asked": asked,
        **bounds,
        "tool": made.tool,
        "command": list(made.command),
    }


def _detail(job: DeriveJob, master: Exhibit, made: Made) -> dict[str, Any]:
    begin = made.from_s if made.from_s is not None else job.wish.at_s
    started, ended = master.started_at, master.ended_at
    if begin is not None and started is not None:
        ended = started + timedelta(seconds=made.to_s) if made.to_s is not None else None
        started = started + timedelta(seconds=begin)
    suffix, kind = SUFFIXES[job.wish.recipe]
    return {
        "device": master.device,
        "recording": None,
        "name": _name(master, job.wish, made) + (made.suffix or suffix),
        "content_type": made.content_type or kind,
        "holder": master.holder,
        "started_at": _print(started),
        "ended_at": _print(ended),
        "user_data": {},
        # Whoever may not see the master may not see what is made of it.
        "flags": [FLAG, *(flag for flag in master.flags if flag in RESTRICTING)],
        "device_signature": "absent",
    }


def _name(master: Exhibit, wish: Wish, made: Made) -> str:
    stem = PurePath(master.name or master.id).stem[:100]
    if made.from_s is not None and made.to_s is not None:
        return f"{stem}-clip-{made.from_s:.3f}-{made.to_s:.3f}"
    return f"{stem}-still-{wish.at_s:.3f}" if wish.recipe == "still" else f"{stem}-{wish.recipe.replace('_', '-')}"


def _print(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
