"""For all radios that are slow, drop results or reboot: no result is ever paired with another command."""

from collections import deque
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.tetra import dialects
from drivers.tetra.bits import Bits
from drivers.tetra.outbox import NotSent, Parcel, Transmitted
from drivers.tetra.session import Ready, Session, Timing
from gateway.domain.time import Instant

many = settings(deadline=None)
START = datetime(2026, 11, 21, tzinfo=UTC)
NAMED = {"AT+GMI?": "+GMI: MOTOROLA", "AT+GMM?": "+GMM: M8", "AT+GMR?": "+GMR: R2", "AT+CREG?": "+CREG: 1,1,1"}


class Watched(Session):
    """Notes which result was taken for which command's."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.paired = []

    def _answered(self, command, code, now):
        self.paired.append((command.text, code))
        super()._answered(command, code, now)


class Slow:
    """A radio that does one command after another, each with a result of its own number.

    It answers a question's name first. `faults` says of each command how long it takes and whether its result is lost.
    """

    def __init__(self, faults):
        self.faults = deque(faults)
        self.busy_until, self.due, self.numbers = 0.0, deque(), {}

    def hear(self, octets, now_s):
        """Commands as sent; the digits of a message are none."""
        for line in octets.replace(b"\x1b", b"").split(b"\r\n"):
            text = line.rpartition(b"\x1a")[2].decode("latin-1")
            if text:
                self._command(text, now_s)

    def _command(self, text, now_s):
        takes_s, lost = self.faults.popleft() if self.faults else (0.01, False)
        self.busy_until = max(self.busy_until, now_s) + takes_s
        number = 1000 + len(self.numbers)
        self.numbers[number] = text
        result = f"\r\n+CME ERROR: {number}\r\n"
        if text in NAMED or text == "AT":
            result = f"\r\n{NAMED.get(text, '')}\r\n\r\nOK\r\n"
        if not lost:
            self.due.append((self.busy_until, result.encode()))


@many
@given(
    st.lists(st.tuples(st.sampled_from([0.01, 0.01, 0.01, 2.0, 4.0, 6.0]), st.booleans()), max_size=25),
    st.integers(0, 30),
)
def test_no_result_is_paired_with_another_command(faults, clean):
    """Each command's result carries its own number; what the session takes for it must be that number."""
    session, radio = Watched(dialects.GENERIC, Timing()), Slow([(0.01, False)] * (6 + clean) + faults)
    now_s, ready = 0.0, 0
    for _ in range(600):
        radio.hear(session.to_send(), now_s)
        next_s = min(session.deadline(), radio.due[0][0] if radio.due else float("inf"))
        now_s = max(now_s, next_s)
        now = Instant(now_s, START + timedelta(seconds=now_s))
        if radio.due and radio.due[0][0] <= now_s:
            session.receive(radio.due.popleft()[1], now)
        else:
            session.tick(now)
        ready += sum(isinstance(event, Ready) for event in session.events())
        if ready and not radio.faults:
            break
    assert ready, "it never comes to an end"
    for text, code in session.paired:
        assert (text in NAMED and code is None) or radio.numbers.get(code) == text


@many
@given(
    st.lists(
        st.tuples(st.booleans(), st.sampled_from([b"0,4,1", b"0,5,1", b"", b"lost"]), st.floats(0, 3)), max_size=12
    )
)
def test_every_message_has_one_fate(script):
    """Sent, or not; never both, never none; never twice on the air."""
    session, sent, fates = Session(dialects.GENERIC, Timing(reply_s=1, probe_s=1)), [], []
    planned = {key: (fate, pause_s) for key, (_, fate, pause_s) in enumerate(script)}
    waiting, now_s = dict(enumerate(urgent for urgent, _, _ in script)), 0.0
    while now_s < 2000 and len(fates) < len(script):
        now = Instant(now_s, START)
        if waiting and len(sent) % 2 == 0:
            key = next(iter(waiting))
            assert session.post(Parcel(key, 100 + key, 12, Bits(key, 32), waiting.pop(key)), now)
        fates += [event for event in session.events() if isinstance(event, Transmitted | NotSent)]
        for line in session.to_send().replace(b"\x1b", b"").split(b"\r\n"):
            text = line.rpartition(b"\x1a")[2].decode()
            if text.startswith("AT+CMGS="):
                key = int(text[8:].split(",")[0]) - 100
                sent.append(key)
                fate, pause_s = planned[key]
                now_s += pause_s
                if fate != b"lost":
                    session.receive(
                        b"\r\nOK\r\n" + (b"\r\n+CMGS: " + fate + b"\r\n" if fate else b""), Instant(now_s, START)
                    )
            elif text:
                session.receive(b"\r\nOK\r\n", Instant(now_s, START))
        now_s = max(now_s + 0.01, min(session.deadline(), now_s + 5))
        session.tick(Instant(now_s, START))
        if not waiting and not sent and not script:
            break
    fates += [event for event in session.events() if isinstance(event, Transmitted | NotSent)]
    assert sorted(fate.key for fate in fates) == list(range(len(script)))
    assert len(sent) == len(set(sent))
