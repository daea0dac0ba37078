"""scrub.db: who is due, what was found, over a reopening; lost, it begins anew."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import MisuseError
from gateway.evidence.scrub import Checked
from gateway.store.scrubs import Scrubs

AT = datetime(2026, 11, 21, 21, 8, 2, tzinfo=UTC)


@pytest.fixture
def scrubs(tmp_path: Path) -> Iterator[Scrubs]:
    """One, open, that knows of three exhibits."""
    found = Scrubs(tmp_path / "evidence" / "scrub.db")
    found.open()
    found.take_up(["X-1", "X-2", "X-3"], 9)
    yield found
    found.close()


def test_the_longest_overdue_first(scrubs: Scrubs) -> None:
    """Never looked at before all others, then by when it was due; nothing before its time."""
    assert scrubs.next_due(0.0) == "X-1"
    scrubs.tell(Checked("X-1", AT), 200.0, 10)
    scrubs.tell(Checked("X-2", AT), 100.0, 10)
    assert scrubs.next_due(50.0) == "X-3"
    scrubs.tell(Checked("X-3", AT), 300.0, 10)
    assert [scrubs.next_due(at) for at in (99.0, 100.0, 1000.0)] == [None, "X-2", "X-2"]


def test_taken_up_twice_keeps_what_is_known(scrubs: Scrubs) -> None:
    """Seals seen again, as after a successor log, change nothing."""
    scrubs.tell(Checked("X-1", AT, "sha256", "H-1"), 200.0, 10)
    scrubs.take_up(["X-1", "X-4"], 12)
    assert scrubs.verdict("X-1") == Checked("X-1", AT, "sha256", "H-1")
    assert scrubs.verdict("X-4") == Checked("X-4")
    assert (scrubs.seen, scrubs.failing()) == (12, ["X-1"])


def test_kept_over_a_reopening(scrubs: Scrubs) -> None:
    """All of it."""
    scrubs.tell(Checked("X-2", AT, "missing", "H-2"), 200.0, 10)
    scrubs.tell_summary({"at": "2026-11-21T21:08:02Z", "checked": "1"})
    scrubs.close()
    scrubs.open()
    assert scrubs.verdict("X-2") == Checked("X-2", AT, "missing", "H-2")
    assert scrubs.told() == {"at": "2026-11-21T21:08:02Z", "checked": "1"}
    assert scrubs.counts(1000.0) == {"blobs": 3, "never": 2, "failing": 1, "overdue": 1, "checked": 1, "octets": 10}
    scrubs.forget("X-2")
    assert scrubs.verdict("X-2") is None


def test_closed(tmp_path: Path) -> None:
    """Asked before it is open: our own fault, said so."""
    with pytest.raises(MisuseError):
        Scrubs(tmp_path / "scrub.db").next_due(0.0)


def test_damaged_it_begins_anew(scrubs: Scrubs) -> None:
    """It is only a memory: garbage in its place keeps nobody from opening, and every blob is due again."""
    scrubs.close()
    scrubs.path.write_bytes(b"no database" * 500)
    scrubs.open()
    assert (scrubs.seen, scrubs.next_due(0.0)) == (0, None)
    scrubs.take_up(["X-1"], 3)
    assert scrubs.next_due(0.0) == "X-1"
