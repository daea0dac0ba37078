"""Custody as it goes out: no formulas for any text, and a chain that is none is refused."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.crypto.canonical import canonical
from gateway.errors import IntegrityError
from gateway.evidence.export.chains import Link, custody_csv, links, plain_cell
from gateway.evidence.rows import CustodyEntry

AT = datetime(2026, 11, 22, tzinfo=UTC)


@given(st.text())
def test_no_cell_is_a_formula(text: str) -> None:
    """Whatever it was; and what was plain stays as it was."""
    cell = plain_cell(text)
    assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell in (text, "'" + text)


@given(st.text(st.characters(exclude_categories=("Cs",))), st.text(st.characters(exclude_categories=("Cs",))))
def test_every_text_survives_the_reading_copy(actor: str, purpose: str) -> None:
    """Quotes, separators and line ends of an actor move nothing into another column."""
    facts = {"n": 1, "at": "2026-11-22T00:00:00Z", "kind": "view"}
    link = Link(7, b"", facts, {"actor": actor, "purpose": purpose}, b"", "")
    rows = list(csv.reader(io.StringIO(custody_csv([link]).decode(), newline="")))
    assert [len(row) for row in rows] == [7, 7]
    assert rows[1][:4] == ["1", "7", "2026-11-22T00:00:00Z", "view"]
    assert rows[1][4] == plain_cell(actor)


class _Log:
    """Three entries of one exhibit; `broken` is what one of them says instead."""

    vkey = ""

    def __init__(self, **broken: object) -> None:
        self.leaves: list[bytes] = []
        before: str | None = None
        for n in (1, 2, 3):
            facts = {"exhibit": "X-1", "n": n, "prev": before, **(broken if n == 2 else {})}
            self.leaves.append(canonical(facts))
            before = hashlib.sha256(self.leaves[-1]).hexdigest()

    def leaf(self, index: int) -> bytes:
        return self.leaves[index]

    def detail(self, index: int) -> tuple[dict[str, object], bytes] | None:
        return None if index == 1 else ({"actor": "system"}, bytes(32))

    def proof_under(self, index: int, note: str) -> str:
        return f"proof of {index} under {note}"


ENTRIES = [CustodyEntry(index, "X-1", index + 1, "view", AT, None, "", "") for index in range(3)]


def test_lines_are_exact_and_an_erased_detail_is_said() -> None:
    """The leaf as it is in the log; null for what was erased, and the word for it in the reading copy."""
    found = links(_Log(), ENTRIES, "note")  # type: ignore[arg-type]
    assert [link.leaf for link in found] == _Log().leaves
    assert b'"detail":null' in found[1].line()
    assert b'"salt":null' in found[1].line()
    assert all(b"\n" not in link.line()[:-1] for link in found)


@pytest.mark.parametrize("broken", [{"n": 4}, {"prev": "0" * 64}, {"exhibit": "X-2"}])
def test_a_chain_that_is_none(broken: dict[str, object]) -> None:
    """A catalogue that points at entries of other exhibits, or out of order, ends the export."""
    with pytest.raises(IntegrityError, match="is not entry 2 of exhibit X-1"):
        links(_Log(**broken), ENTRIES, "note")  # type: ignore[arg-type]
