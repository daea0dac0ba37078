"""An officer's radio: screen, delivery reports, location reporting on order, reach."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs.dialects import DIALECTS
from firmware_stubs.handset import Habits, Handset
from firmware_stubs.lip import BitString, Reason
from firmware_stubs.lip_orders import Ask, Trigger, answer_hex, distance_m, interval_s, read_order
from firmware_stubs.sds import Downlink
from firmware_stubs.walk import Place

MOMENT = datetime(2026, 11, 21, 21, 4, 5, tzinfo=UTC)
HERE = Place(52.57, -0.24, 1.5, 90.0)
ISSI = 2341001


def handset(*triggers, **habits):
    made = Handset(ISSI, DIALECTS["sepura"], Habits(**habits), triggers)
    made.move(HERE, 0.0)
    return made


def down(digits, service=12):
    return Downlink(ISSI, service, digits)


def order(*fields):
    """A request as bits: (value, width) behind PID and PDU type."""
    bits = BitString().add(10, 8).add(1, 2)
    for value, width in fields:
        bits.add(value, width)
    return bits.hex(-(-bits.width // 4))


def sent(radio, now):
    return [(frame.kind, frame.hexadecimal) for frame in radio.due(now, MOMENT)]


def test_a_task_is_shown_reported_and_answered():
    """Received, consumed, then the officer's statuses, each in its time."""
    radio = handset(answers=((3.0, 15), (4.0, 5), (14.0, 6), (20.0, 2)))
    radio.receive(down("820E050148656C6C6F"), 0.0)
    assert radio.screen == ["Hello"]
    assert sent(radio, 0.4) == []
    assert sent(radio, 0.6) == [("delivery_report", "82100005")]
    assert sent(radio, 30.0) == [
        ("delivery_report", "82100205"),
        ("status", "800F"),
        ("status", "8005"),
        ("status", "8006"),
        ("status", "8002"),
    ]


def test_short_reports_where_they_are_recommended():
    """As statuses 0x7E.. and 0x7F.."""
    radio = handset(answers=())
    radio.receive(down("820CCA0148"), 0.0)
    assert sent(radio, 9.0) == [("delivery_report", "7ECA"), ("delivery_report", "7FCA")]


def test_a_radio_that_cannot_take_it_says_so_and_shows_nothing():
    """Delivery status 0x4A, in the standard form, and no officer answers."""
    radio = handset(outcome=0x4A)
    radio.receive(down("820405014869"), 0.0)
    assert (radio.screen, sent(radio, 30.0)) == ([], [("delivery_report", "82104A05")])


def test_without_a_wish_no_report_and_a_plain_text_no_answer():
    """Simple text is shown; nothing else happens."""
    radio = handset()
    radio.receive(down("0201746573746D657373616765"), 0.0)
    assert (radio.screen, sent(radio, 30.0)) == (["testmessage"], [])


@pytest.mark.parametrize(
    ("digits", "text"),
    [
        ("82000801476A61746A616A676A61", "Gjatjajgja"),
        ("820001000D" + "C8329BFD0E"[2:], None),
        ("82000100C8329BFD06", "Hello"),
        ("8200011A00480069201920AC", "Hi\u2019\u20ac"),
        ("82000181" + "5AC4D5" + "4869", "Hi"),
    ],
)
def test_codings(digits, text):
    """ISO 8859-1, GSM 7-bit, UTF-16, and a time-stamp before the text."""
    radio = handset()
    radio.receive(down(digits), 0.0)
    assert text is None or radio.screen == [text]


def test_parts_wait_for_one_another():
    """Text with user data header: two parts, the second first."""
    radio = handset()
    radio.receive(down("8A0001" + "01" + "05" + "0003070202" + "6F"), 0.0)
    assert radio.screen == []
    radio.receive(down("8A0002" + "01" + "05" + "0003070201" + "48"), 0.0)
    assert radio.screen == ["Ho"]


def test_an_immediate_request_is_answered_in_the_form_asked_for():
    """0A4580 is a short report, 0A4500 a long one."""
    radio = handset()
    radio.receive(down("0A4580"), 0.0)
    assert sent(radio, 0.5) == []
    [(kind, short)] = sent(radio, 1.5)
    assert (kind, len(short)) == ("lip", 21)
    assert int(short, 16) & 0xFF == Reason.IMMEDIATE_RESPONSE
    radio.receive(down("0A4500"), 2.0)
    [(kind, long)] = sent(radio, 3.5)
    assert (kind, long[:3]) == ("lip", "0A4")
    assert len(long) > len(short)


