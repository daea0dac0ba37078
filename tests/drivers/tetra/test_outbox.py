"""The queue of one radio."""

import msgspec
import pytest

from drivers.tetra import dialects
from drivers.tetra.bits import Bits
from drivers.tetra.outbox import GONE, MOST_WAITING, NO_ANSWER, NotSent, Outbox, Parcel, Transmitted

PARCEL = Parcel(1, 4711, 12, Bits(0xABC, 12))


@pytest.fixture
def outbox():
    """An outbox of the generic dialect."""
    return Outbox(dialects.GENERIC)


def on_air(outbox, now_s=0.0):
    """Send the parcel at the front to the radio."""
    for _ in range(2):
        command = outbox.command()
        assert outbox.answered(command, None, now_s) == []
    return command


def test_urgent_goes_ahead_of_the_rest_in_its_own_order(outbox):
    """Urgent ones first come first served, too."""
    for key, urgent in ((1, False), (2, True), (3, False), (4, True)):
        assert outbox.post(msgspec.structs.replace(PARCEL, key=key, urgent=urgent), 0.0)
    keys = []
    while outbox.waiting:
        on_air(outbox)
        keys += [fate.key for fate in outbox.reported("0,4", 0.0)]
        outbox.forget_service()
    assert keys == [2, 4, 1, 3]


def test_digits_are_whole_octets_and_the_length_is_in_bits(outbox):
    """12 bits are two octets on the port."""
    outbox.post(PARCEL, 0.0)
    command = on_air(outbox)
    assert (command.text, command.body) == ("AT+CMGS=4711,12", "ABC0")


def test_the_queue_is_bounded(outbox):
    """The one in flight counts."""
    for key in range(MOST_WAITING):
        assert outbox.post(msgspec.structs.replace(PARCEL, key=key), 0.0)
    assert not outbox.post(PARCEL, 0.0)


def test_a_message_can_be_taken_back_while_it_waits(outbox):
    """Not once the radio has it."""
    outbox.post(PARCEL, 0.0)
    assert outbox.withdraw(1)
    assert not outbox.withdraw(1)
    outbox.post(PARCEL, 0.0)
    on_air(outbox)
    assert not outbox.withdraw(1)


def test_a_report_of_another_reference_is_another_messages(outbox):
    """A late one of the message before."""
    outbox.post(PARCEL, 0.0)
    on_air(outbox)
    assert outbox.reported("0,3,65", 0.0) == []
    assert outbox.reported("0,4,64", 0.0) == []
    assert outbox.reported("0,4,65", 0.0) == [Transmitted(1, 65)]
    assert outbox.reported("0,4,65", 0.0) == []


def test_the_report_may_be_quicker_than_the_ok(outbox):
    """It is believed with the OK: until then it may be the word on an older message."""
    outbox.post(PARCEL, 0.0)
    outbox.answered(outbox.command(), None, 0.0)
    command = outbox.command()
    assert outbox.reported("0,4,1", 0.0) == []
    assert outbox.reported("0,4,2", 0.0) == []
    assert outbox.answered(command, None, 0.0) == [Transmitted(1, 2)]
    assert outbox.answered(command, 3, 0.0) == []


def test_a_word_on_an_older_message_is_not_taken_for_this_one(outbox):
    """Told twice; or told of a message whose own OK never came."""
    outbox.post(PARCEL, 0.0)
    on_air(outbox)
    assert outbox.reported("0,4,7", 0.0) == [Transmitted(1, 7)]
    outbox.post(msgspec.structs.replace(PARCEL, key=2), 0.0)
    command = outbox.command()
    assert outbox.reported("0,4,7", 0.0) == []
    assert outbox.answered(command, None, 0.0) == []
    assert outbox.reported("0,4,7", 0.0) == []
    assert outbox.reported("0,4,8", 0.0) == [Transmitted(2, 8)]
    outbox.post(msgspec.structs.replace(PARCEL, key=3), 0.0)
    command = outbox.command()
    outbox.reported("0,4,9", 0.0)
    assert outbox.unanswered(command, 0.0) == []
    assert outbox.tick(dialects.GENERIC.sent_s) == [NotSent(3, NO_ANSWER)]


