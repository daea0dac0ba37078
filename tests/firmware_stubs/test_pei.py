"""The radio's side of the AT interface, fed whole and byte by byte."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_stubs.dialects import DIALECTS
from firmware_stubs.handset import lip_frame
from firmware_stubs.lip import ShortReport
from firmware_stubs.pei import Cell, MobileTermination
from firmware_stubs.sds import simple_text, status, transfer_text

HEARD = frozenset({2341001, 2341002})


def radio(dialect="sepura"):
    made = MobileTermination(DIALECTS[dialect], Cell(), HEARD)
    made.receive(b"ATE0\r", 0.0)
    made.to_send()
    return made


def say(mt, command, now=1.0):
    mt.receive(command.encode() + b"\r\n", now)
    return mt.to_send().decode()


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("AT", "\r\nOK\r\n"),
        ("AT+CSCS=8859-1", "\r\nOK\r\n"),
        ('AT+CSCS="8859-1"', "\r\nOK\r\n"),
        ("AT+GMI?", "\r\n+GMI: SEPURA\r\n\r\nOK\r\n"),
        ("AT+CREG?", "\r\n+CREG: 1,17,023409999\r\n\r\nOK\r\n"),
        ("AT+CTOM?", "\r\n+CTOM: 0\r\n\r\nOK\r\n"),
        ("AT+CSQ?", "\r\n+CSQ: 24,99\r\n\r\nOK\r\n"),
        ("AT+CNUMF?", "\r\n+CNUMF: 6,02340999902349001\r\n\r\nOK\r\n"),
        ("AT+CBC?", "\r\n+CME ERROR: 35\r\n"),
        ("ATI", "\r\n+CME ERROR: 34\r\n"),
        ("AT+CTSP=7,3,10", "\r\n+CME ERROR: 34\r\n"),
        ("AT+WHAT?", "\r\n+CME ERROR: 4\r\n"),
        ("AT+CTSDSR=12", "\r\n+CME ERROR: 4\r\n"),
        ("AT?!", "\r\n+CME ERROR: 35\r\n"),
        ("AT+CMGS=2341001,16", "\r\n+CME ERROR: 3\r\n"),
    ],
)
def test_commands_and_results(command, answer):
    """Each command's result, framed by CR LF."""
    assert say(radio(), command) == answer


def test_motorola_puts_more_line_ends_before_results():
    """As its transcripts show."""
    assert say(radio("motorola"), "AT") == "\r\n\r\nOK\r\n"


def test_echo_until_told_otherwise():
    """A radio out of the box echoes."""
    mt = MobileTermination(DIALECTS["sepura"], Cell(), HEARD)
    assert say(mt, "AT") == "AT\r\r\nOK\r\n\n"


def test_only_what_was_registered_for_is_indicated():
    """Registrations decide; a second one for the same is 38; they are volatile."""
    mt = radio()
    lip = lip_frame(2341001, ShortReport(52.57, -0.24), mt.dialect)
    assert not mt.wants(lip)
    assert "OK" in say(mt, "AT+CTSP=1,3,10")
    assert mt.wants(lip)
    assert "38" in say(mt, "AT+CTSP=1,3,10")
    assert not mt.wants(status(2341001, 0x8001))
    assert "OK" in say(mt, "AT+CTSP=2,2,20")
    assert mt.wants(status(2341001, 0x8001))
    assert "OK" in say(mt, "AT+CTSP=1,3,24")
    assert mt.wants(simple_text(2341001, "x"))
    assert not mt.wants(transfer_text(2341001, "x", 1))


def test_atz_reboots_in_silence_and_is_noted():
    """No OK, no registrations, nothing heard for a while."""
    mt = radio()
    say(mt, "AT+CTSP=1,3,10")
    assert say(mt, "ATZ") == ""
    assert mt.violations == ["ATZ"]
    assert say(mt, "AT", 2.0) == ""
    assert "OK" in say(mt, "AT", 5.0)
    assert not mt.wants(lip_frame(2341001, ShortReport(52.57, -0.24), mt.dialect))


def send(mt, called, digits, now=1.0):
    mt.receive(f"AT+CMGS={called},{4 * len(digits)}\r\n{digits}\x1a".encode(), now)
    return mt.to_send().decode()


def test_short_data_is_sent_and_its_outcome_told():
    """An instance and a reference at once, the outcome later; one at a time."""
    mt = radio()
    say(mt, "AT+CTSDS=12,0")
    assert send(mt, 2341001, "8204010174657374") == "\r\n+CMGS: 0,0,1\r\n\r\nOK\r\n"
    assert mt.downlinks[0].octets == bytes.fromhex("8204010174657374")
    assert "42" in say(mt, "AT+CMGS=2341001,16")
    assert mt.deadline() == pytest.approx(1.3)
    mt.tick(1.4)
    assert mt.to_send() == b"\r\n+CMGS: 0,4,1\r\n"
    assert send(mt, 2349999, "8204010174657374", 2.0)
    mt.tick(3.0)
    assert mt.to_send() == b"\r\n+CMGS: 0,5,2\r\n"
    assert len(mt.downlinks) == 1


