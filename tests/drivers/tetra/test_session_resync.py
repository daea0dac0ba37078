"""The session out of step and back: late results, bursts, restarts."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from drivers.tetra import dialects, flight
from drivers.tetra.bits import Bits
from drivers.tetra.outbox import FAILED_ON_AIR, GONE, NO_ANSWER, NotSent, Parcel, Transmitted
from drivers.tetra.session import Ready, Refused, Session, Silent, Timing
from gateway.domain.time import Instant

START = datetime(2026, 11, 21, tzinfo=UTC)


class Talk:
    """A session and its time, with a radio that answers by a function."""

    def __init__(self, dialect=dialects.GENERIC, timing=None):
        self.session = Session(dialect, timing or Timing())
        self.now_s, self.sent, self.events, self.met = 100.0, [], [], False

    @property
    def now(self):
        """The moment it is here."""
        return Instant(self.now_s, START + timedelta(seconds=self.now_s))

    def take(self):
        """Collect what the session did; the new commands."""
        self.events += self.session.events()
        new = [line.strip() for line in self.session.to_send().decode("latin-1").split("\r\n") if line.strip()]
        self.sent += new
        return new

    def hear(self, data):
        """Bytes from the radio."""
        self.session.receive(data, self.now)
        return self.take()

    def meet(self):
        """The way into step with a radio that answers no question: refusals, a quiet time, AT."""
        self.met = True
        asked = self.wait()
        while asked:
            self.hear(b"\r\n+CME ERROR: 4\r\n")
            asked = self.wait()
        new = self.quiet()
        self.sent, self.events = new, []
        return new

    def quiet(self):
        """A quiet time, then AT and its result."""
        assert self.wait() == ["AT"]
        return self.hear(b"\r\nOK\r\n")

    def wait(self):
        """Let time pass to the deadline."""
        if not self.met:
            return self.meet()
        self.now_s = max(self.now_s, self.session.deadline())
        self.session.tick(self.now)
        return self.take()

    def answer(self, reply=lambda command: b"\r\nOK\r\n", limit=200):
        """Answer until nothing more is sent."""
        new = self.take() or self.sent[-1:]
        while new and limit:
            limit -= 1
            new = self.hear(reply(new[-1])) or self.believe()
        assert limit, "the session never stops sending"

    def believe(self):
        """After an error the moment passes in which it might have been one of a burst; the next command, or a check."""
        new = []
        while self.session._flight.current is flight.DOUBT:
            new = self.wait()
        return new

    def start(self, reply=lambda command: b"\r\nOK\r\n"):
        """Begin and answer everything."""
        self.wait()
        self.answer(reply)
        return self

    def kinds(self, kind):
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


def boot(command):
    """Answers as recorded from a Motorola."""
    known = {
        "AT+GMI?": b"\r\n+GMI: MOTOROLA\r\n\r\nOK\r\n",
        "AT+GMM?": b"\r\n+GMM: 54009,M83PFT6TZ6AG,91.2.0.0\r\n\r\nOK\r\n",
        "AT+CNUMF?": b"\r\n+CNUMF: 6,09011638300023401\r\n\r\n2,16777184\r\n\r\nOK\r\n",
        "AT+CREG?": b"\r\n+CREG: 1,1,90109999\r\n\r\nOK\r\n",
    }
    return known.get(command, b"\r\nOK\r\n")


def test_an_answer_to_an_older_question_does_not_count():
    """The second round asks another question, and waits longer for it."""
    talk = Talk().start(boot)
    first, second = (marker.text for marker in talk.session._flight.questions.known[:2])
    named = [f"\r\n+{text[3:-1]}: 1,2\r\n\r\nOK\r\n".encode() for text in (first, second)]
    talk.wait()
    talk.wait()
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.wait() == [first]
    assert talk.wait()[-1].endswith("AT")
    assert talk.session.deadline() == pytest.approx(talk.now_s + 2 * Timing().probe_s)
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.wait() == [second]
    assert talk.hear(named[0]) == [], "the first one's answer"
    assert talk.hear(named[1]) == ["AT+CREG?"], "the second one's"


def test_a_radio_that_never_ends_an_answer_is_believed_after_a_quiet_time():
    """The questions name themselves and lose their OK, again and again: it must not go on for ever."""
    talk = Talk().start(boot)
    rounds = 0
    talk.wait()
    while talk.sent[-1] != "AT+CREG?" or not rounds:
        rounds += 1
        assert rounds < 40
        new = talk.wait()
        if new and new[-1].endswith("AT"):
            talk.hear(b"\r\nOK\r\n")
        if talk.session._flight.current is talk.session._flight.marking:
            talk.hear(f"\r\n+{talk.sent[-1][3:-1]}: 1,2\r\n".encode())


def test_a_burst_of_errors_is_set_up_again():
    """Registrations are lost with what caused it; errors far apart are no burst."""
    talk = Talk().start(boot)
    for _ in range(2):
        assert talk.hear(b"\r\n+CME ERROR: 1\r\n") == []
        talk.now_s += 20
    talk.now_s -= 20
    talk.hear(b"\r\n+CME ERROR: 1\r\n")
    marker = talk.session._flight.questions.known[0].text
    assert talk.hear(b"\r\n+CME ERROR: 1\r\n") == [marker], "more of them may come"
    assert talk.hear(b"\r\n+CME ERROR: 1\r\n") == []
    assert talk.session.condition == "out_of_step"
    assert talk.hear(f"\r\n+{marker[3:-1]}: 1,2\r\n\r\nOK\r\n".encode()) == ["ATE0"]


def test_conditions_by_name():
    """Starting, up, direct, no service, wrong speed."""
    talk = Talk()
    assert talk.session.condition == "starting"
    talk.start(boot)
    assert talk.session.condition == "up"
    talk.hear(b"\r\n+CREG: 0,1,1\r\n")
    assert talk.session.condition == "no_service"
    talk.hear(b"\r\n+CTOM: 1\r\n")
    talk.answer(lambda command: b"\r\n+CTOM: 1\r\nOK\r\n" if "CTOM" in command else boot(command))
    assert talk.session.condition == "direct"
    deaf = Talk()
    deaf.wait()
    deaf.hear(b"\x00\x81\x02\r\n")
    for _ in range(3):
        deaf.wait()
    assert deaf.session.condition == "wrong_speed"
    assert deaf.kinds(Silent)[0].garbled


@pytest.mark.parametrize("name", ["generic", "motorola", "sepura"])
def test_every_dialect_gets_ready(name):
    """Motorola's battery, Sepura's quoted charset; LIP and status are registered by all."""
    talk = Talk(dialects.DIALECTS[name]).start(boot)
    assert talk.kinds(Ready)
    assert {"AT+CTSP=1,3,10", "AT+CTSP=2,2,20"} <= set(talk.sent)
    assert ('AT+CSCS="8859-1"' in talk.sent) is (name == "sepura")
    assert ("AT+CBC?" in talk.sent) is (name == "motorola")
    assert talk.session.state.make == "MOTOROLA"
    talk.wait()


PARCEL = Parcel(1, 4711, 12, Bits(0x82040141, 32))


def test_a_message_goes_out_as_two_commands():
    """The service first, then the digits and ^Z; its fate is the radio's word behind its OK."""
    talk = Talk().start(boot)
    assert talk.session.post(PARCEL, talk.now)
    assert talk.take() == ["AT+CTSDS=12,0,0,0,1"]
    talk.session.receive(b"\r\nOK\r\n", talk.now)
    assert talk.session.to_send() == b"AT+CMGS=4711,32\r\n82040141\x1a"
    assert talk.hear(b"\r\n+CMGS: 0,3,65\r\n\r\nOK\r\n") == []
    assert not talk.kinds(Transmitted)
    talk.hear(b"\r\n+CMGS: 0,4,65\r\n")
    assert talk.kinds(Transmitted) == [Transmitted(1, 65)]


