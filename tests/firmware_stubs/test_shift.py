"""A short shift as a process: ready, go, progress, a summary that adds up."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import tomllib
import tty

from tests import peers
from tests.firmware_stubs.conftest import ROOT
from tests.firmware_stubs.test_camera import GatewayOnTheWire

peers.package("av")


class Listener(threading.Thread):
    """The gateway's end of one line: registers, then collects."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        os.set_blocking(self.fd, False)
        self.seen = b""
        self.ended = threading.Event()

    def run(self):
        for command in ("ATE0", "AT+CTSP=1,3,10", "AT+CTSP=2,2,20", "AT+CTSP=1,3,24", "AT+CTSP=1,3,25"):
            os.write(self.fd, command.encode() + b"\r\n")
            time.sleep(0.1)
        while not self.ended.wait(0.01):
            try:
                self.seen += os.read(self.fd, 4096)
            except BlockingIOError:
                continue


def test_a_shift_adds_up(broker, tmp_path):
    """Every counted frame and position arrived, every recording has its receipt."""
    gateway = GatewayOnTheWire(broker)
    (tmp_path / "log.vkey").write_text(gateway.double.log.vkey)
    command = [sys.executable, "-m", "firmware_stubs.shift", "--seed", "3", "--people", "8", "--radios", "2"]
    command += ["--beacons", "4", "--cameras", "2", "--mqtt", broker.address, "--terminals-dir", tmp_path / "ports"]
    command += ["--roster", tmp_path / "roster.toml", "--vkey", tmp_path / "log.vkey", "--work", tmp_path / "work"]
    command += ["--video-mb", "0.5", "--video-seconds", "1", "--radio-every", "1", "--beacon-every", "0.5"]
    command += ["--emergency-every", "3", "--rubbish", "--rubbish-every", "0.5"]
    shift = subprocess.Popen(
        [str(word) for word in command], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    ready = json.loads(shift.stdout.readline())
    assert ready["event"] == "ready"
    assert len(tomllib.loads((tmp_path / "roster.toml").read_text())["person"]) == 8
    lines = [Listener(path) for path in ready["terminals"]]
    for line in lines:
        line.start()
    time.sleep(1)
    shift.stdin.write("go\n")
    shift.stdin.flush()
    stopper = threading.Timer(8, lambda: (shift.stdin.write("stop\n"), shift.stdin.flush()))
    stopper.start()
    happenings = [json.loads(text) for text in shift.stdout]
    assert shift.wait(30) == 0
    summary = happenings[-1]
    for line in lines:
        line.ended.set()
        line.join()
        os.close(line.fd)
    gateway.close()
    shift.stdin.close()
    shift.stdout.close()

    assert summary["event"] == "summary"
    assert summary["violations"] == []
    assert summary["positions_unacknowledged"] == 0
    assert (summary["recordings_sent"], summary["recordings_receipted"], summary["recordings_held"]) == (2, 2, 0)
    assert sum(each["event"] == "sealed" for each in happenings) == 2
    assert any(each["event"] == "progress" and each["cameras"][0]["state"] == "recording" for each in happenings)
    seen = b"".join(line.seen for line in lines)
    reports = re.findall(rb"\+CTSDSR: 12,\d+,0,\d+,0,8[48](?:,0)?\r\n0A[0-9A-F]{19,20}\r\n", seen)
    assert len(reports) == summary["positions_sent"]["tetra"] + summary["reports_without_fix_sent"] > 20
    statuses = re.findall(rb"\+CTSDSR: 13,\d+,0,\d+,0,16(?:,0)?\r\n[0-9A-F]{4}\r\n", seen)
    assert len(statuses) == summary["statuses_sent"] + summary["emergencies_sent"]
    rubbish = sum(summary["rubbish_sent"].get(kind, 0) for kind in ("malformed", "null_island", "out_of_range"))
    assert len(gateway.positions) == summary["positions_sent"]["beacon"] + rubbish
    assert summary["rubbish_sent"]
