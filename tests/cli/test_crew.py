"""`lapel crew`: who is with which unit, and planned shifts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Lapel

VAN = "CAMBS.PC-1187"


def test_join_show_leave(lapel: Lapel, bare: Path) -> None:
    """Each change with who and why; the other unit is left."""
    done = lapel("crew", "join", VAN, "P-0014", "--reason", "ride along", "--data", bare)
    assert (done.code, done.out) == (0, f"{VAN}: P-1187 P-0014\n")
    assert lapel("crew", "show", "PCC.CSO-014", "--data", bare, "--json").json["history"][-1]["members"] == []
    made = lapel("crew", "leave", VAN, "P-1187", "--data", bare, "--json").json
    assert made["unit"]["members"] == ["P-0014"]
    history = lapel("crew", "show", VAN, "--data", bare, "--json").json["history"]
    assert [(each["members"], each["reason"]) for each in history] == [
        (["P-1187"], None),
        (["P-1187", "P-0014"], "ride along"),
        (["P-0014"], None),
    ]
    assert history[1]["by"].startswith("cli:")
    shown = lapel("crew", "show", VAN, "--data", bare).out
    assert "ride along" in shown
    assert lapel("crew", "leave", VAN, "P-0014", "--data", bare).out == f"{VAN}: nobody\n"


def test_a_plan(lapel: Lapel, bare: Path) -> None:
    """Planned, put off, cancelled."""
    words = ("crew", "plan", "P-0014", "--from", "2026-11-21T20:00:00Z", "--data", bare)
    done = lapel(*words, "--to", "2026-11-22T06:00:00Z")
    assert (done.code, done.out) == (0, "P-0014: 2026-11-21T20:00:00Z to 2026-11-22T06:00:00Z\n")
    later = lapel(*words, "--to", "2026-11-22T08:00:00Z", "--cancel", "--json").json["shift"]
    assert (later["to"], later["cancelled"]) == ("2026-11-22T08:00:00Z", True)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("join", "PCC.GHOST", "P-0014"), 1, "'PCC.GHOST' is no unit on the roster"),
        (("join", VAN, "P-9"), 1, "'P-9' is no person on the roster"),
        (("leave", VAN, "P-0014"), 1, "'P-0014' is no member of CAMBS.PC-1187"),
        (("show", "PCC.GHOST"), 1, "'PCC.GHOST' is no unit on the roster"),
        (("plan", "P-9", "--from", "2026-11-21T20:00:00Z", "--to", "2026-11-21T21:00:00Z"), 1, "neither a person"),
        (("plan", "P-0014", "--from", "2026-11-21T20:00:00Z", "--to", "2026-11-21T20:00:00Z"), 2, "--to"),
    ],
)
def test_what_cannot_be(lapel: Lapel, bare: Path, words: tuple[str, ...], code: int, said: str) -> None:
    """Named, with the right exit code."""
    done = lapel("crew", *words, "--data", bare)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