def test_the_next_message_keeps_its_distance_and_the_service_is_not_said_twice():
    """Spacing by the dialect; another service is selected where it differs."""
    talk = Talk().start(boot)
    for key, service in ((1, 12), (2, 12), (3, 13)):
        talk.session.post(msgspec.structs.replace(PARCEL, key=key, service=service), talk.now)
    talk.take()
    talk.hear(b"\r\nOK\r\n")
    assert talk.hear(b"\r\nOK\r\n\r\n+CMGS: 0,4,1\r\n") == []
    assert talk.session.deadline() == pytest.approx(talk.now_s + dialects.GENERIC.spacing_s)
    assert talk.wait()[0] == "AT+CMGS=4711,32"
    talk.hear(b"\r\nOK\r\n\r\n+CMGS: 0,5,2\r\n")
    assert talk.wait() == ["AT+CTSDS=13,0"]
    assert talk.kinds(NotSent) == [NotSent(2, FAILED_ON_AIR)]


def test_nothing_is_sent_during_a_call():
    """Until its release, or until no sign of life has come for long."""
    talk = Talk().start(boot)
    talk.hear(b"\r\n+CTICN: 1,0,0,5,7,1,1,0,1,1,5,9,0\r\n")
    talk.session.post(PARCEL, talk.now)
    assert talk.take() == []
    talk.hear(b"\r\n+CDTXC: 1,0\r\n")
    assert talk.take() == []
    talk.hear(b"\r\n+CTCR: 1,13\r\n")
    assert talk.wait() == ["AT+CTSDS=12,0,0,0,1"]