def test_the_service_is_sticky():
    """A status needs +CTSDS=13; with it, 16 bits exactly."""
    mt = radio()
    say(mt, "AT+CTSDS=13,0")
    assert "33" in say(mt, "AT+CMGS=2341001,64")
    assert "OK" in send(mt, 2341001, "800B")
    assert mt.downlinks[0].service == 13


def test_lost_end_of_data():
    """In data entry a command is data; ESC or time ends it; what is no hexadecimal is 36."""
    mt = radio()
    say(mt, "AT+CTSDS=12,0")
    assert say(mt, "AT+CMGS=2341001,64") == ""
    assert say(mt, "AT") == ""
    mt.receive(b"\x1a", 1.0)
    assert "36" in mt.to_send().decode()
    assert say(mt, "AT+CMGS=2341001,64") == ""
    mt.receive(b"\x1b", 1.0)
    assert "OK" in mt.to_send().decode()
    say(mt, "AT+CMGS=2341001,64")
    mt.tick(40.0)
    assert "37" in mt.to_send().decode()


@pytest.mark.parametrize(
    ("dialect", "stated", "digits", "fields"),
    [("motorola", 88, 22, 6), ("motorola-old", 84, 22, 6), ("sepura", 84, 21, 7)],
)
def test_each_make_prints_reports_its_own_way(dialect, stated, digits, fields):
    """Stated bits, digits and number of fields."""
    mt = radio(dialect)
    head, line = mt.indication(lip_frame(2341001, ShortReport(52.57, -0.24), mt.dialect)).decode().split()[1:]
    assert head.split(",")[5] == str(stated)
    assert (len(head.split(",")), len(line)) == (fields, digits)


SCRIPT = b"ATE0\r\nAT+GMI?\r\nAT+CTSP=1,3,10\r\nAT+CTSDS=12,0\r\nAT+CMGS=2341001,16\r\n8204\x1aAT+CREG?\r\n"


@given(st.lists(st.integers(0, len(SCRIPT)), max_size=8))
def test_any_pieces_give_the_same_answers(cuts):
    """A command may arrive in any pieces."""
    whole, pieces = (MobileTermination(DIALECTS["motorola"], Cell(), HEARD) for _ in range(2))
    whole.receive(SCRIPT, 1.0)
    edges = [0, *sorted(cuts), len(SCRIPT)]
    for start, end in itertools.pairwise(edges):
        pieces.receive(SCRIPT[start:end], 1.0)
    assert pieces.to_send() == whole.to_send()


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data):
    """Noise on the line never raises."""
    mt = MobileTermination(DIALECTS["motorola"], Cell(), HEARD)
    mt.receive(data, 1.0)
    mt.receive(b"\x1bAT+CMGS=1,8\r" + data, 1.0)
    mt.tick(100.0)


def test_a_late_result_and_what_waits_behind_it():
    """The radio answers in order; a command that came before the late result is a breach, AT alone is not."""
    mt = radio()
    mt.delay_result(1.0)
    assert say(mt, "AT+CREG?") == "\r\n+CREG: 1,17,023409999\r\n"
    assert say(mt, "AT", 1.5) == ""
    assert say(mt, "AT+CTOM?", 1.6) == ""
    assert mt.violations == []
    assert say(mt, "AT+CTOM=0", 1.7) == ""
    assert mt.violations == ["AT+CTOM=0 overtook a result"]
    told = []
    for tenth in range(21, 26):
        mt.tick(tenth / 10)
        told.append(mt.to_send())
    ok = b"\r\nOK\r\n"
    assert told == [ok, ok, b"\r\n+CTOM: 0\r\n" + ok, ok, b""]
    assert say(mt, "AT+CTOM=0", 2.6) == "\r\nOK\r\n"
    assert len(mt.violations) == 1


def test_what_waits_behind_a_late_result_still_owes():
    """The late result is there, the next one is not: a command in between is a breach, one after it is not."""
    mt = radio()
    mt.delay_result(1.0)
    say(mt, "AT+CSQ?")
    say(mt, "AT", 1.9)
    mt.tick(2.0)
    assert mt.to_send().count(b"OK") == 1
    assert say(mt, "ATE0", 2.01) == ""
    assert mt.violations == ["ATE0 overtook a result"]
    mt.tick(2.1)
    mt.tick(2.2)
    assert mt.to_send().count(b"OK") == 2
    say(mt, "AT+CREG=2", 2.21)
    assert len(mt.violations) == 1


def test_a_dropped_result_never_comes():
    """One command, and only one, stays without its end."""
    mt = radio()
    mt.drop_result()
    assert say(mt, "AT") == ""
    assert "OK" in say(mt, "AT")