def test_a_long_report_has_the_time_of_position():
    """PDU type, extension, time type 2 and day, hour, minute, second."""
    radio = handset()
    radio.receive(down(order((1, 4), (0, 1), (2, 2))), 0.0)
    [(_, digits)] = sent(radio, 1.5)
    head = int(digits, 16) >> (4 * len(digits) - 38)
    assert head == (((((10 << 2 | 1) << 4 | 3) << 2 | 2) << 5 | 21) << 5 | 21) << 12 | 4 << 6 | 5


def test_the_interval_fires_again_and_again():
    """Trigger 129: every 30 s here, reason 129."""
    radio = handset(Trigger(129, 0))
    fired = []
    for second in range(100):
        radio.move(HERE, float(second))
        fired += [(second, int(digits, 16) & 0xFF) for _, digits in sent(radio, float(second))]
    assert fired == [(30, 129), (60, 129), (90, 129)]


def test_the_distance_fires_as_it_moves():
    """Trigger 130: every 100 m here, wherever the time stands; once where it is not recurring."""
    radio = handset(Trigger(130, 0, recurring=False))
    fired = []
    for step in range(40):
        radio.move(Place(52.57 + step * 10 / 111_320, -0.24, 1.5, 0.0), float(step))
        fired += [(step, int(digits, 16) & 0xFF) for _, digits in sent(radio, float(step))]
    assert fired == [(10, 130)]
    assert not radio.triggers


def test_a_trigger_is_set_told_and_removed():
    """Requests 6, 8 and 7 (with and without a wish for an answer), and what they answer."""
    radio = handset()
    trigger = ((19, 5), (16, 6), (129, 8), (1, 1), (1, 7))
    radio.receive(down(order((6, 4), (0, 1), (1, 1), (3, 2), *trigger)), 0.0)
    assert radio.triggers == {129: Trigger(129, 1)}
    assert sent(radio, 2.0) == [("lip_answer", answer_hex(Ask.ADD_TRIGGER, ((0, 8), (3, 2)), (Trigger(129, 1),))[0])]
    radio.receive(down(order((8, 4), (0, 1))), 2.0)
    told = answer_hex(Ask.TELL_TRIGGERS, ((0, 8), (0x80, 8), (3, 2)), (Trigger(129, 1),))[0]
    assert sent(radio, 4.0) == [("lip_answer", told)]
    radio.receive(down(order((7, 4), (0, 1), (0, 1), (20, 5), (9, 6), (1, 1), (129, 8))), 4.0)
    assert (radio.triggers, sent(radio, 6.0)) == ({}, [])


def test_removing_what_is_not_there_is_said_and_all_means_all():
    """Result 21; an element that names none."""
    radio = handset(Trigger(2))
    radio.receive(down(order((7, 4), (0, 1), (1, 1), (20, 5), (9, 6), (1, 1), (130, 8))), 0.0)
    assert sent(radio, 2.0) == [("lip_answer", answer_hex(Ask.REMOVE_TRIGGER, ((21, 8),))[0])]
    radio.receive(down(order((7, 4), (0, 1), (0, 1), (20, 5), (1, 6), (0, 1))), 2.0)
    assert radio.triggers == {}


def test_an_unknown_trigger_is_not_accepted():
    """Result 11, and nothing is set."""
    radio = handset()
    radio.receive(down(order((6, 4), (0, 1), (1, 1), (3, 2), (19, 5), (9, 6), (27, 8), (1, 1))), 0.0)
    assert radio.triggers == {}
    assert sent(radio, 2.0) == [("lip_answer", answer_hex(Ask.ADD_TRIGGER, ((11, 8), (3, 2)))[0])]


def test_reporting_can_be_switched_off():
    """Request 10; an immediate request is still answered."""
    radio = handset(Trigger(129, 0))
    radio.receive(down(order((10, 4), (0, 1), (0, 1), (0, 8))), 0.0)
    radio.move(HERE, 100.0)
    assert sent(radio, 100.0) == []
    radio.receive(down("0A4580"), 100.0)
    assert len(sent(radio, 102.0)) == 1


def test_the_least_interval_holds_reports_back():
    """Basic parameters: not more often than that, in steps of ten seconds."""
    radio = handset(Trigger(129, 0))
    radio.receive(down(order((5, 4), (0, 1), (0, 1), (6, 7), (3, 2))), 0.0)
    radio.move(HERE, 45.0)
    assert sent(radio, 45.0) == []
    radio.move(HERE, 60.0)
    assert len(sent(radio, 60.0)) == 1


