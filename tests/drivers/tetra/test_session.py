"""The conversation: set-up, time-outs, restarts. Time is an argument; no port, no loop."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from drivers.tetra import dialects, flight
from drivers.tetra.heard import Unreadable
from drivers.tetra.outbox import NO_ANSWER
from drivers.tetra.session import Call, Heard, Ready, Refused, SdsIndication, Session, Silent, Timing
from gateway.domain.time import Instant
from gateway.errors import MisuseError

SDS = b"\r\n+CTSDSR: 13,1000001,0,1000002,0,16\r\n8004\r\n"
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


def test_nothing_is_sent_before_the_first_tick():
    """Nothing happens in a constructor."""
    session = Session(dialects.GENERIC)
    assert (session.to_send(), session.deadline()) == (b"", 0.0)


def test_set_up_order():
    """Echo off first, then identity, then LIP and status among the profiles; never two at once."""
    talk = Talk().start(boot)
    assert talk.sent[0] == "ATE0"
    assert {"AT+CTSP=1,3,10", "AT+CTSP=2,2,20", "AT+CNUMF?", "AT+CREG=2"} <= set(talk.sent)
    assert len(talk.sent) == len(dialects.GENERIC.setup)
    (ready,) = talk.kinds(Ready)
    assert (ready.make, ready.number.ssi) == ("MOTOROLA", 23401)
    assert talk.session.answers


def test_never_atz():
    """No command of any dialect is on the list, and the list is enforced."""
    for dialect in dialects.DIALECTS.values():
        for command in (*dialect.setup, *dialect.keepalives):
            assert dialects.permitted(command.text) == command.text
            assert not command.instead or dialects.permitted(command.instead)
    for wrong in ("ATZ", "atz", "A T Z", "ATZ0", "AT+CTSDSR=12", "AT+CNUMF=0,1", "AT\r\nATZ", "AT" * 200):
        with pytest.raises(MisuseError):
            dialects.permitted(wrong)


def test_one_command_at_a_time():
    """The next only behind the result of the last."""
    talk = Talk()
    assert talk.wait() == ["ATE0"]
    assert talk.hear(b"\r\n") == []
    assert talk.hear(b"ATE0\r\n") == []
    assert talk.hear(b"\r\nO") == []
    assert talk.hear(b"K\r\n") == ["AT+CSCS=8859-1"]


def test_already_registered_is_success():
    """CME 38 to each profile: no refusal, no second attempt."""
    talk = Talk().start(lambda command: b"\r\n+CME ERROR: 38\r\n" if "CTSP" in command else b"\r\nOK\r\n")
    assert not talk.kinds(Refused)
    assert len(talk.sent) == len(dialects.GENERIC.setup)
    assert talk.kinds(Ready)


@pytest.mark.parametrize("code", [4, 34, 35])
def test_optional_commands_may_be_unknown(code):
    """A make that lacks them is ready all the same."""
    refuse = {"AT+CSCS=8859-1", "AT+GMI?", "AT+CTOM?", "AT+CNUMF?"}
    talk = Talk().start(lambda command: f"\r\n+CME ERROR: {code}\r\n".encode() if command in refuse else b"\r\nOK\r\n")
    assert not talk.kinds(Refused)
    assert talk.kinds(Ready)


def test_the_other_profile_is_tried():
    """Profile 2 refused: profile 1."""
    talk = Talk().start(lambda command: b"\r\nERROR\r\n" if "CTSP=2" in command else b"\r\nOK\r\n")
    assert "AT+CTSP=1,2,20" in talk.sent
    assert not talk.kinds(Refused)


def test_a_needed_command_refused_is_told_and_tried_again():
    """Registration table full: said once, tried again after a while."""
    full = lambda command: b"\r\n+CME ERROR: 39\r\n" if command.endswith("3,10") else b"\r\nOK\r\n"  # noqa: E731
    talk = Talk().start(full)
    assert talk.kinds(Refused) == [Refused("AT+CTSP=2,3,10", 39)]
    before = len(talk.sent)
    assert talk.session.deadline() == pytest.approx(talk.now_s + Timing().retry_s)
    talk.wait()
    talk.answer()
    assert "AT+CTSP=1,3,10" in talk.sent[before:]
    assert len(talk.kinds(Refused)) == 1


def test_short_data_between_a_command_and_its_ok():
    """Heard at once; the command is still in flight."""
    talk = Talk()
    talk.wait()
    assert talk.hear(SDS) == []
    (heard,) = talk.kinds(SdsIndication)
    assert heard.calling.ssi == 1000001
    assert talk.hear(b"\r\nOK\r\n") == ["AT+CSCS=8859-1"]


def test_a_command_that_times_out_is_resynchronised_and_tried_once_more():
    """AT first, then the same command, then on."""
    talk = Talk()
    talk.wait()
    assert talk.wait() == ["AT"]
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.quiet() == ["ATE0"]
    assert talk.wait() == ["AT"]
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.quiet() == ["AT+CSCS=8859-1"]
    assert not talk.kinds(Silent)


def test_a_needed_command_without_a_result_is_told():
    """Twice no answer."""
    need = msgspec.structs.replace(dialects.GENERIC, setup=(dialects.Command("AT+CTSP=1,3,10", needed=True),))
    talk = Talk(need)
    talk.wait()
    for _ in range(2):
        talk.wait()
        talk.hear(b"\r\nOK\r\n")
        talk.quiet()
    assert talk.kinds(Refused) == [Refused("AT+CTSP=1,3,10", NO_ANSWER)]


def test_resync_goes_on_while_the_answer_is_a_syntax_error():
    """At once a few times, then at the pace of the time-out: never a storm."""
    talk = Talk()
    talk.wait()
    talk.wait()
    sent = len(talk.sent)
    for _ in range(50):
        talk.hear(b"\r\n+CME ERROR: 35\r\n")
    assert len(talk.sent) - sent < 5
    talk.wait()
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.quiet() == ["ATE0"]


@pytest.mark.parametrize("code", [36, 37])
def test_data_entry_is_left(code):
    """A radio that takes commands for digits gets ESC, then AT."""
    talk = Talk()
    talk.wait()
    new = talk.hear(f"\r\n+CME ERROR: {code}\r\n".encode())
    assert new == ["\x1bAT"]


def test_a_silent_radio_is_told_once_and_asked_for_ever():
    """And set up again when it answers."""
    talk = Talk().start()
    talk.take()
    assert talk.wait() == ["AT+CREG?"]
    for _ in range(20):
        assert talk.wait()[-1].endswith("AT")
    assert len(talk.kinds(Silent)) == 1
    assert not talk.session.answers
    assert talk.session.condition == "silent"
    assert talk.session.condition == "silent"
    assert talk.hear(b"\r\nOK\r\n") == []
    assert talk.quiet() == ["ATE0"]
    talk.answer()
    assert len(talk.kinds(Ready)) == 2
    assert talk.session.answers
    assert talk.session.condition == "up"


def test_keepalive_only_after_silence():
    """Traffic puts it off."""
    timing = Timing(keepalive_s=30)
    talk = Talk(timing=timing).start()
    talk.now_s += 20
    talk.hear(SDS)
    assert talk.session.deadline() == pytest.approx(talk.now_s + 30)


def test_an_echo_says_that_the_radio_restarted():
    """ATE0 was forgotten, so the profiles are too."""
    talk = Talk().start()
    talk.wait()
    talk.hear(b"AT+CREG?\r\r\n+CREG: 1,1,90109999\r\n\r\nOK\r\n")
    talk.answer(boot)
    assert talk.sent.count("ATE0") == 2
    assert len(talk.kinds(Ready)) == 2


def test_the_echo_of_the_set_up_does_not_start_it_over():
    """The first commands are echoed by every radio."""
    talk = Talk().start(lambda command: command.encode() + b"\r\r\nOK\r\n")
    assert len(talk.sent) == len(dialects.GENERIC.setup)


def test_back_in_service_is_set_up_again():
    """Unsolicited registration 0, then 1."""
    talk = Talk().start(boot)
    assert talk.hear(b"\r\n+CREG: 0,1,90109999\r\n") == []
    assert talk.hear(b"\r\n+CREG: 1,1,90109999\r\n") == ["ATE0"]


def test_a_change_of_mode_is_set_up_again():
    """Registrations do not survive it."""
    talk = Talk().start(boot)
    assert talk.hear(b"\r\n+CTOM: 1\r\n") == ["ATE0"]


def test_set_up_is_renewed_by_itself():
    """A restart nobody noticed costs minutes, not a shift."""
    talk = Talk(timing=Timing(renew_s=10, keepalive_s=30)).start()
    assert talk.wait() == ["ATE0"]


def test_emergency_call():
    """+CTICN of 13 fields at priority 15; any other priority is only heard."""
    line = "\r\n+CTICN: 1,0,0,5,09011638300023404,1,1,0,1,1,5,09011638300000001,{}\r\n"
    talk = Talk().start()
    talk.hear(line.format(0).encode())
    assert not talk.kinds(Call)
    talk.hear(line.format(15).encode())
    (call,) = talk.kinds(Call)
    assert call.calling.ssi == 23404
    talk.hear(b"+CTICN:46,0,7,0,2,1,1,0,4,15\r\n")
    assert len(talk.kinds(Call)) == 1


def test_no_emergency_priority():
    """A force may switch it off."""
    talk = Talk(msgspec.structs.replace(dialects.GENERIC, emergency_priority=None)).start()
    talk.hear(b"\r\n+CTICN: 1,0,0,5,09011638300023404,1,1,0,1,1,5,09011638300000001,15\r\n")
    assert not talk.kinds(Call)


def test_noise_is_heard_and_kept():
    """Unsolicited lines, stray results, stray lines, garbage."""
    talk = Talk().start()
    talk.hear(b"\r\n+ENCR: 15,SHFW\r\nOK\r\nwelcome\r\n\x00\x01\r\n")
    assert [event.channel for event in talk.kinds(Heard)] == ["+ENCR", "result"]
    assert [event.raw for event in talk.kinds(Unreadable)] == [b"welcome", b"\x00\x01"]


def test_recorded_stream_in_any_state(fragments):
    """273 short data whether the session has begun or not."""
    talk = Talk()
    for piece in fragments:
        talk.hear(piece)
    assert len(talk.kinds(SdsIndication)) == 273
    talk = Talk()
    talk.wait()
    for piece in fragments:
        talk.hear(piece)
    assert len(talk.kinds(SdsIndication)) == 273


@pytest.mark.parametrize("whole", [False, True])
def test_a_late_ok_never_answers_the_next_command(whole):
    """The late one is taken for AT's, AT's own for nothing: only the answer that names itself counts."""
    talk = Talk().start(boot)
    marker = talk.session._flight.questions.known[0].text
    assert talk.wait() == ["AT+CREG?"]
    assert talk.wait() == ["AT"]
    assert talk.hear(b"\r\n+CREG: 1,1,1\r\n\r\nOK\r\n" if whole else b"\r\nOK\r\n") == []
    assert talk.hear(b"\r\nOK\r\n") == [marker], "at once, when nothing more is owed"
    assert talk.hear(f"\r\n+{marker[3:-1]}: 1,2\r\n\r\nOK\r\n".encode()) == ["AT+CREG?"]