def test_nothing_is_sent_without_a_network_and_what_is_held_too_long_fails():
    """So that another terminal can take it over."""
    talk = Talk().start(boot)
    talk.hear(b"\r\n+CREG: 0,1,1\r\n")
    talk.session.post(PARCEL, talk.now)
    assert talk.take() == []
    talk.now_s += dialects.GENERIC.hold_s
    talk.session.tick(talk.now)
    talk.take()
    assert talk.kinds(NotSent) == [NotSent(1, GONE)]


def test_a_message_without_an_answer_is_never_sent_twice():
    """The radio may have sent it: its fate is waited for, then said to be unknown; data entry is left."""
    talk = Talk().start(boot)
    talk.session.post(PARCEL, talk.now)
    talk.take()
    talk.hear(b"\r\nOK\r\n")
    talk.now_s = talk.session.deadline()
    talk.session.tick(talk.now)
    assert talk.session.to_send() == b"\x1bAT\r\n"
    talk.answer(boot)
    for _ in range(4):
        talk.wait()
        talk.answer(boot)
    assert talk.kinds(NotSent) == [NotSent(1, NO_ANSWER)]
    assert sum("CMGS" in command for command in talk.sent) == 1


def test_a_refused_message_has_the_radios_code():
    """CME 3: not allowed in this state."""
    talk = Talk().start(boot)
    talk.session.post(PARCEL, talk.now)
    talk.take()
    talk.hear(b"\r\nOK\r\n")
    talk.hear(b"\r\n+CME ERROR: 3\r\n")
    assert not talk.kinds(NotSent)
    [question] = talk.believe()
    assert not talk.kinds(NotSent)
    talk.hear(named(question))
    assert talk.kinds(NotSent) == [NotSent(1, 3)]


def test_a_silent_radio_gives_its_messages_back():
    """And so does a port that is gone."""
    talk = Talk().start(boot)
    for key in (1, 2):
        talk.session.post(msgspec.structs.replace(PARCEL, key=key), talk.now)
    for _ in range(4):
        talk.wait()
    assert {fate.key for fate in talk.kinds(NotSent)} == {1, 2}
    other = Talk().start(boot)
    other.session.post(PARCEL, other.now)
    other.session.hang_up(other.now)
    other.take()
    assert other.kinds(NotSent) == [NotSent(1, GONE)]


def test_a_burst_under_way_answers_no_command():
    """Errors one upon another while a command is in flight: back into step, and the command again."""
    talk = Talk().start(boot)
    marker = talk.session._flight.questions.known[0].text
    talk.wait()
    assert talk.hear(b"\r\n+CME ERROR: 1\r\n") == [], "an error is not believed at once"
    assert talk.hear(b"\r\n+CME ERROR: 1\r\n") == ["AT"]
    assert talk.hear(b"\r\n+CREG: 1,1,1\r\n\r\nOK\r\n") == [marker], "the answer itself comes too late to count"
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.hear(f"\r\n+{marker[3:-1]}: 1,2\r\n\r\nOK\r\n".encode()) == ["AT+CREG?"]


