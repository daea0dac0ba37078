"""An emergency that nobody acknowledges."""

from __future__ import annotations

from gateway.feed.emergencies import Emergencies
from gateway.feed.escalation import Due, Escalation
from tests.feed.shift import SetClock, press, who


def ids(found) -> list[str]:
    """Of some emergencies."""
    return [one.id for one in found]


def test_again_once_then_loud_until_somebody_answers() -> None:
    """5 s, 15 s, 30 s; and silence once it is acknowledged."""
    clock, emergencies, escalation = SetClock(), Emergencies(), Escalation(5, 15)
    one = emergencies.press(press(clock.now()), who(None), journalled=True)
    seen = []
    for second in range(40):
        due = escalation.due(emergencies.open(), 1000.0 + second)
        assert due.unacknowledged == (second >= 15)
        seen += [(second, "again") for _ in due.again] + [(second, "loud") for _ in due.loud]
    assert seen == [(5, "again"), (15, "loud"), (30, "loud")]
    emergencies.acknowledge(one.id, "P-9")
    assert escalation.due(emergencies.open(), 1100.0) == Due(quiet=(one.id,))
    assert escalation.due(emergencies.open(), 1101.0) == Due()


def test_each_counts_for_itself() -> None:
    """The second press of another officer waits its own five seconds."""
    clock, emergencies, escalation = SetClock(), Emergencies(), Escalation(5, 15)
    first = emergencies.press(press(clock.now(), issi=1), who(None), journalled=True)
    escalation.due(emergencies.open(), 0.0)
    second = emergencies.press(press(clock.now(), issi=2), who(None), journalled=True)
    escalation.due(emergencies.open(), 4.0)
    assert ids(escalation.due(emergencies.open(), 6.0).again) == [first.id]
    assert ids(escalation.due(emergencies.open(), 9.0).again) == [second.id]
    emergencies.clear(first.id, "P-9", "test")
    assert ids(escalation.due(emergencies.open(), 60.0).loud) == [second.id]


def test_a_turn_that_comes_late_says_all_that_is_due() -> None:
    """After a stall both are said at once, and once."""
    clock, emergencies, escalation = SetClock(), Emergencies(), Escalation(5, 15)
    emergencies.press(press(clock.now()), who(None), journalled=True)
    escalation.due(emergencies.open(), 0.0)
    due = escalation.due(emergencies.open(), 100.0)
    assert (len(due.again), len(due.loud), due.unacknowledged) == (1, 1, 1)
    assert escalation.due(emergencies.open(), 100.1).loud == ()


def test_from_before_a_restart_it_has_waited_since_it_was_raised() -> None:
    """Said loudly at its own 15 s, at once where they are over; one that was never loud ends without a word."""
    clock, emergencies, escalation = SetClock(), Emergencies(), Escalation(5, 15)
    numbers = [emergencies.press(press(clock.now(), issi=issi), who(None), journalled=True).id for issi in (1, 2)]
    escalation.waits_since(numbers[0], 990.0)
    escalation.waits_since(numbers[1], 900.0)
    assert ids(escalation.due(emergencies.open(), 1000.0).loud) == numbers[1:]
    emergencies.acknowledge(numbers[1], "P-9")
    assert escalation.due(emergencies.open(), 1004.9).quiet == (numbers[1],)
    assert ids(escalation.due(emergencies.open(), 1005.0).loud) == numbers[:1]


def test_what_was_never_loud_is_over_without_a_word() -> None:
    """Acknowledged in time: no siren is told."""
    clock, emergencies, escalation = SetClock(), Emergencies(), Escalation(5, 15)
    one = emergencies.press(press(clock.now()), who(None), journalled=True)
    escalation.due(emergencies.open(), 0.0)
    emergencies.acknowledge(one.id, "P-9")
    assert escalation.due(emergencies.open(), 14.0) == Due()
