"""A terminal on a real pseudo-terminal, with plain file calls on the other end."""

import os
import re
import select
import termios
import threading
import time
import tty

import pytest

from firmware_stubs.dialects import DIALECTS
from firmware_stubs.handset import lip_frame
from firmware_stubs.lip import ShortReport
from firmware_stubs.pei import Cell, MobileTermination
from firmware_stubs.port import Terminal
from firmware_stubs.sds import status

HEARD = frozenset({2341001, 2341002})


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path / "terminal-1", MobileTermination(DIALECTS["motorola"], Cell(), HEARD), seed=3)
    made.open()
    made.start()
    yield made
    made.close()


class Equipment:
    """The gateway's end of the line."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        self.seen = b""

    def say(self, *commands):
        for command in commands:
            before = self.seen.count(b"\nOK\r")
            os.write(self.fd, command.encode() + b"\r\n")
            self.until(lambda seen, before=before: seen.count(b"\nOK\r") > before)

    def until(self, good, patience_s=5.0):
        ends = time.monotonic() + patience_s
        while not good(self.seen) and time.monotonic() < ends:
            if select.select([self.fd], [], [], 0.05)[0]:
                self.seen += os.read(self.fd, 4096)
        assert good(self.seen), self.seen


def wait(true, patience_s=5.0):
    ends = time.monotonic() + patience_s
    while not true() and time.monotonic() < ends:
        time.sleep(0.01)
    assert true()


def test_every_frame_counted_as_sent_arrives(terminal):
    """In pieces, among answers, none lost."""
    equipment = Equipment(terminal.link)
    equipment.say("ATE0", "AT+CTSP=1,3,10", "AT+CTSP=2,2,20")
    wait(lambda: terminal.ready)
    for number in range(200):
        terminal.hear(lip_frame(2341001, ShortReport(52.57 + number * 1e-5, -0.24), DIALECTS["motorola"]))
        if number == 50:
            os.write(equipment.fd, b"AT+CSQ?\r\n")
    terminal.hear(status(2341002, 0))
    equipment.until(lambda seen: b"\r\n0000\r\n" in seen, 20)
    assert len(re.findall(rb"\+CTSDSR: 12,2341001,0,2349001,0,88\r\n0A[0-9A-F]{20}\r\n", equipment.seen)) == 200
    assert b"\r\n+CSQ: " in equipment.seen
    wait(terminal.drained)
    assert terminal.sent == {"lip": 200, "status": 1}
    os.close(equipment.fd)


def test_what_nobody_listens_to_is_not_counted_as_sent(terminal):
    """Unplugged, or plugged in and not yet registered."""
    terminal.hear(status(2341001, 0x8001))
    wait(terminal.drained)
    equipment = Equipment(terminal.link)
    equipment.say("ATE0")
    terminal.hear(status(2341001, 0x8001))
    wait(terminal.drained)
    assert terminal.unheard == {"status": 2}
    assert not terminal.sent
    os.close(equipment.fd)
    wait(lambda: not terminal.ready)


def test_a_line_plugged_in_again_goes_on(terminal):
    """Registrations outlive the cable; traffic waits for the first command."""
    first = Equipment(terminal.link)
    first.say("ATE0", "AT+CTSP=1,3,10", "AT+CTSP=2,2,20")
    os.close(first.fd)
    wait(lambda: not terminal.ready)
    second = Equipment(terminal.link)
    time.sleep(0.1)
    assert not terminal.ready
    second.say("AT")
    wait(lambda: terminal.ready)
    os.close(second.fd)


def test_closing_waits_until_everything_is_read(terminal):
    """A slow reader still gets what was counted as sent."""
    equipment = Equipment(terminal.link)
    equipment.say("ATE0", "AT+CTSP=1,3,10", "AT+CTSP=2,2,20")
    for _ in range(20):
        terminal.hear(status(2341001, 0x8001))
    wait(terminal.drained)
    closing = threading.Thread(target=terminal.close)
    closing.start()
    time.sleep(0.5)
    equipment.until(lambda seen: seen.count(b"\r\n8001\r\n") == 20)
    closing.join()
    os.close(equipment.fd)


def test_closing_removes_the_link(tmp_path):
    """Nothing is left behind."""
    made = Terminal(tmp_path / "t", MobileTermination(DIALECTS["sepura"], Cell(), HEARD))
    made.open()
    assert made.link.is_symlink()
    made.close()
    assert not made.link.is_symlink()


class Slow:
    """Equipment that opens the port at a speed of its own."""

    def __init__(self, path, speed):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self.fd)
        flags = termios.tcgetattr(self.fd)
        flags[4] = flags[5] = getattr(termios, f"B{speed}")
        termios.tcsetattr(self.fd, termios.TCSANOW, flags)

    def answered(self, patience_s=0.5):
        os.write(self.fd, b"AT\r\n")
        seen, ends = b"", time.monotonic() + patience_s
        while b"OK" not in seen and time.monotonic() < ends:
            if select.select([self.fd], [], [], 0.05)[0]:
                seen += os.read(self.fd, 4096)
        return b"OK" in seen


@pytest.mark.parametrize("speed", [9600, 38400, 115200])
def test_it_answers_at_its_own_speed_alone(tmp_path, speed):
    """The speed that the other end has set is what counts; at another it neither hears nor says anything."""
    made = Terminal(tmp_path / "t", MobileTermination(DIALECTS["sepura"], Cell(), HEARD), speed=speed)
    made.open()
    made.start()
    wrong = 38400 if speed != 38400 else 9600
    equipment = Slow(made.link, wrong)
    assert not equipment.answered(0.2)
    os.close(equipment.fd)
    equipment = Slow(made.link, speed)
    assert equipment.answered(3)
    assert made.deaf == 4
    os.close(equipment.fd)
    made.close()


def test_unplugged_it_comes_back_under_the_same_path(terminal):
    """The line hangs up, another takes its place, and the radio has kept its registrations."""
    equipment = Equipment(terminal.link)
    equipment.say("ATE0", "AT+CTSP=1,3,10", "AT+CTSP=2,2,20")
    terminal.suffer(lambda: terminal.replug(0.1))
    wait(terminal.drained)
    with pytest.raises(OSError):
        os.write(equipment.fd, b"AT\r\n")
    os.close(equipment.fd)
    again = Equipment(terminal.link)
    again.say("AT")
    wait(lambda: terminal.ready)
    terminal.hear(status(2341001, 0x8001))
    again.until(lambda seen: b"\r\n8001\r\n" in seen)
    os.close(again.fd)


def test_it_knows_what_was_not_read_yet(terminal):
    """What is on the line counts until the other end has taken it."""
    equipment = Equipment(terminal.link)
    equipment.say("ATE0", "AT+CTSP=1,3,10", "AT+CTSP=2,2,20")
    wait(lambda: terminal.ready)
    ends = []
    terminal.on_written = lambda _frame, end: ends.append(end)
    terminal.hear(status(2341001, 0x8001))
    wait(terminal.drained)
    assert ends == [terminal.written]
    assert terminal.unread() == len(b"\r\n+CTSDSR: 13,2341001,0,2349001,0,16\r\n8001\r\n")
    equipment.until(lambda seen: b"\r\n8001\r\n" in seen)
    assert terminal.unread() == 0
    os.close(equipment.fd)


def test_a_reboot_on_the_line(terminal):
    """Not ready until it has been registered for again."""
    equipment = Equipment(terminal.link)
    equipment.say("ATE0", "AT+CTSP=1,3,10", "AT+CTSP=2,2,20")
    wait(lambda: terminal.ready)
    terminal.suffer(terminal.reboot)
    wait(lambda: not terminal.ready)
    os.close(equipment.fd)
