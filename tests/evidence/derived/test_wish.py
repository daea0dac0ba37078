"""What may be asked of a master, and what the log says of what was made."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.domain.ids import ExhibitId
from gateway.evidence.derived.wish import DeriveJob, Made, Sealing, Wish, WishError, acts
from gateway.evidence.rows import Exhibit

AT = datetime(2026, 11, 21, 21, 5, 3, tzinfo=UTC)
MASTER = Exhibit(
    id="X-1",
    size=10,
    sha256="ab",
    sealed_at=AT,
    started_at=AT,
    duration_s=12.0,
    name="../20261121.mp4",
    controller="PCC",
    category="crime",
    rule="PCC/crime@2",
    due="2033-01-01",
    holder="P-0014",
    device="cam-1",
    flags=("device_revoked", "late_segments"),
)
CLIP = Wish("X-1", "clip_copy", "trial", "u1", 3.0, 5.5)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        (Wish("X-1", "clip_copy", " ", "u1", 3, 5), "purpose"),
        (Wish("X-1", "clip_copy", "p", "u1", None, 5), "from_s"),
        (Wish("X-1", "clip_copy", "p", "u1", 5, 5), "to_s: 5 is not behind"),
        (Wish("X-1", "clip_copy", "p", "u1", 12, 13), "behind the end"),
        (Wish("X-1", "clip_copy", "p", "u1", float("nan"), 13), "from_s"),
        (Wish("X-1", "clip_copy", "p", "u1", -1, 13), "from_s"),
        (Wish("X-1", "still", "p", "u1"), "at_s"),
        (Wish("X-1", "still", "p", "u1", at_s=12.5), "behind the end"),
        (Wish("X-1", "h264_copy", "p", "u1", at_s=2.0), "at_s: h264_copy is made of the whole"),
    ],
)
def test_what_cannot_be_asked(wish: Wish, said: str) -> None:
    """Field and reason, before anything is put down."""
    with pytest.raises(WishError, match=said):
        wish.check(MASTER)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (None, "no such exhibit"),
        (Exhibit(id="X-1"), "not sealed"),
        (Exhibit(id="X-1", sealed_at=AT, size=1, sha256="a", disposed_at=AT), "disposed of"),
        (Exhibit(id="X-1", sealed_at=AT, size=1, sha256="a", shredded_at=AT), "disposed of"),
    ],
)
def test_masters_of_which_nothing_is_made(row: Exhibit | None, said: str) -> None:
    """What is not there, not whole, or not ours any more."""
    with pytest.raises(WishError, match=said):
        CLIP.check(row)


def test_what_the_log_says_of_a_clip() -> None:
    """The master's own entry names it; the new one names master and hash, and inherits what decides its fate."""
    job = DeriveJob(ExhibitId("X-2"), "f" * 32, CLIP, "2026-11-22T07:00:00Z")
    made = Made("ffmpeg 7", ("-i", "MASTER"), 2.0, 6.0)
    clip, receive, seal = acts(job, MASTER, made, Sealing("cd", 5, "ef", "kek-1"))
    assert (clip.kind, clip.exhibit, clip.facts) == ("clip", "X-1", {"from_s": 2.0, "to_s": 6.0, "derived": "X-2"})
    assert (clip.detail["purpose"], clip.detail["asked"]) == ("trial", {"from_s": 3.0, "to_s": 5.5})
    assert (receive.kind, receive.exhibit, receive.facts["parent"]) == ("receive", "X-2", "X-1")
    told = seal.facts
    assert {name: told[name] for name in ("controller", "category", "rule", "due", "parent", "blob", "sha256")} == {
        "controller": "PCC",
        "category": "crime",
        "rule": "PCC/crime@2",
        "due": "2033-01-01",
        "parent": "X-1",
        "blob": "f" * 32,
        "sha256": "cd",
    }
    assert seal.detail["derived"]["master_sha256"] == "ab"
    assert seal.detail["name"] == "20261121-clip-2.000-6.000.mp4"
    assert (seal.detail["started_at"], seal.detail["ended_at"]) == ("2026-11-21T21:05:05Z", "2026-11-21T21:05:09Z")
    assert seal.detail["flags"] == ["derived", "device_revoked"], "who may not see the master may not see its clip"
    assert "P-0014" not in str(told)


def test_what_the_log_says_of_a_still() -> None:
    """A `derive` with the recipe's name; no media facts of the master are touched."""
    job = DeriveJob(ExhibitId("X-2"), "f" * 32, Wish("X-1", "still", "p", "u1", at_s=3.3), "2026-11-22T07:00:00Z")
    derive, _, seal = acts(job, MASTER, Made("ffmpeg 7", ()), Sealing("cd", 5, "ef", "kek-1"))
    assert (derive.kind, derive.facts) == ("derive", {"derived": "X-2", "recipe": "still"})
    assert seal.detail["name"] == "20261121-still-3.300.png"
    assert seal.detail["started_at"] == "2026-11-21T21:05:06.300Z"
