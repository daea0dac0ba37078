"""Which command a result belongs to."""

from datetime import UTC, datetime, timedelta

import pytest

from drivers.tetra import dialects, pei
from drivers.tetra.dialects import Command
from drivers.tetra.flight import AT, DOUBT, Answered, Flight, InStep, Lost, Mute
from drivers.tetra.heard import Heard, Timing
from gateway.domain.time import Instant

START = datetime(2026, 11, 21, tzinfo=UTC)
SEND = Command("AT+CMGS=1,16", body="8002", sending=True)
LIST = Command("AT+CTSP=1,3,10")


def at(now_s):
    """A moment."""
    return Instant(now_s, START + timedelta(seconds=now_s))


def result(code=None):
    """OK, or an error."""
    return pei.Result(code, b"")


@pytest.fixture
def up():
    """In step with a radio that has answered its first two questions by name."""
    flight = Flight(dialects.GENERIC, Timing(), 0)
    flight.mark(at(0))
    outcomes = []
    while not outcomes:
        flight.named("+" + flight.current.text[3:-1])
        outcomes = flight.result(result(), at(0))
    assert outcomes == [InStep()]
    flight.to_send()
    return flight


def doubted(flight, command, code):
    """An error to a command, and the question that is asked behind it."""
    flight.send(command, at(1))
    assert flight.result(result(code), at(1)) == []
    assert flight.current is DOUBT
    assert flight.overdue(at(flight.reply_by)) == []
    return flight.current


def test_success_needs_no_question(up):
    """One command, one OK; 38 is success for a registration alone."""
    up.send(LIST, at(1))
    assert up.result(result(dialects.ALREADY_REGISTERED), at(1)) == [Answered(LIST, None)]
    assert up.to_send() == b"AT+CTSP=1,3,10\r\n"
    up.send(SEND, at(1))
    assert up.result(result(dialects.ALREADY_REGISTERED), at(1)) == []


def test_an_error_is_believed_behind_a_named_answer(up):
    """Not before: the question's own OK must have its name with it."""
    question = doubted(up, LIST, 34)
    assert question.text in dialects.MARKERS
    up.named("+" + question.text[3:-1])
    assert up.result(result(), at(2)) == [Answered(LIST, 34)]
    assert up.current is None


@pytest.mark.parametrize("second", [None, 4, 35])
def test_a_second_result_makes_both_strangers(up, second):
    """The command's own was late: whatever it is, neither counts."""
    doubted(up, SEND, 31)
    assert up.result(result(second), at(2)) == [Lost(SEND, mixed=True)]
    assert up.current is AT


def test_the_refusal_of_a_messages_data_is_no_second_result(up):
    """Once; another one is."""
    doubted(up, SEND, 31)
    assert up.result(result(36), at(2)) == []
    assert up.result(result(36), at(2)) == [Lost(SEND, mixed=True)]


def test_a_question_without_an_answer_proves_nothing(up):
    """The command may have had another result."""
    doubted(up, SEND, 31)
    assert up.overdue(at(99)) == [Lost(SEND)]
    assert up.overdue(at(199)) == [Mute(AT)]


def test_an_ok_without_the_name_is_anothers(up):
    """Where this radio has answered the question by name before; once, or it has learned to be terse."""
    question = Command(up.questions.known[0].text)
    up.send(question, at(1))
    assert up.result(result(), at(1)) == [Lost(question, mixed=True)]
    up.send(question, at(1))
    assert up.result(result(), at(1)) == [Answered(question, None)]


def test_a_result_that_nothing_asked_for(up):
    """It is heard, and changes nothing."""
    [heard] = up.result(result(31), at(1))
    assert isinstance(heard, Heard)
    assert up.current is None


def test_a_radio_that_names_nothing_is_waited_for():
    """As long as any result of its own may take."""
    flight = Flight(dialects.GENERIC, Timing(), 0)
    flight.send(LIST, at(1))
    assert flight.result(result(34), at(1)) == []
    assert flight.overdue(at(2)) == []
    assert flight.reply_by == 2 + Timing().reply_s
    assert flight.overdue(at(8)) == [Answered(LIST, 34)]
