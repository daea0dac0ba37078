"""Acts of every kind on many exhibits, as the real log takes them; no blobs: the catalogue knows of none."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from gateway.domain.evidence import Act
from gateway.domain.ids import ExhibitId

KINDS = (
    *("categorise", "annotate", "amend", "attribute", "hold", "release", "review", "transfer", "disclose", "play"),
    *("download", "dispose_request", "dispose_approve", "dispose_cancel", "key_destroy", "dispose", "copy_verified"),
    *("verify_fail", "verify_pass", "derive", "clip", "export", "supersede", "rule_change", "something_new"),
)


def sealed(number: int) -> list[Act]:
    """Receive and seal one exhibit."""
    name, digest = ExhibitId(f"X-{number:012d}"), hashlib.sha256(str(number).encode()).hexdigest()
    told = {
        "device": f"cam-{number % 40:04d}",
        "recording": f"20261121T210503Z-{number:05d}",
        "name": f"recording {number}.mp4",
        "holder": f"P-{number % 90:04d}" if number % 5 else None,
        "candidates": [f"P-{number % 90:04d}"],
        "flags": ["clock_unsynchronised"] if number % 7 == 0 else [],
        "started_at": "2026-11-21T21:05:03Z",
        "ended_at": "2026-11-21T21:06:40.250Z",
        "content_type": "video/mp4",
        "user_data": {"note": "é"},
    }
    facts: dict[str, Any] = {
        "controller": "PCC",
        "category": "uncategorised",
        "sha256": digest,
        "size": number * 1000,
        "complete": number % 11 != 0,
        "rule": "PCC/uncategorised@3",
        "due": "2026-12-22",
        "held": False,
        "blob": digest[:32],
        "blob_sha256": digest[::-1],
        "key": "kek-1",
    }
    if number and number % 13 == 0:
        facts["supersedes"] = f"X-{number - 1:012d}"
    device = {"device": told["device"], "recording": told["recording"]}
    return [Act("receive", "system", name, {"controller": "PCC"}, device), Act("seal", "system", name, facts, told)]


def some_act(kind: str, number: int, dice: random.Random) -> Act:
    """One act of this kind, saying what such acts say, and some things that they have no right to."""
    name, who = ExhibitId(f"X-{number:012d}"), f"P-{dice.randrange(9)}"
    hold = f"H-{dice.randrange(3):012d}"
    facts: dict[str, Any] = {
        "categorise": {
            "category": "evidential",
            "rule": "PCC/evidential@1",
            "due": f"20{dice.randrange(27, 40)}-01-01",
        },
        "hold": {"hold": hold},
        "release": {"hold": hold},
        "review": {"due": "2031-01-01", "review_due": "2030-06-01", "decision": "keep"},
        "transfer": {"controller": dice.choice(["PCC", "POL"])},
        "dispose_request": {"disposal": f"D-{dice.randrange(9):012d}", "ground": "due"},
        "key_destroy": {"disposal": "D-000000000001"},
        "copy_verified": {"copies": dice.randrange(1, 4), "of": 3},
        "derive": {"what": "media", "thumbnail": "ab" * 32}
        if dice.random() < 0.7
        else {"derived": "X-9", "recipe": "r"},
        "clip": {"from_s": 1.5, "to_s": 9, "derived": "X-9", "size": 3},
        "supersede": {"supersedes": "X-000000000000"},
        "rule_change": {"rule": "PCC/x@4"},
    }.get(kind, {})
    detail: dict[str, Any] = {
        "categorise": {"exhibit_ref": "JB/1", "incident": "PCC-2026-1", "note": "x", "size": 1},
        "annotate": {"text": "é", "at_s": 3.25},
        "amend": {"started_at": "2026-11-21T20:05:03Z", "field": "started_at", "was": None, "sha256": "no"},
        "attribute": {"holder": dice.choice(["P-0099", None]), "flags": ["holder_corrected"]},
        "derive": {"container": "mp4", "codecs": ["h264", "aac"], "duration_s": 97.25, "playable": "partial"},
    }.get(kind, {"reason": "because"})
    return Act(kind, who, name, facts, detail)
