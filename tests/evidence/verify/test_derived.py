"""Derivatives in the verifier: jobs under way, and masters and what was made of them naming one another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import VerificationError
from gateway.evidence.verify.derived import check_parents, under_way
from gateway.evidence.verify.leaves import Leaf
from gateway.evidence.verify.report import Report


def leaf(index: int, kind: str, exhibit: str, **facts: Any) -> Leaf:
    """One entry."""
    return Leaf(index, kind, "", exhibit, 1, None, "", "", {"kind": kind, **facts})


def found(*leaves: Leaf) -> list[str]:
    """What differs, by place."""
    report = Report("x")
    check_parents(leaves, report)
    return [finding.path for finding in report.findings]


def test_each_names_the_other() -> None:
    """A clip's entry, then the seal: good. A seal nobody speaks of, of another master, or a promise unkept: named."""
    clip, seal = leaf(1, "clip", "X-1", derived="X-2"), leaf(2, "seal", "X-2", parent="X-1")
    assert found(clip, seal) == []
    assert found(seal) == ["log entry 2"]
    assert found(seal, clip) == ["log entry 2"]
    assert found(leaf(1, "clip", "X-3", derived="X-2"), seal) == ["log entry 2"]
    assert found(clip) == ["exhibit X-1"]
    assert found(leaf(1, "derive", "X-1", what="media"), leaf(2, "seal", "X-2")) == []


def test_jobs_under_way(tmp_path: Path) -> None:
    """Waiting and making count, ended ones do not; damage is named, never a traceback."""
    assert under_way(tmp_path / "none") == set()
    for number, state in enumerate(("waiting", "making", "done", "failed")):
        (tmp_path / f"X-{number}.json").write_text(f'{{"v":1,"state":"{state}"}}')
    (tmp_path / "lock").touch()
    assert under_way(tmp_path) == {"X-0.json", "X-1.json"}
    for content in ("{", "[]", '{"v":2,"state":"done"}', '{"v":1,"state":"gone"}', "[" * 5000):
        (tmp_path / "X-9.json").write_text(content)
        with pytest.raises(VerificationError, match=r"derivatives/X-9\.json"):
            under_way(tmp_path)