def test_a_reboot_takes_everything_but_the_mode():
    """Registrations, echo, data entry and short data on the air are gone."""
    mt = radio()
    say(mt, "AT+CTSP=1,3,10")
    say(mt, "AT+CTSDS=12,0")
    say(mt, "AT+CMGS=2341001,64")
    mt.reboot(5.0)
    assert say(mt, "AT", 6.0) == ""
    assert say(mt, "AT", 9.0) == "AT\r\r\nOK\r\n\n"
    assert not mt.memory.registered
    assert "3" in say(mt, "AT+CMGS=2341001,64", 9.0)


def test_a_burst_costs_the_registrations():
    """Errors that answer nothing."""
    mt = radio()
    say(mt, "AT+CTSP=1,3,10")
    mt.burst((1, 2, 30))
    assert mt.to_send() == b"\r\n+CME ERROR: 1\r\n\r\n+CME ERROR: 2\r\n\r\n+CME ERROR: 30\r\n"
    assert "OK" in say(mt, "AT+CTSP=1,3,10")


def test_the_table_fills():
    """Error 39 when nothing more fits."""
    mt = radio()
    answers = [say(mt, f"AT+CTSP=1,3,{number}") for number in range(65)]
    assert all("OK" in answer for answer in answers[:64])
    assert "39" in answers[64]


def test_a_confused_radio_wants_a_bare_at():
    """Everything is a syntax error until then."""
    mt = radio()
    mt.confuse()
    assert "35" in say(mt, "AT+CREG?")
    assert "35" in say(mt, "ATE0")
    assert "OK" in say(mt, "AT")
    assert "OK" in say(mt, "AT+CREG?")


def test_a_change_of_mode_costs_the_registrations_and_is_told():
    """Direct mode refuses short data; the network is gone for whoever asked to hear of it."""
    mt = radio()
    for command in ("AT+CREG=2", "AT+CTSP=2,2,20", "AT+CTSDS=12,0"):
        say(mt, command)
    assert say(mt, "AT+CTOM=0") == "\r\nOK\r\n"
    assert mt.memory.registered
    assert say(mt, "AT+CTOM=1") == "\r\n+CREG: 0,17,023409999\r\n\r\nOK\r\n"
    assert not mt.memory.registered
    assert "40" in say(mt, "AT+CMGS=2341001,64")
    assert say(mt, "AT+CSQ?") == "\r\n+CSQ: 99,99\r\n\r\nOK\r\n"


@pytest.mark.parametrize(("dialect", "code"), [("motorola", "42"), ("sepura", "3")])
def test_a_call_refuses_short_data(dialect, code):
    """Each make with its own error, until the call is over."""
    mt = radio(dialect)
    for command in ("AT+CTSP=2,0,0", "AT+CTSDS=12,0"):
        say(mt, command)
    mt.begin_call(2341001, 2340001, 15)
    assert "+CTICN: 1,0,0,0,2341001,1,1,0,1,1,0,2340001,15" in mt.to_send().decode()
    assert f"+CME ERROR: {code}\r\n" in say(mt, "AT+CMGS=2341001,64")
    mt.end_call()
    assert "+CTCR: 1,13" in mt.to_send().decode()
    assert "OK" in send(mt, 2341001, "8204010174657374")


def test_motorola_wants_a_gap_between_two():
    """Busy at once after the first."""
    mt = radio("motorola")
    say(mt, "AT+CTSDS=12,0")
    assert "OK" in send(mt, 2341001, "8204010174657374", 2.0)
    mt.tick(2.35)
    mt.to_send()
    assert "42" in say(mt, "AT+CMGS=2341001,64", 2.4)
    assert "OK" in send(mt, 2341001, "8204010174657374", 2.6)


def test_too_long_and_what_fits():
    """The radio says how much it takes, and refuses more."""
    mt = radio()
    say(mt, "AT+CTSDS=12,0")
    assert "(8-1184)" in say(mt, "AT+CMGS=?")
    assert "34" in say(mt, "AT+CMGS=2341001,1192")


def test_out_of_reach_is_a_failure_on_the_air():
    """Status 5, and nothing arrives."""
    mt = radio()
    mt.memory.unreachable.add(2341001)
    say(mt, "AT+CTSDS=12,0")
    send(mt, 2341001, "8204010174657374")
    mt.tick(2.0)
    assert mt.to_send() == b"\r\n+CMGS: 0,5,1\r\n"
    assert mt.downlinks == []


def test_two_commands_at_once_are_a_breach():
    """Whoever sends the second before the first is answered takes one answer for the other."""
    mt = radio()
    mt.receive(b"AT\r\nAT\r\n", 1.0)
    assert mt.violations == []
    mt.receive(b"AT+CRE", 1.0)
    mt.receive(b"G?\r\nAT+CTOM=0\r\n", 1.0)
    assert mt.violations == ["AT+CTOM=0 overtook a result"]


def test_a_burst_answers_what_was_under_way():
    """The late result does not come any more."""
    mt = radio()
    mt.delay_result(1.0)
    say(mt, "AT")
    mt.burst((2,))
    mt.tick(5.0)
    assert mt.to_send() == b"\r\n+CME ERROR: 2\r\n"
