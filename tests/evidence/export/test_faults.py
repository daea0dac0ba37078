"""The fault record: versions by what they wrote, their defects, losses by day; what nobody counted is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.crypto.canonical import canonical
from gateway.errors import ConfigError
from gateway.evidence.export.defects import known_defects
from gateway.evidence.export.faults import BELOW_A_STEP, Built, Kept, builds_of, fault_record
from gateway.evidence.rows import CustodyEntry

AT = datetime(2026, 11, 22, 7, tzinfo=UTC)
LEAF = canonical({"v": 1, "at": "x", "steps": 3, "step_ms": -90_000, "build": "0.4", "hmac": "ab"})


def kept(**more: object) -> Kept:
    """Nothing is on record but what is said."""
    nothing = {"kinds": {}, "listed": [], "builds": [], "quarantined": None, "lost": None, "starts": [], "defects": []}
    return Kept(**{**nothing, **more})  # type: ignore[arg-type]


def test_what_it_says_of_itself() -> None:
    """Listed entries with their facts in clear; versions by what they wrote and our own; their defects alone."""
    entry = CustodyEntry(4, None, None, "clock_step", AT, None, "", "")
    defects = [("D-1", ("0.4", "0.1"), "a"), ("D-2", ("0.5",), "b")]
    found = kept(kinds={"seal": 2, "verify_fail": 1}, listed=[(entry, LEAF)], builds=[Built("0.4", 2, 3, 4)])
    body = fault_record(found, AT, AT, "0.9")
    assert (body["versions"], body["known_defects"]) == (["0.4", "0.9"], [])
    assert body["builds"] == [{"build": "0.4", "entries": 2, "first": 3, "last": 4}]
    (listed,) = body["listed"]
    assert (listed["index"], listed["at"], listed["step_ms"]) == (4, "2026-11-22T07:00:00Z", -90_000)
    assert not {"hmac", "v"} & listed.keys()
    assert (body["clock"], body["failed_verifications"], body["listed_all"]) == ({"steps": 3}, 1, True)
    assert fault_record(kept(defects=defects), AT, AT, "0.4")["known_defects"] == [
        {"id": "D-1", "versions": ["0.4"], "text": "a"}
    ]


def test_a_day_that_nobody_counted_is_not_a_day_without_losses() -> None:
    """Null is not zero: each such day is named; a day that was counted and lost nothing is not."""
    never = fault_record(kept(), AT, AT, "0.9")
    assert (never["quarantined"], never["lost"], len(never["not_recorded"])) == (None, {}, 2)
    lost = {"2026-11-21": {"intake_journal_dropped": 7}, "2026-11-22": {}}
    counted = fault_record(kept(lost=lost), AT - timedelta(days=1), AT, "0.9")
    assert (counted["lost"], counted["days_counted"]) == ({"2026-11-21": {"intake_journal_dropped": 7}}, 2)
    assert counted["not_recorded"] == [BELOW_A_STEP]
    before = fault_record(kept(lost=lost), AT - timedelta(days=3), AT, "0.9")
    assert before["not_recorded"][1].endswith("on 2 days on which nothing counted them: 2026-11-19, 2026-11-20")


def test_versions_by_what_they_wrote() -> None:
    """Each version once, with its first and last entry, whatever else the leaf holds."""
    leaves = [canonical({"v": 1, "kind": '"build":"no"', "build": build}) for build in ("1", "1", "2", "1")]
    assert builds_of(enumerate([*leaves, b"{}"], 10)) == [
        Built("1", 3, 10, 13),
        Built("2", 1, 12, 12),
        Built("unknown", 1, 14, 14),
    ]


def test_a_newer_copy_adds_and_corrects(tmp_path: Path) -> None:
    """The release's own are there; a file of the site adds to them; one that cannot be read names file and key."""
    shipped = known_defects()
    assert all(each.versions for each in shipped)
    newer = tmp_path / "known.toml"
    newer.write_text(f'v = 1\n[[defect]]\nid = "{shipped[0].id}"\nversions = ["9"]\ntext = "as corrected"\n')
    newer.write_text(newer.read_text() + '[[defect]]\nid = "N-1"\nversions = ["1"]\ntext = "new"\n')
    found = {each.id: each for each in known_defects(str(newer))}
    assert (found[shipped[0].id].text, found["N-1"].versions) == ("as corrected", ("1",))
    newer.write_text("[[defect]]\nid = 3\n")
    with pytest.raises(ConfigError, match=r"known\.toml: evidence\.known_defects"):
        known_defects(str(newer))
    with pytest.raises(ConfigError, match="cannot be read"):
        known_defects(str(tmp_path / "none"))
