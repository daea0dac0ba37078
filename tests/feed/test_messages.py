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
    assert messages.deal(ids[0], "P-9", 0) == (None, False)
    dealt, news = messages.deal(ids[4], "P-9", clock.utc.timestamp())
    assert (dealt.dealt_with_by, dealt.dealt_at, news) == ("P-9", "2026-11-21T21:00:00Z", True)
    again, news = messages.deal(ids[4], "P-8", 0)
    assert (again.dealt_with_by, again.dealt_at, news) == ("P-9", "2026-11-21T21:00:00Z", False)


def test_taken_up_again() -> None:
    """By number, the later record of the same message replacing the earlier; a damaged log skips numbers."""
    clock, before, after = SetClock(), Messages(3), Messages(3)
    made = [before.add(text(clock.now(), str(number)), who(None)) for number in range(3)]
    for message in (made[2], made[0], made[1], made[0]):
        after.restore(message)
    assert [one.id for one in after.all()] == [1, 2, 3]
    assert after.add(text(clock.now(), "new"), who(None)).id == 4
    assert [one.text for one in after.all()] == ["1", "2", "new"]
    after.skip_to_next(1000)
    assert after.add(text(clock.now(), "newer"), who(None)).id == 1000
