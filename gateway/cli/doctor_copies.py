"""`lapel doctor`, second places: are they there, writable, marked, and on another disk than the first store."""

from __future__ import annotations

import os
from pathlib import Path

from gateway.cli.doctor_words import Finding
from gateway.errors import EvidenceError
from gateway.evidence.copies.mark import is_empty, known_places, read_mark
from gateway.settings import Settings

LEAST_FREE_MB = 256


def look(settings: Settings) -> list[Finding]:
    """One finding a place; one that says so where there is none."""
    if not settings.evidence.enabled:
        return []
    if not settings.store.copy_to:
        do = "Set [store] copies = 2 and copy_to: a directory on another disk or host."
        return [Finding("copies", "note", "evidence lies on one disk", do)]
    known = known_places(settings.data / "evidence")
    return [_place(Path(place), known.get(place), settings.data) for place in settings.store.copy_to]


def _place(place: Path, known: str | None, first: Path) -> Finding:
    name = f"copy {place}"
    if not place.is_dir():
        return Finding(name, "wrong", "it is not there", "Mount it; or make the directory, for a new place.")
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Finding(name, "wrong", "it takes no writes of this user", "Correct its owner, or how it is mounted.")
    try:
        mark, empty = read_mark(place), is_empty(place)
    except (EvidenceError, OSError) as wrong:
        return Finding(name, "wrong", str(wrong), "See what lies there; `lapel evidence copies` says more.")
    if mark is None and known is not None:
        return Finding(name, "wrong", f"{known} was there, and is not", "Mount it; or `lapel evidence copies --new`.")
    if mark is None and not empty:
        return Finding(name, "wrong", "it is not empty, and nobody's copy", "Name an empty directory.")
    return _on_disk(name, place, first)


def _on_disk(name: str, place: Path, first: Path) -> Finding:
    there = os.statvfs(place)
    free_mb = there.f_bavail * there.f_frsize >> 20
    if free_mb < LEAST_FREE_MB:
        return Finding(name, "wrong", f"{free_mb} MB are free", "Make room.")
    if first.is_dir() and first.stat().st_dev == place.stat().st_dev:
        return Finding(name, "note", "it is on the first store's file system: both end together", "Name another.")
    return Finding(name, "fine", f"it takes writes; {free_mb} MB are free")
