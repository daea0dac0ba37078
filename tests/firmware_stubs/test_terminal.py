"""The terminal as a process: cues in, happenings out; a bad day; another program on its port."""

import fcntl
import os
import select
import signal
import subprocess
import sys
import threading
import time
import tty

import pytest

from firmware_stubs.faults import FIRST_ISSI
from tests.faults.terminal_process import TerminalProcess
from tests.firmware_stubs.conftest import ROOT
from tests.scenarios.gateway_process import until

OFFICER = 2341001
REGISTER = (
    b"ATE0",
    b"AT+CTSP=1,3,10",
    b"AT+CTSP=2,2,20",
    b"AT+CTSP=1,3,24",
    b"AT+CTSP=1,3,25",
    b"AT+CTSP=2,0,0",
    b"AT",
)


class Equipment(threading.Thread):
    """The gateway's end of the line, patient: it opens the port again, registers again, and keeps what it read."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.seen, self.fd = path, b"", -1
        self._ends = threading.Event()
        self.start()

    def run(self):
        while not self._ends.is_set():
            try:
                self._serve()
            except OSError:
                time.sleep(0.02)

    def _serve(self):
        self.fd = os.open(self.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            tty.setraw(self.fd)
            renew = 0.0
            while not self._ends.is_set():
                if time.monotonic() > renew:
                    os.write(self.fd, b"\r\n".join((*REGISTER, b"")))
                    renew = time.monotonic() + 0.5
                if select.select([self.fd], [], [], 0.02)[0]:
                    self.seen += self._read()
        finally:
            os.close(self.fd)

    def _read(self):
        octets = os.read(self.fd, 4096)
        if not octets:
            raise OSError("hung up")
        return octets

    def says(self, what, patience_s=5.0):
        until(lambda: what in self.seen, patience_s, f"{what!r} in {self.seen[-300:]!r}")

    def send(self, digits, called=OFFICER):
        command = b"AT+CTSDS=12,0\r\nAT+CMGS=%d,%d\r\n%s\x1a" % (called, 4 * len(digits), digits)
        os.write(self.fd, command)

    def close(self):
        self._ends.set()
        self.join(5)


@pytest.fixture
def rig(tmp_path):
    """A terminal that does nothing of its own, officers in a hurry, and equipment on its port."""
    link = tmp_path / "terminal-1"
    terminal = TerminalProcess(
        link,
        "--cues",
        "--quiet",
        "--hurry",
        10,
        "--dialect",
        "sepura",
        "--answers",
        "15@3,5@4",
        "--reboot-seconds",
        0.2,
    )
    equipment = Equipment(link)
    equipment.says(b"OK")
    yield terminal, equipment
    equipment.close()
    assert terminal.close()["event"] == "summary"


def test_a_text_is_on_the_screen_and_answered(rig):
    """A JSON line for the screen; reports and statuses on the line."""
    terminal, equipment = rig
    equipment.send(b"820E050148656C6C6F")
    until(lambda: terminal.of("screen"), 5, "the text is shown")
    assert terminal.of("screen") == [{"event": "screen", "issi": OFFICER, "text": "Hello", "reference": 5}]
    for answer in (b"+CMGS: 0,4,1", b"\r\n82100005\r\n", b"\r\n82100205\r\n", b"\r\n800F\r\n", b"\r\n8005\r\n"):
        equipment.says(answer)


def test_its_own_trigger_fires_and_a_set_one_too(rig):
    """Every 30 s of the officers' time (3 of ours) from each radio; a request is answered within one."""
    _, equipment = rig
    equipment.send(b"0A4580")
    equipment.says(b"+CTSDSR: 12,%d,0,2349001,0,84,0\r\n0A" % OFFICER, 3)
    equipment.says(b"+CTSDSR: 12,%d,0,2349001,0,84,0\r\n0A" % (OFFICER + 2), 6)


def test_cues(rig):
    """What a test can make happen, and that nonsense is said."""
    terminal, equipment = rig
    for cue, expected in (
        (f"emergency {OFFICER}", b"\r\n0000\r\n"),
        (f"status {OFFICER} 7", b"\r\n8007\r\n"),
        (f"value {OFFICER} 0x9001", b"\r\n9001\r\n"),
        (f"text {OFFICER} All well", b"\r\n0201416C6C2077656C6C\r\n"),
        (f"call {OFFICER} 15", b"+CTICN: 1,0,0,0,2341001,1,1,0,1,1,0,2340001,15"),
        ("hangup", b"+CTCR: 1,13"),
        ("burst", b"+CME ERROR: 30"),
        ("confuse", b"+CME ERROR: 35"),
    ):
        terminal.cue(cue)
        equipment.says(expected)
    terminal.cue(f"reach {OFFICER} service_loss")
    terminal.cue("nonsense")
    until(lambda: terminal.of("not_understood"), 5, "nonsense is said")
    equipment.seen = b""
    terminal.cue("unplug 0.1")
    equipment.says(b"OK")
    terminal.cue("stop")
    until(lambda: not terminal.running, 10, "it stops")


def test_a_bad_day_is_accounted_for(tmp_path):
    """What it says was read was read, each once; what was cut off is said as well."""
    link = tmp_path / "terminal-1"
    terminal = TerminalProcess(link, "--faults", 12, "--seed", 5, "--dialect", "sepura", "--reboot-seconds", 0.1)
    equipment = Equipment(link)
    until(lambda: terminal.of("summary"), 60, "it is over")
    equipment.close()
    terminal.close()
    assert len(terminal.of("fault")) == 12
    read = [each["issi"] for each in terminal.of("sds") if each["read"]]
    assert len(read) >= 12
    assert len(set(read)) == len(read)
    for issi in read:
        assert issi > FIRST_ISSI
        assert equipment.seen.count(b"+CTSDSR: 12,%d," % issi) + equipment.seen.count(b"+CTSDSR: 13,%d," % issi) == 1


def test_another_program_on_the_port(tmp_path):
    """It holds the port and its lock until it is ended, and eats what comes."""
    link = tmp_path / "terminal-1"
    terminal = TerminalProcess(link, "--quiet")
    occupant = subprocess.Popen(
        [sys.executable, "-m", "firmware_stubs.occupant", "--port", str(link), "--lock", "--eat"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    assert b'"holding"' in occupant.stdout.readline()
    port = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    with pytest.raises(BlockingIOError):
        fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
    occupant.send_signal(signal.SIGTERM)
    assert b'"summary"' in occupant.stdout.readline()
    assert occupant.wait(5) == 0
    fcntl.flock(port, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(port)
    occupant.stdout.close()
    terminal.close()
