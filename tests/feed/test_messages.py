"""Messages from officers."""

from __future__ import annotations

from gateway.feed.messages import Messages
from tests.feed.shift import SetClock, status, text, who


def test_what_a_message_says() -> None:
    """Its meaning, from whom, and when."""
    clock, messages = SetClock(), Messages(10)
    callback = messages.add(status(clock.now(), 14), who("PCC.A", "P-1"))
    assert (callback.meaning, callback.code, callback.unit) == ("urgent_call_back", 14, "PCC.A")
    strange = messages.add(status(clock.now(), None), who(None))
    assert (strange.meaning, strange.value, strange.issi) == (None, 0x8000, 2340001)
    words = messages.add(text(clock.now(), "van blocked"), who("PCC.A"))
    assert (words.kind, words.text, words.at) == ("text", "van blocked", "2026-11-21T21:00:00Z")


def test_bounded_and_dealt_with() -> None:
    """The newest are kept; the first name stays."""
    clock, messages = SetClock(), Messages(3)
    ids = [messages.add(text(clock.now(), str(number)), who(None)).id for number in range(5)]
    assert [one.text for one in messages.all()] == ["2", "3", "4"]
    assert messages.deal(ids[0], "P-9") is None
    assert messages.deal(ids[4], "P-9").dealt_with_by == "P-9"
    assert messages.deal(ids[4], "P-8").dealt_with_by == "P-9"
