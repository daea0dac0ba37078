"""For all radios, polite or not: the session never raises, never storms, never sends what it must not."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.tetra import dialects, pei
from drivers.tetra.session import Ready, Session, Timing
from drivers.tetra.translate import Translator
from gateway.domain.events import EmergencyReport
from gateway.domain.time import Instant
from gateway.errors import WireError

many = settings(deadline=None)
START = datetime(2026, 11, 21, tzinfo=UTC)
EMERGENCY = b"\r\n+CTSDSR: 13,777,0,2,0,16\r\n0000\r\n"


def at(now_s: float) -> Instant:
    """A moment."""
    return Instant(now_s, START + timedelta(seconds=now_s))


answers = st.sampled_from(
    [
        b"\r\nOK\r\n",
        b"\r\nERROR\r\n",
        *(f"\r\n+CME ERROR: {code}\r\n".encode() for code in (0, 4, 34, 35, 36, 37, 38, 39, 99999)),
        b"\r\n+CREG: 0,1,90109999\r\n",
        b"\r\n+CREG: 1,1,90109999\r\nOK\r\n",
        b"\r\n+CREG: \r\n",
        b"\r\n+CTOM: 1\r\n",
        b"\r\n+CNUMF: 6,09011638300023401\r\n2,16777184\r\nOK\r\n",
        b"\r\n+CNUMF:\r\n",
        b"\r\n+CTICN: 1,0,0,5,x,1,1,0,1,1,5,y,15\r\n",
        b"\r\n+CTICN:\r\n",
        b"AT+CREG?\r\r\n",
        b"ATE0\r\r\nOK\r\n",
        EMERGENCY,
        b"",
    ]
)


@many
@given(st.lists(st.tuples(answers | st.binary(max_size=30), st.floats(0, 40)), max_size=60))
def test_any_radio_at_any_pace(script):
    """Only permitted commands, few at a time, and a deadline that is always a number."""
    session, now_s = Session(dialects.GENERIC, Timing()), 100.0
    for said, pause_s in script:
        now_s += pause_s
        if now_s >= session.deadline():
            session.tick(at(now_s))
        session.receive(said, at(now_s))
        session.events()
        sent = session.to_send().decode("latin-1")
        assert sent.count("\r\n") <= 2 + said.count(b"\r") + said.count(b"\n")
        for command in sent.replace("\x1b", "").split("\r\n"):
            assert dialects.permitted(command) == command
        assert session.deadline() == session.deadline()
        assert session.deadline() < now_s + 1000


@many
@given(st.lists(answers, max_size=40), st.integers(0, 40))
def test_no_state_of_the_session_hides_an_emergency(script, place):
    """Wherever it comes, it comes out in the same call."""
    session, now_s = Session(dialects.GENERIC, Timing()), 100.0
    session.tick(at(now_s))
    for number, said in enumerate([*script[:place], EMERGENCY, *script[place:]]):
        session.receive(said, at(now_s))
        heard = [event for event in session.events() if isinstance(event, pei.SdsIndication)]
        if number == min(place, len(script)):
            assert heard[-1].bits.value == 0
            assert heard[-1].calling.ssi == 777
        now_s += 1


@many
@given(st.lists(answers, max_size=30))
def test_a_radio_that_comes_to_its_senses_is_set_up(script):
    """After any nonsense, a radio that answers OK to everything ends up ready."""
    session, now_s, ready = Session(dialects.GENERIC, Timing()), 100.0, 0
    session.tick(at(now_s))
    for said in script:
        session.receive(said, at(now_s))
    session.receive(b"\r\n", at(now_s))
    session.events()
    pending = session.to_send()
    for _ in range(400):
        if pending:
            session.receive(b"\r\nOK\r\n", at(now_s))
        else:
            now_s = max(now_s, session.deadline())
            session.tick(at(now_s))
        ready += sum(isinstance(event, Ready) for event in session.events())
        pending = session.to_send()
    assert ready
    assert session.answers


@many
@given(st.integers(0, 15), st.integers(0, 1 << 400), st.integers(0, 400), st.none() | st.integers(1, 0xFFFFFF))
def test_translation_never_surprises(service, value, length, ssi):
    """Any service, any bits, any caller: events, or a wire error for the quarantine."""
    calling = None if ssi is None else pei.Address(str(ssi), ssi)
    bits = pei.Bits(value & ((1 << length) - 1), length)
    heard = pei.SdsIndication(service, calling, None, bits, b"")
    try:
        events = Translator("r").short_data(heard, at(0.0))
    except WireError:
        return
    kinds = [isinstance(event, EmergencyReport) for event in events]
    assert kinds == sorted(kinds, reverse=True), "an emergency comes first"
    assert all(event.origin.issi == ssi for event in events)
