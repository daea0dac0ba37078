"""For all strays and late results: none is believed to be a command's that it is not, and the way back is short."""

from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from drivers.tetra import dialects
from drivers.tetra.bits import Bits
from drivers.tetra.outbox import FAILED_ON_AIR, NO_ANSWER, NotSent, Parcel, Transmitted
from drivers.tetra.session import Ready, Refused, Session, Timing
from gateway.domain.time import Instant

many = settings(deadline=None)
START = datetime(2026, 11, 21, tzinfo=UTC)
STRAY, OWN = 500, 1000
"""Errors of these numbers: what answers nothing, and what a command got (each a number of its own)."""
QUICK_S, ENOUGH_S = 0.01, 600.0
STRAYS = [b"OK", b"ERROR", *(f"+CME ERROR: {code}".encode() for code in (3, 31, 35, 36, 38, STRAY, STRAY + 1))]


class Radio:
    """Does one command after another; says of itself what it was asked; some of its lines come from nowhere.

    `faults` says of the n-th command how long it takes, whether it is refused, and what strays come, and when.
    """

    def __init__(self, faults):
        self.faults, self.heard, self.due = faults, [], []
        self.busy_until, self.refused, self.aired = 0.0, {}, []

    def hear(self, octets, now_s):
        """Commands as sent; the digits of a message are none."""
        for line in octets.replace(b"\x1b", b"").split(b"\r\n"):
            text = line.rpartition(b"\x1a")[2].decode("latin-1")
            if text:
                self._command(text, now_s)

    def _command(self, text, now_s):
        takes_s, refuses, strays = self.faults.get(len(self.heard), (QUICK_S, False, ()))
        self.heard.append(text)
        self.busy_until = max(self.busy_until, now_s) + takes_s
        self.due += [(now_s + part * takes_s, b"\r\n" + stray + b"\r\n") for part, stray in strays]
        answer, key = self._answer(text, refuses), text.startswith("AT+CMGS=")
        self.due.append((self.busy_until, answer))
        if key and not refuses:
            self.aired.append(int(text[8:].split(",")[0]))
            self.due.append((self.busy_until + 0.5, f"\r\n+CMGS: 0,4,{len(self.aired)}\r\n".encode()))
        self.due.sort(key=lambda entry: entry[0])

    def _answer(self, text, refuses):
        if text[-1] == "?":
            value = "0" if text == "AT+CTOM?" else "1,2"
            return f"\r\n{text[2:-1]}: {value}\r\n\r\nOK\r\n".encode()
        if refuses and text.startswith(("AT+CMGS=", "AT+CTSP=")):
            code = OWN + len(self.heard)
            self.refused[code] = text
            return f"\r\n+CME ERROR: {code}\r\n".encode()
        return b"\r\nOK\r\n"


fault = st.tuples(
    st.sampled_from([QUICK_S, 0.1, 0.5, 1.0, 3.0]),
    st.booleans(),
    st.lists(st.tuples(st.floats(0, 1.5), st.sampled_from(STRAYS)), max_size=2),
)
SENDING_BEGINS = 30
BURST_BEFORE_A_SENDING = {
    11: (QUICK_S, False, [(0.0, b"ERROR")]),
    19: (QUICK_S, False, [(0.0, b"OK")]),
    45: (0.5, False, [(0.0, b"ERROR"), (1.0, b"ERROR")]),
    50: (QUICK_S, False, [(0.0, b"ERROR")]),
}
"""The third error of a burst comes between a message and its OK: a set-up is queued while the message is in flight."""


def converse(faults, texts=3):
    """A whole conversation: set-up, messages, a question or two; the events, and when it was up again for good."""
    session, radio, events, now_s, posted = Session(dialects.GENERIC, Timing()), Radio(faults), [], 0.0, 0
    while now_s < ENOUGH_S:
        now = Instant(now_s, START + timedelta(seconds=now_s))
        if session.condition == "up" and posted < texts:
            posted += session.post(Parcel(posted, 100 + posted, 12, Bits(posted, 32)), now)
        radio.hear(session.to_send(), now_s)
        next_s = min(session.deadline(), radio.due[0][0] if radio.due else float("inf"))
        now_s = max(now_s, next_s)
        now = Instant(now_s, START + timedelta(seconds=now_s))
        if radio.due and radio.due[0][0] <= now_s:
            session.receive(radio.due.pop(0)[1], now)
        else:
            session.tick(now)
        events += session.events()
    return session, radio, events


@many
@given(st.dictionaries(st.integers(2, 60), fault, max_size=6))
@example({SENDING_BEGINS + n: (1.0, False, [(0.0, b"+CME ERROR: 31")]) for n in range(8)})
@example({SENDING_BEGINS + n: (1.0, True, [(0.0, b"OK")]) for n in range(8)})
@example(BURST_BEFORE_A_SENDING)
def test_no_stray_is_a_fate(faults):
    """A message is said to be sent if it was; refused, by its own refusal; nothing goes twice; in step at the end."""
    session, radio, events = converse(faults)
    for event in events:
        if isinstance(event, Transmitted):
            assert 100 + event.key in radio.aired
        elif isinstance(event, NotSent) and event.code not in {NO_ANSWER, FAILED_ON_AIR}:
            assert radio.refused.get(event.code, "").startswith(f"AT+CMGS={100 + event.key},"), event
        elif isinstance(event, Refused) and event.code != NO_ANSWER:
            assert radio.refused.get(event.code) == event.command, event
    assert len(radio.aired) == len(set(radio.aired))
    fates = [event.key for event in events if isinstance(event, Transmitted | NotSent)]
    assert sorted(fates) == list(range(3)), "one fate each"
    assert any(isinstance(event, Ready) for event in events)
    assert session.condition == "up"


def test_where_all_is_well_nothing_more_is_asked():
    """Two questions, the set-up, and each message its own command: checks are for doubt alone."""
    session, radio, events = converse({})
    setup = [command.text for command in dialects.GENERIC.setup]
    assert radio.heard[2 : 2 + len(setup)] == setup
    assert radio.heard[2 + len(setup) : 6 + len(setup)] == [
        dialects.GENERIC.sds_service,
        *(f"AT+CMGS={100 + key},32" for key in range(3)),
    ]
    assert sum(isinstance(event, Ready) for event in events) == 1 + int(ENOUGH_S // Timing().renew_s) - 1
    assert session.condition == "up"


def test_a_set_up_whose_results_moved_by_one_is_begun_anew():
    """A stray OK early in it: the question at its end has another's OK, and nothing was told as ready before."""
    session, radio, events = converse({3: (0.5, False, [(0.0, b"OK")])}, texts=0)
    assert radio.heard.count("ATE0") >= 2
    assert sum(isinstance(event, Ready) for event in events) == 1 + int(ENOUGH_S // Timing().renew_s) - 1
    assert session.condition == "up"


def test_a_message_whose_result_is_lost_as_a_set_up_is_queued_goes_once():
    """It may be on the air: its fate is unknown, and the others go on behind the set-up."""
    _, radio, events = converse(BURST_BEFORE_A_SENDING)
    assert radio.aired == [100, 101, 102]
    assert [event for event in events if isinstance(event, NotSent)] == [NotSent(0, NO_ANSWER)]
    assert [event.key for event in events if isinstance(event, Transmitted)] == [1, 2]
