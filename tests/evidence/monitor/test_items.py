"""What an exhibit's entries come to, and which columns of a row disagree."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.evidence.monitor.items import Item, differs, step
from gateway.evidence.verify.leaves import Leaf


def leaf(n: int, prev: str | None, kind: str, **facts: Any) -> Leaf:
    """An entry of X-1."""
    return Leaf(n - 1, kind, "2026-11-22T09:00:00.000Z", "X-1", n, prev, "0" * 64, f"{n:064x}", facts)


def chain(*acts: tuple[str, dict[str, Any]]) -> Item:
    """The item after these acts."""
    item: Item | None = None
    for n, (kind, facts) in enumerate(acts, 1):
        item = step(item, leaf(n, item.prev if item else None, kind, **facts))
    assert item is not None
    return item


def test_a_life() -> None:
    """Sealed, held twice, released once, then disposed of: which ends all holds."""
    acts = [
        ("seal", {"sha256": "ab"}),
        ("hold", {"hold": "H-1"}),
        ("hold", {"hold": "H-2"}),
        ("release", {"hold": "H-1"}),
    ]
    item = chain(*acts)
    assert (item.n, item.sha256, item.holds) == (4, "ab", ("H-2",))
    item = chain(*acts, ("key_destroy", {}), ("dispose", {}))
    assert (item.holds, item.shredded, item.disposed) == ((), True, True)


@pytest.mark.parametrize(("n", "prev"), [(3, f"{1:064x}"), (2, "f" * 64), (1, None)])
def test_a_broken_link(n: int, prev: str | None) -> None:
    """A number left out, another predecessor, or a chain that begins twice."""
    with pytest.raises(ValueError, match="expected n 2"):
        step(chain(("seal", {})), leaf(n, prev, "view"))


def test_which_columns_differ() -> None:
    """Each for itself; a hold that the catalogue adds to what it cannot read is none."""
    item = chain(("seal", {"sha256": "ab"}), ("hold", {"hold": "H-1"}))
    row: dict[str, Any] = {
        "n": 2,
        "prev": item.prev,
        "sha256": "ab",
        "sealed_at": "t",
        "holds": '["H-1","detail-erased"]',
    }
    assert differs(item, row) == []
    for name, value in {
        "n": 3,
        "prev": "x",
        "sha256": "cd",
        "holds": None,
        "shredded_at": "t",
        "disposed_at": "t",
    }.items():
        assert differs(item, {**row, name: value}) == [name]