def test_time_runs_out(outbox):
    """On the air, held, or without an answer to the choice of service."""
    outbox.post(PARCEL, 0.0)
    assert outbox.tick(dialects.GENERIC.hold_s) == [NotSent(1, GONE)]
    outbox.post(PARCEL, 0.0)
    on_air(outbox)
    assert outbox.deadline() == dialects.GENERIC.sent_s
    assert outbox.tick(dialects.GENERIC.sent_s) == [NotSent(1, NO_ANSWER)]
    outbox.post(PARCEL, 0.0)
    outbox.forget_service()
    assert outbox.unanswered(outbox.command(), 0.0) == []
    assert outbox.unanswered(outbox.command(), 0.0) == [NotSent(1, NO_ANSWER)]


@pytest.mark.parametrize("text", ["", ",", "0,4,x", "0,²,1", "0,9,1", "x,y,z,,"])
def test_odd_reports_raise_nothing(outbox, text):
    """Whatever a radio says behind +CMGS."""
    outbox.post(PARCEL, 0.0)
    on_air(outbox)
    assert len(outbox.reported(text, 0.0)) <= 1


def test_a_word_before_the_radio_has_the_message_is_an_older_ones(outbox):
    """An older session's message comes off the air while this one's service is still being chosen."""
    outbox.post(PARCEL, 0.0)
    selection = outbox.command()
    assert outbox.reported("0,4,5", 0.0) == []
    assert outbox.answered(selection, None, 0.0) == []
    assert outbox.answered(outbox.command(), None, 0.0) == []
    assert outbox.reported("0,0,6", 0.0) == []
    assert outbox.reported("0,4,6", 0.0) == [Transmitted(1, 6)]


def test_what_was_handed_over_is_not_due_again_and_not_given_back(outbox):
    """The radio may have it, result or none: no other radio may be told that it was not sent."""
    outbox.post(PARCEL, 0.0)
    outbox.answered(outbox.command(), None, 0.0)
    assert outbox.due_at() == 0.0
    outbox.command()
    assert outbox.due_at() == float("inf")
    assert outbox.give_up(0.0) == [NotSent(1, NO_ANSWER)]
    outbox.post(PARCEL, 0.0)
    assert outbox.due_at() < float("inf")
    assert outbox.give_up(0.0) == [NotSent(1, GONE)]


def test_one_whose_turn_has_come_can_be_taken_back_until_it_is_handed_over(outbox):
    """And which service the radio sends is then said again: the choice under way was for it."""
    outbox.post(PARCEL, 0.0)
    choice = outbox.command()
    assert outbox.withdraw(PARCEL.key)
    assert outbox.answered(choice, None, 0.0) == []
    assert (outbox.waiting, outbox.due_at()) == (0, float("inf"))
    outbox.post(PARCEL, 0.0)
    assert outbox.command().body is None or outbox.command().text.startswith("AT+CTSDS")
    outbox.answered(choice, None, 0.0)
    assert outbox.command().text.startswith("AT+CMGS")
    assert not outbox.withdraw(PARCEL.key)


def test_one_that_waits_in_its_turn_waits_no_longer_than_the_others(outbox):
    """Its choice of service was lost and the radio may not send: it is given back as not sent."""
    outbox.post(PARCEL, 0.0)
    outbox.unanswered(outbox.command(), 1.0)
    held_s = dialects.GENERIC.hold_s
    assert outbox.deadline() == held_s
    assert outbox.tick(held_s - 0.1) == []
    assert outbox.tick(held_s) == [NotSent(PARCEL.key, GONE)]
    assert outbox.waiting == 0


def test_a_lost_choice_of_service_makes_no_doubt_of_the_message_behind_it(outbox):
    """Its own word is believed."""
    outbox.post(PARCEL, 0.0)
    outbox.unanswered(outbox.command(), 1.0)
    on_air(outbox, 1.0)
    assert outbox.reported("0,4,7", 2.0) == [Transmitted(PARCEL.key, 7)]
