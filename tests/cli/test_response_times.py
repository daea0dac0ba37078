"""`lapel response-times`: the figures of the HTTP route, as a table and as JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.dispatch.task import Task
from gateway.domain.ids import UnitId
from gateway.store.roster import RosterStore
from gateway.store.tasks import TaskStore
from tests.cli.conftest import Lapel

NOON = datetime.fromisoformat("2026-11-21T12:00:00+00:00")


@pytest.fixture
def shift(bare: Path) -> Path:
    """Three tasks of two agencies: one answered quickly, one slowly, one never; and one whose clock was wrong."""
    store = RosterStore(bare / "roster.db")
    tasks = TaskStore(store.engine)
    for number, (unit, kind, seconds) in enumerate(
        [
            ("PCC.CSO-014", "asb", (0, 60, 90, 300)),
            ("PCC.CSO-014", "theft", (0, 120, 300, 900)),
            ("CAMBS.PC-1187", "asb", (None, 30, None, None)),
            ("CAMBS.PC-1187", "asb", (100, 30, None, None)),
        ]
    ):
        at = NOON + timedelta(hours=number)
        marks = [None if each is None else at + timedelta(seconds=each) for each in seconds]
        task = Task(
            id="",
            unit=UnitId(unit),
            agency=unit.partition(".")[0],
            text="Go",
            words="Go",
            actor="control",
            created_at=at,
            incident_type=kind,
            reported_at=marks[0],
            sent_at=marks[1],
            en_route_at=marks[2],
            at_scene_at=marks[3],
        )
        tasks.add(task, None, "{}")
    store.close()
    return bare


def test_a_table(lapel: Lapel, shift: Path) -> None:
    """A line a unit and one for all: median / p90 (count), a dash where nobody got there; wrong clocks are told."""
    done = lapel("response-times", "--data", shift)
    assert done.code == 0
    lines = {line.split()[0]: line for line in done.out.splitlines()}
    assert lines["unit"].split()[1] == "tasks"
    assert "reported to dispatched" in lines["unit"]
    assert "1:30 / 2:00 (2)" in lines["PCC.CSO-014"]
    assert "10:00 / 15:00 (2)" in lines["PCC.CSO-014"]
    assert lines["CAMBS.PC-1187"].split() == ["CAMBS.PC-1187", "2", "-", "-", "-", "-"]
    assert lines["all"].split()[1] == "4"
    assert done.err == "1 durations below nothing (a clock was wrong) are left out\n"


def test_as_json(lapel: Lapel, shift: Path) -> None:
    """One document; by agency and by kind of incident, of a span."""
    body = lapel("response-times", "--by", "agency", "--data", shift, "--json").json
    assert (body["v"], body["by"], body["tasks"], body["implausible"]) == (1, "agency", 4, 1)
    assert [row["key"] for row in body["rows"]] == ["CAMBS", "PCC"]
    assert body["rows"][1]["legs"]["reported_to_at_scene"] == {"count": 2, "median_s": 600.0, "p90_s": 900.0}
    span = ("--from", "2026-11-21T12:30:00Z", "--to", "2026-11-21T14:00:00Z")
    body = lapel("response-times", "--by", "incident_type", *span, "--data", shift, "--json").json
    assert [(row["key"], row["tasks"]) for row in body["rows"]] == [("theft", 1)]


def test_of_nothing(lapel: Lapel, bare: Path) -> None:
    """A store without tasks has a report too."""
    body = lapel("response-times", "--data", bare, "--json").json
    assert (body["tasks"], body["rows"]) == (0, [])
    assert lapel("response-times", "--data", bare).code == 0


@pytest.mark.parametrize(
    "words", [("--by", "colour"), ("--from", "yesterday"), ("--from", "1026-01-01T00:00:00Z"), ("extra",)]
)
def test_usage(lapel: Lapel, bare: Path, words: tuple[str, ...]) -> None:
    """Exit 2, and nothing on standard output."""
    done = lapel("response-times", *words, "--data", bare)
    assert (done.code, done.out) == (2, "")


def test_no_store(lapel: Lapel, tmp_path: Path) -> None:
    """Exit 2 where there is none."""
    assert lapel("response-times", "--data", tmp_path / "none").code == 2
    assert lapel("response-times").code == 2
