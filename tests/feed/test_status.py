"""The status as the samples have it, with the instance; what counts as a change."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from gateway.feed.status import ClockNote, Condition, InputNote, holder, offline, online

AT = datetime(2026, 11, 21, 23, 40, 10, tzinfo=UTC)


def condition(state="up", last="2026-11-21T23:40:09Z", part="ok", synchronised=True) -> Condition:
    """One input, one part."""
    return Condition({"terminal-1": InputNote(state, last)}, {"feed": part}, ClockNote(synchronised, 3))


def test_the_status_is_that_of_the_samples(shared):
    """The same keys in the same shape; the will's too, with who it is of."""
    lines = (shared / "examples/wire/feed.jsonl").read_text().splitlines()
    sample = next(line for line in map(json.loads, lines) if line["topic"] == "lapel/v1/gateway/status")
    made = json.loads(online("pbo-1", "01JDP7", 1000131, AT, condition()))
    wanted = sample["payload"]
    assert list(made) == list(wanted)
    assert made["inputs"]["terminal-1"] == wanted["inputs"]["terminal-1"]
    assert {word: made[word] for word in ("v", "instance", "epoch", "seq", "at", "state", "clock")} == {
        word: wanted[word] for word in ("v", "instance", "epoch", "seq", "at", "state", "clock")
    }
    will = json.loads(offline("pbo-1", "01JDP7"))
    assert will == {**sample["will"], "instance": "pbo-1", "epoch": "01JDP7"}


def test_times_and_offsets_are_no_change_states_are():
    """Inputs, parts and whether the clock is kept."""
    now = condition()
    assert now.same(condition(last=None))
    assert not any(now.same(other) for other in (None, condition("down"), condition(part="down")))
    assert not now.same(condition(synchronised=False))


def test_whose_status_it_is():
    """The name, and whether it runs; nothing of what is no status."""
    assert holder(online("pbo-1", "E", 1, AT, condition())) == ("pbo-1", True)
    assert holder(offline("pbo-1", "E")) == ("pbo-1", False)
    assert [holder(rubbish) for rubbish in (b"", b"\xff", b"[]", b'{"state":"online"}')] == [None] * 4