def test_an_error_and_then_the_result_is_a_burst_of_one():
    """The stray error was first: the command is asked again, not taken as refused."""
    need = msgspec.structs.replace(dialects.GENERIC, setup=(dialects.Command("AT+CTSP=1,3,10", needed=True),))
    talk = Talk(need)
    talk.wait()
    assert talk.hear(b"\r\n+CME ERROR: 1\r\n\r\nOK\r\n") == ["AT"]
    talk.hear(b"\r\nOK\r\n")
    assert talk.quiet() == ["AT+CTSP=1,3,10"]
    talk.hear(b"\r\nOK\r\n")
    assert not talk.kinds(Refused)
    assert talk.kinds(Ready)


def test_a_burst_never_makes_a_message_go_twice():
    """It may have been sent: its fate is waited for."""
    talk = Talk().start(boot)
    talk.session.post(PARCEL, talk.now)
    talk.take()
    talk.hear(b"\r\nOK\r\n")
    talk.hear(b"\r\n+CMGS: 0,0,7\r\n+CME ERROR: 1\r\n+CME ERROR: 1\r\n")
    talk.hear(b"\r\n+CMGS: 0,4,6\r\n")
    assert not talk.kinds(Transmitted)
    talk.hear(b"\r\n+CMGS: 0,4,7\r\n")
    assert talk.kinds(Transmitted) == [Transmitted(1, 7)]
    talk.answer(boot)
    assert sum("CMGS" in command for command in talk.sent) == 1


def test_a_refused_message_whose_data_is_refused_too_is_refused():
    """CME 3 to the command, CME 36 to its data: no burst."""
    talk = Talk().start(boot)
    talk.session.post(PARCEL, talk.now)
    talk.take()
    talk.hear(b"\r\nOK\r\n")
    assert talk.hear(b"\r\n+CME ERROR: 3\r\n\r\n+CME ERROR: 36\r\n") == []
    [question] = talk.believe()
    talk.hear(named(question))
    assert talk.kinds(NotSent) == [NotSent(1, 3)]


def named(question):
    """Its answer."""
    return f"\r\n+{question[3:-1]}: 1,2\r\n\r\nOK\r\n".encode()


def fresh(turn=0):
    """A session at its very start."""
    talk = Talk()
    talk.session, talk.met = Session(dialects.GENERIC, Timing(), turn), True
    return talk


def test_the_start_waits_for_two_named_answers():
    """A result that the session before was owed answers nothing; a healthy radio costs two questions and no time."""
    talk = fresh()
    assert talk.wait() == ["AT+GMI?"]
    assert talk.hear(named("AT+GMI?")) == ["AT+GMM?"]
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.hear(named("AT+GMI?")) == [], "our own first one: the other was an older session's"
    assert talk.hear(named("AT+GMM?")) == ["ATE0"]
    assert talk.now_s == 100.0


def test_each_session_begins_with_another_question():
    """What the last one asked may still be owed."""
    assert len({fresh(turn).wait()[0] for turn in range(4)}) == 4


def test_the_start_survives_a_question_refused_and_one_lost():
    """CME to the first, nothing to the second: the others do."""
    talk = fresh()
    talk.wait()
    assert talk.hear(b"\r\n+CME ERROR: 35\r\n") == []
    assert talk.wait() == ["AT+GMM?"]
    assert talk.wait()[-1].endswith("AT")
    assert talk.hear(b"\r\nOK\r\n") == ["AT+GMR?"]
    assert talk.hear(named("AT+GMR?")) == ["AT+CNUMF?"]
    assert talk.hear(named("AT+CNUMF?")) == ["ATE0"]


@pytest.mark.parametrize("answer", [b"\r\n+CME ERROR: 34\r\n", b"\r\nERROR\r\n", b"\r\nOK\r\n"])
def test_a_radio_that_answers_no_question_is_used_after_a_quiet_time(answer):
    """Four refusals, longer than any result may take, AT, and on."""
    talk = fresh()
    asked = talk.wait()
    while asked:
        talk.hear(answer)
        asked = talk.wait()
    assert len(talk.sent) == 4
    began_s = talk.now_s
    assert talk.wait() == ["AT"]
    assert talk.now_s - began_s > Timing().reply_s
    assert talk.hear(b"\r\nOK\r\n") == ["ATE0"]


def test_an_error_behind_a_named_answer_is_not_its_result():
    """A burst in between: the question's own result is still owed."""
    talk = fresh()
    talk.wait()
    assert talk.hear(b"\r\n+GMI: X\r\n\r\n+CME ERROR: 1\r\n") == []
    assert talk.hear(b"\r\nOK\r\n") == ["AT+GMM?"]