def test_the_button_sends_both_where_both_are_set():
    """The status always, the location report by its trigger."""
    radio = handset(Trigger(2))
    radio.press_emergency(5.0)
    [status, report] = sent(radio, 5.0)
    assert status == ("emergency", "0000")
    assert report[0] == "lip_emergency"
    assert int(report[1], 16) & 0xFF == Reason.EMERGENCY
    plain = handset()
    plain.press_emergency(5.0)
    assert sent(plain, 5.0) == [("emergency", "0000")]


def test_out_of_reach_nothing_is_received_or_reported():
    """It says so once, then is silent until it is back."""
    radio = handset(Trigger(129, 0))
    radio.change_reach(Reason.SERVICE_LOSS, 1.0)
    [(_, digits)] = sent(radio, 1.0)
    assert int(digits, 16) & 0xFF == Reason.SERVICE_LOSS
    radio.receive(down("820E050148656C6C6F"), 2.0)
    radio.move(HERE, 100.0)
    assert (radio.screen, sent(radio, 100.0)) == ([], [])
    radio.change_reach(Reason.ENTER_SERVICE, 101.0)
    radio.receive(down("820E050148656C6C6F"), 102.0)
    assert radio.screen == ["Hello"]


def test_without_a_fix_it_says_that():
    """Nobody told it where it is."""
    radio = Handset(ISSI, DIALECTS["motorola"], Habits())
    radio.receive(down("0A4580"), 0.0)
    assert sent(radio, 2.0) == [("lip_no_fix", "0A30000000000007FFE200")]


@pytest.mark.parametrize(("code", "seconds"), [(0, 30), (19, 600), (20, 660), (39, 1800), (40, 2400), (127, 95400)])
def test_intervals(code, seconds):
    """Steps of 30 s, a minute, ten and thirty minutes."""
    assert interval_s(code) == seconds


@pytest.mark.parametrize(("code", "metres"), [(0, 100), (99, 10_000), (100, 10_500), (127, 24_000)])
def test_distances(code, metres):
    """Steps of 100 m, then of 500 m."""
    assert distance_m(code) == metres


@given(st.binary(max_size=60), st.sampled_from([12, 13]))
def test_any_short_data_is_survived(octets, service):
    """Whatever arrives, the radio goes on."""
    radio = handset()
    radio.receive(Downlink(ISSI, service, octets.hex()), 0.0)
    radio.receive(Downlink(ISSI, service, "0A" + octets.hex()), 0.0)
    radio.receive(Downlink(ISSI, service, "8A0001" + octets.hex()), 0.0)
    radio.due(100.0, MOMENT)


def test_orders_in_the_vectors_are_read(vectors):
    """Recorded and generated requests are requests, and their kinds are the ones named."""
    names = {
        "immediate": Ask.IMMEDIATE,
        "basic": Ask.BASIC_PARAMETERS,
        "add": Ask.ADD_TRIGGER,
        "remove": Ask.REMOVE_TRIGGER,
    }
    assert read_order(bytes.fromhex("0A4580")).ask is Ask.IMMEDIATE
    assert read_order(bytes.fromhex("0A4500")).report_type == 2
    found = 0
    for line in (vectors / "lip_other.jsonl").read_text().splitlines():
        row = json.loads(line)
        pdu = row["decoded"]["pdu"]
        if not pdu.endswith("request"):
            continue
        octets = bytes.fromhex(("" if row["has_pid"] else "0A") + row["hex"] + "0" * (len(row["hex"]) % 2))
        read = read_order(octets)
        for word, ask in names.items():
            if pdu.startswith(word):
                assert read is not None, row
                assert read.ask is ask, row
                found += 1
    assert found


def test_acknowledgements_are_asked_for_and_seen():
    """Bit 4 of the report, the bit of the long report; SDS-ACK by its reference, LIP acknowledgement without one."""
    radio = handset(wants_acks=True, answers=())
    radio.receive(down("820E050148656C6C6F"), 0.0)
    assert ("delivery_report", "82180005") in sent(radio, 1.0)
    radio.report_place(2.0)
    [(kind, digits)] = [each for each in sent(radio, 3.0) if each[0] == "lip"]
    plain = handset()
    plain.report_place(2.0)
    [(_, other)] = sent(plain, 3.0)
    assert (kind, (int(digits, 16) ^ int(other, 16)).bit_count()) == ("lip", 1)
    radio.receive(down("82200005"), 4.0)
    radio.receive(down("0A5000"), 4.0)
    assert radio.acknowledged == [(5, 0), None]
    assert radio.screen == ["Hello"]
