"""Reach, escalation and messages against models too simple to be wrong."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.events import Origin, ReachReport
from gateway.domain.time import Stamp
from gateway.feed.board import Board
from gateway.feed.emergencies import Emergencies
from gateway.feed.escalation import Escalation
from gateway.feed.messages import Message, Messages
from gateway.feed.reach import BEST_FIRST, Contacts
from gateway.feed.settings import FeedSettings
from gateway.feed.urgent_lines import UrgentRecord, image, read
from tests.feed.shift import Roster, SetClock, press, text, who

ISSIS = (1, 2, 3)
issis, units = st.sampled_from(ISSIS), st.sampled_from([0, 1, None])
pauses_s = st.sampled_from([0.0, 0.5])
words = st.one_of(
    st.tuples(st.just("said"), issis, units, pauses_s, st.sampled_from(BEST_FIRST)),
    st.tuples(st.just("heard"), issis, units, pauses_s, st.none()),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(words, max_size=40))
def test_reach_is_the_best_of_each_units_radios(story) -> None:
    """And every change is given back to be told, but that a radio never heard before works."""
    clock, roster = SetClock(), Roster()
    names = [roster.enlist(number) for number in range(2)]
    board = Board(FeedSettings())
    board.refresh(roster, clock.now())
    contacts = Contacts(board)
    model: dict[int, tuple[str | None, str, float]] = {}
    shown = dict.fromkeys(names, "unknown")
    for what, issi, number, pause_s, reach in story:
        now, unit = clock.on(pause_s), None if number is None else names[number]
        origin = Origin("radio", None, issi)
        said_s = model[issi][2] if issi in model else float("-inf")
        if what == "said":
            changed = contacts.said(ReachReport(origin, Stamp(now), reach), who(unit))
            model[issi] = (unit, reach, now.mono_s)
        else:
            changed = contacts.heard(origin, now, who(unit))
            model[issi] = (unit, "ok" if now.mono_s > said_s else model[issi][1], said_s)
        told = {standing.id for standing in changed}
        for name in names:
            mine = [reach for unit, reach, _ in model.values() if unit == name]
            wanted = min(mine, key=BEST_FIRST.index, default="unknown")
            assert contacts.of(name) == board.units[name].reach == wanted
            assert (name in told) == (shown[name] != wanted and (shown[name], wanted) != ("unknown", "ok"))
            shown[name] = wanted


acts = st.one_of(
    st.tuples(st.just("press"), issis),
    st.tuples(st.just("ack"), st.integers(0, 5)),
    st.tuples(st.just("clear"), st.integers(0, 5)),
    st.tuples(st.just("wait"), st.floats(0.05, 20)),
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.lists(acts, max_size=40))
def test_every_unanswered_emergency_is_said_again_and_loudly(story) -> None:
    """Again exactly once and never before 5 s; loud at most once a turn, as often as 15 s have passed; else silent."""
    clock, emergencies, escalation = SetClock(), Emergencies(), Escalation(5, 15)
    since_s: dict[str, float] = {}
    again: list[str] = []
    for what, argument in story:
        known = list(emergencies.known)
        if what == "press":
            emergencies.press(press(clock.on(0.01), issi=argument), who(None), journalled=True)
        elif what == "wait":
            clock.on(argument)
        elif known:
            number = known[argument % len(known)]
            emergencies.acknowledge(number, "P") if what == "ack" else emergencies.clear(number, "P", "test")
        waiting = {one.id for one in emergencies.open() if one.state == "active"}
        due = escalation.due(emergencies.open(), clock.mono_s)
        since_s = {number: since_s.get(number, clock.mono_s) for number in waiting}
        assert {one.id for one in (*due.again, *due.loud)} <= waiting
        assert all(clock.mono_s - since_s[one.id] >= 5 for one in due.again)
        assert all(clock.mono_s - since_s[one.id] >= 15 for one in due.loud)
        assert due.unacknowledged == sum(clock.mono_s - first_s >= 15 for first_s in since_s.values())
        again += [one.id for one in due.again]
        assert {number for number in waiting if clock.mono_s - since_s[number] >= 5} <= set(again)
    assert len(again) == len(set(again))


@settings(derandomize=True, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=8), st.integers(1, 12)), max_size=40), st.integers(1, 5))
def test_messages_are_the_newest_and_come_back_as_they_were(story, kept) -> None:
    """A text adds one, a number is dealt with; what is written down gives the same box again."""
    clock, messages, lines = SetClock(), Messages(kept), []
    count = 0
    for step in story:
        if isinstance(step, str):
            made, count = messages.add(text(clock.on(1), step), who(None)), count + 1
            assert made.id == count
        else:
            found, news = messages.deal(step, f"P-{len(lines)}", clock.mono_s)
            assert (found is None) == (not max(0, count - kept) < step <= count)
            made = found if news else None
        if made is not None:
            lines.append(msgspec.to_builtins(made))
    again = Messages(kept)
    for line in lines:
        again.restore(msgspec.convert(line, Message))
    assert again.all() == messages.all()
    assert again.add(text(clock.on(1), "next"), who(None)).id == count + 1


records = st.sampled_from(
    [
        ("emergency", "emergency EM-1", None, {"id": "EM-1", "triggers": ["tetra_call"], "unit": None}),
        ("duty", "duty A.B", "A.B", {"unit": "A.B", "code": 2}),
        ("removed", "removed A.B", "A.B", {"unit": "A.B", "reason": "roster"}),
        ("message", "message 7", None, {"id": 7, "kind": "text", "code": None, "unit": None, "text": "reason"}),
        ("message", "message 8", "A.B", {"id": 8, "kind": "status", "code": 14, "unit": "A.B"}),
        ("proven", "proven 99", "A.B", {"issi": 99, "proven_at": "2026-11-21T21:00:00Z", "unit": "A.B"}),
        ("proven", "proven 98", None, {"issi": 98, "proven_at": "2026-11-21T21:00:00Z", "unit": None}),
    ]
)


@settings(derandomize=True, deadline=None)
@given(st.lists(records, max_size=20))
def test_each_kind_of_urgent_record_is_read_as_what_it_was(story) -> None:
    """The log says no kinds: what only one kind carries tells it."""
    made = []
    for seq, (event, key, unit, content) in enumerate(story, 1):
        payload = json.dumps({"v": 1, "seq": seq, **content}).encode()
        made.append(UrgentRecord(seq, event, key, unit, payload))
    restored = read(b'{"v":1,"epoch":"E","mark":1000}', image("E", 0, made))
    assert restored.whole
    assert restored.records == tuple(made)
