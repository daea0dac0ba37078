"""Each kind of the log under one verb, none forgotten; cells that no spreadsheet runs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.evidence.rows import CustodyEntry
from gateway.evidence.work.verbs import COLUMNS, KINDS, OTHER, kinds_of, shown, verb_of

ENTRY = CustodyEntry(7, "X-1", 3, "transfer", datetime(2026, 11, 21, tzinfo=UTC), "ann", "00", "11")
SYSTEM = {
    *("verify_pass", "verify_fail", "key_rotate", "copy_verified", "backup", "restore", "account", "login_failed"),
    "clock_step",
}


def test_every_kind_of_the_contract_has_its_verb(shared: Path) -> None:
    """One each; what falls under none is the system's own, by name."""
    kinds = json.loads((shared / "examples/wire/log.json").read_text())["kinds"]
    assert {kind for kind in kinds if verb_of(kind, {}) == OTHER} == SYSTEM
    listed = [kind for under in KINDS.values() for kind in under]
    assert len(listed) == len(set(listed))


def test_an_examination_is_collection() -> None:
    """A derived copy combines; what the system found in the master is part of taking it in."""
    assert (verb_of("derive", {"what": "media"}), verb_of("derive", {"derived": "X-2"})) == (
        "collection",
        "combination",
    )
    assert "derive" in kinds_of(["collection"])
    assert kinds_of(["collection", OTHER]) is None


@pytest.mark.parametrize(
    ("detail", "why", "whom"),
    [
        ({"purpose": "trial", "recipient": "CPS"}, "trial", "CPS"),
        ({"reason": "court"}, "court", None),
        ({"purpose": None, "reason": 7, "recipient": 1}, None, None),
        (None, None, None),
    ],
)
def test_what_is_shown(detail: dict | None, why: str | None, whom: str | None) -> None:
    """Justification and recipient where there are any; an erased detail is said to be."""
    act = shown(ENTRY, {}, detail)
    assert (act.verb, act.justification, act.recipient, act.readable) == ("disclosure", why, whom, detail is not None)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "  =1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    """An apostrophe before whatever might be taken for one."""
    cells = shown(ENTRY, {}, {"purpose": text}).cells()
    assert cells[COLUMNS.index("justification")] == f"'{text}"
    assert cells[COLUMNS.index("recipient")] == ""
