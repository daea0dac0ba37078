"""losses.db: counts by day and reason, bounded, kept over a restart."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from gateway.store.losses import KEPT_DAYS, OTHER, REASONS_MAX, LossStore

DAY = date(2026, 11, 22)


def test_counts_add_up_over_restarts(tmp_path: Path) -> None:
    """Each day by itself; a day on which nothing was lost was counted all the same."""
    for _ in range(2):
        store = LossStore(tmp_path / "losses.db")
        store.add(DAY, {"intake_journal_dropped": 3})
        store.add(DAY + timedelta(days=1), {})
        store.close()
    store = LossStore(tmp_path / "losses.db")
    assert store.between(DAY, DAY + timedelta(days=9)) == {
        "2026-11-22": {"intake_journal_dropped": 6},
        "2026-11-23": {},
    }
    assert (store.between(DAY - timedelta(days=5), DAY - timedelta(days=1)), store.total()) == ({}, 6)
    store.close()


def test_it_stays_small(tmp_path: Path) -> None:
    """Reasons beyond the bound are one; days beyond the years that are kept go; no count is lost of those kept."""
    store = LossStore(tmp_path / "losses.db")
    store.add(DAY - timedelta(days=KEPT_DAYS + 1), {"old": 1})
    store.add(DAY, {f"r{n}": 1 for n in range(REASONS_MAX + 50)})
    (found,) = store.between(date(1, 1, 1), date(9999, 1, 1)).values()
    assert (len(found), found[OTHER], sum(found.values())) == (REASONS_MAX, 51, REASONS_MAX + 50)
    store.close()
