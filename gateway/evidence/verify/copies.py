"""Copies of the store at other places, laid out as it is: whether they hold what the log says that was copied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from gateway.evidence.verify.blobs import blob_path
from gateway.evidence.verify.kept import Seen, age_size


def judge_copies(seen: Seen, places: Sequence[Path]) -> None:
    """Of each exhibit as many copies, the first included, as its newest `copy_verified` entry says."""
    if not places:
        return
    for name, exhibit in seen.exhibits():
        said, seal = exhibit.said.get("copies"), exhibit.seal
        if not isinstance(said, int) or seal is None or exhibit.disposed is not None:
            continue
        relative, wanted = blob_path(seal.facts["blob"]), age_size(seal.facts["size"])
        lacking = [place for place in places if not _holds(place / relative, wanted)]
        seen.told.count("copies", len(places) - len(lacking))
        if len(places) - len(lacking) < said - 1:
            for place in lacking:
                why = f"a copy_verified entry: {said} copies"
                seen.told.missing(f"copy {place}: {relative}", name, why)


def _holds(path: Path, size: int) -> bool:
    try:
        return path.lstat().st_size == size
    except OSError:
        return False
