"""The doctor's words: whatever an input says, something a person can use comes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli import doctor_words
from gateway.cli.doctor_words import Radio

CONDITIONS = ("down", "held", "probing", "open", "starting", "up", "silent", "wrong_speed", "direct", "no_service")
HANDSET: dict[str, Any] = {
    "issi": 2341014,
    "unit": "PCC.CSO-014",
    "person": "P-0014",
    "reach": "ok",
    "heard_at": None,
    "proven_at": "2026-11-21T21:05:01Z",
    "proven_via": "terminal-1",
}


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.one_of(st.sampled_from(CONDITIONS), st.text(max_size=30)), st.one_of(st.none(), st.text(max_size=60)))
def test_every_state_has_words(state: str, problem: str | None) -> None:
    """Fine with nothing to do, or wrong with something to do; what the input said is never lost."""
    found = doctor_words.radio("terminal-1", state, problem)
    assert (found.verdict == "fine") == (found.do is None)
    assert (found.verdict == "fine") == (state in ("up", "ok") and not problem)
    assert not problem or problem.strip() in found.what


@pytest.mark.parametrize("state", [state for state in CONDITIONS if state not in ("up", "down")])
def test_every_state_of_the_driver_is_known_by_name(state: str) -> None:
    """None falls through to the log."""
    assert "log" not in (doctor_words.radio("t", state, None).do or "")


def test_coverage_names_who_hears_which_group() -> None:
    """One that is refused some message types hears calls all the same; one in direct mode hears nothing."""
    radios = [
        Radio("one", "up", None, 4037009),
        Radio("two", "up", "AT+CTSP=1,3,10: registration table full (39)"),
        Radio("three", "direct", "in direct mode: nothing reaches the network", 4037009),
    ]
    heard, not_heard = doctor_words.coverage(radios)
    assert heard.what == "trunked mode is heard by one (group 4037009 selected), two"
    assert (not_heard.verdict, "NOT COVERED" in not_heard.what) == ("note", True)
    (nobody,) = doctor_words.coverage(radios[2:])
    assert (nobody.verdict, "voice emergency path" in (nobody.do or "")) == ("wrong", True)


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({}, "fine", "PCC.CSO-014: emergency path proven 21:05 (2026-11-21, by terminal-1)"),
        ({"reach": "unknown"}, "fine", "reach unknown"),
        ({"reach": "dmo"}, "note", "reach dmo"),
        ({"proven_at": None, "proven_via": None}, "note", "not proven"),
        ({"unit": None}, "fine", "no unit: emergency path proven"),
    ],
)
def test_a_handset(change: dict[str, Any], verdict: str, words: str) -> None:
    """Proven when and by which input, or not; out of reach is worth knowing."""
    (found,) = doctor_words.handsets([{**HANDSET, **change}])
    assert (found.about, found.verdict) == ("issi 2341014", verdict)
    assert words in found.what


def test_parts_and_other_inputs() -> None:
    """Each with what to do; a part that this version does not know too."""
    found = {one.about: one for one in doctor_words.parts({"feed": "ok", "evidence": "down", "attic": "degraded"})}
    assert (found["feed"].verdict, found["feed"].do) == ("fine", None)
    assert "make room" in (found["evidence"].do or "")
    assert "log" in (found["attic"].do or "")
    (off,) = doctor_words.parts({"media": "off: ffprobe not found"})
    assert (off.verdict, off.what) == ("note", "off: ffprobe not found")
    assert "ffmpeg" in (off.do or "")
    assert doctor_words.other("beacons", "up", None).verdict == "fine"
    assert doctor_words.other("beacons", "down", "refused").what == "down: refused"
    assert doctor_words.other("beacons", "starting", None).what == "starting"


@pytest.mark.parametrize(
    ("change", "verdict", "words"),
    [
        ({"cover": "covered", "by": ["one", "two"]}, "fine", "Control: covered by one, two"),
        (
            {"cover": "not_covered", "why": "no radio input is up"},
            "wrong",
            "not covered: Control: no radio input is up",
        ),
        ({"cover": "not_known", "why": "one tells of no group"}, "note", "not known whether it is covered"),
    ],
)
def test_a_group_that_no_radio_is_on_is_named(change: dict[str, object], verdict: str, words: str) -> None:
    """By number and by name; what cannot be known is a note."""
    (found,) = doctor_words.groups([{"gssi": 4037009, "name": "Control", "by": [], "why": None, **change}])
    assert (found.about, found.verdict, words in found.what) == ("group 4037009", verdict, True)
