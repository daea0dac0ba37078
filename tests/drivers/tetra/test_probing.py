"""Which speed is right: attempts in order, an answer or any whole line, nothing lost."""

from datetime import UTC, datetime

import pytest

from drivers.tetra.probing import MOST_KEPT, SPEEDS, Attempt, Prober
from gateway.domain.time import Instant


def at(now_s):
    """A moment."""
    return Instant(now_s, datetime(2026, 11, 21, tzinfo=UTC))


def failed(prober, now_s):
    """One attempt without an answer; the attempt and the question."""
    attempt, question = prober.attempt, prober.to_send(at(now_s))
    prober.tick(at(prober.deadline()))
    return attempt, question


def test_every_speed_is_asked_twice_then_it_is_over():
    """Plainly first, then out of data entry."""
    prober = Prober(SPEEDS, ("none", "rtscts"))
    tried = [failed(prober, number) for number in range(20)]
    assert [attempt.baud for attempt, _ in tried[:5]] == [38_400, 9_600, 115_200, 57_600, 460_800]
    assert [attempt.flow for attempt, _ in tried] == (["none"] * 5 + ["rtscts"] * 5) * 2
    assert {question for _, question in tried[:10]} == {b"\r\nAT\r\n"}
    assert {question for _, question in tried[10:]} == {b"\x1bAT\r\n"}
    assert prober.attempt is None
    assert prober.to_send(at(99)) == b""
    assert prober.found is None


@pytest.mark.parametrize(
    "answer",
    [
        b"\r\nOK\r\n",
        b"AT\r\r\nOK\r\n",
        b"\r\n+CME ERROR: 35\r\n",
        b"\r\n+CTXG: 1,3,0,0\r\n",
        b"+CTSDSR: 13,7,0,2,0,16\r\n0000\r\n",
    ],
)
def test_a_whole_line_of_the_protocol_says_that_the_speed_is_right(answer):
    """An answer, or what the radio had to say anyway; in any pieces."""
    prober = Prober((9600, 38_400), ("none",))
    failed(prober, 0.0)
    prober.to_send(at(1.0))
    for octet in answer:
        assert prober.found is None
        prober.receive(bytes([octet]))
        if prober.found:
            break
    assert prober.found == Attempt(38_400, "none")
    assert answer.startswith(bytes(prober.heard))


def test_garbage_is_no_answer_and_is_kept():
    """A wrong speed's bytes go to the quarantine, the right one's to the session."""
    prober = Prober((9600, 38_400), ("none",))
    prober.to_send(at(0.0))
    prober.receive(b"\x80\x81\r\nxx\r\n")
    assert prober.found is None
    prober.tick(at(prober.deadline()))
    prober.receive(b"\r\nOK\r\n")
    assert (bytes(prober.garbage), bytes(prober.heard)) == (b"\x80\x81\r\nxx\r\n", b"\r\nOK\r\n")


def test_a_question_is_asked_once_an_attempt():
    """Bytes and early ticks change nothing about it."""
    prober = Prober((9600,), ("none",))
    assert prober.to_send(at(0.0))
    prober.receive(b"x")
    prober.tick(at(0.1))
    assert not prober.to_send(at(0.1))
    assert prober.attempt == Attempt(9600, "none")


def test_what_is_kept_is_bounded():
    """A port that floods at a wrong speed fills no memory."""
    prober = Prober((9600,), ("none",))
    prober.to_send(at(0.0))
    for _ in range(100):
        prober.receive(b"\x81" * 4000)
    assert len(prober.heard) == MOST_KEPT
    assert len(prober.garbage) <= MOST_KEPT
    prober.tick(at(prober.deadline()))
    assert len(prober.garbage) <= MOST_KEPT
