"""`lapel doctor`: what is wrong, in plain words, and what to do."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway.cli import doctor_words
from gateway.cli.doctor_ports import look
from tests.api.site import Site
from tests.cli.conftest import Lapel


class Answers:
    """A gateway that says what it is told to, on a loopback port."""

    def __init__(self) -> None:
        self.status, self.drivers, self.handsets = 200, {}, []
        self.parts = {"feed": "ok"}
        self.seen: list[tuple[str, str | None]] = []
        self.raw: bytes | None = None

    def input(self, name: str, state: str, problem: str | None = None, **counters: int) -> None:
        """One input."""
        self.drivers[name] = {"state": state, "last": None, "problem": problem, "counters": counters}

    def body(self, path: str) -> bytes:
        """As the gateway would answer."""
        known: dict[str, Any] = {
            "/v1/drivers": {"v": 1, "instance": "x", "inputs": self.drivers, "uploads": []},
            "/v1/handsets": {"v": 1, "handsets": self.handsets},
            "/ready": {"v": 1, "state": "ok", "parts": self.parts},
        }
        return self.raw if self.raw is not None else json.dumps(known[path]).encode()


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    """Its address."""

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.seen.append((self.path, self.headers["Authorization"]))
            self.send_response(answers.status)
            self.end_headers()
            self.wfile.write(answers.body(self.path))

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A token in a file, with the newline an editor leaves."""
    (tmp_path / "token").write_text("lpl_x\n")
    return tmp_path / "token"


@contextmanager
def holding(port: str, *words: str) -> Iterator[int]:
    """Another program that has the port open, called with such words; its process number."""
    hold = f"import sys; f = open({port!r}, 'rb'); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold, *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()
        try:
            yield other.pid
        finally:
            other.stdin.close()


def configured(tmp_path: Path, port: str, more: str = "") -> Path:
    """A configuration with one radio."""
    file = tmp_path / "lapel.toml"
    file.write_text(
        f'[gateway]\ndata = "data"\n{more}\n[[driver]]\nkind = "tetra"\nname = "terminal-1"\nport = "{port}"\n'
    )
    return file


@pytest.mark.parametrize(
    ("state", "problem", "what", "do"),
    [
        ("down", "/dev/ttyUSB0: could not open port: No such file or directory", "unplugged", "by-id"),
        ("unplugged", None, "unplugged", "by-id"),
        ("down", "/dev/ttyUSB0: end of file, the device is gone", "unplugged", "Plug"),
        ("down", "could not exclusively lock port: Resource temporarily unavailable", "another program", "End"),
        ("busy", "/dev/ttyUSB0 is held by ModemManager", "another program", "End"),
        ("down", "/dev/ttyUSB0: Permission denied", "may not open", "dialout"),
        ("wrong_speed", None, "speed", "baud"),
        ("silent", "no answer to AT", "answers nothing", "PEI lead"),
        ("not_registered", "searching", "not registered", "antenna"),
        ("dmo", None, "direct mode", "TMO"),
        ("up", "AT+CTSP=1,3,10: registration table full (39)", "refuses", "programming"),
        ("up", "AT+CTSP=2,2,20: parameter out of range (34)", "refuses", "programming"),
        ("down", "AT: PEI in use (2)", "taken by another box", "other equipment"),
        ("starting", None, "being set up", "Wait"),
        ("down", "not started", "being set up", "Wait"),
        ("probing", None, "being set up", "Wait"),
        ("down", "/dev/ttyUSB0: port held by ModemManager (pid 77)", "another program", "End"),
        ("up", "port also open in minicom (pid 78)", "another program", "End"),
        ("down", "/dev/ttyUSB0: no answer at 38400, 9600, 115200 baud", "answers nothing", "PEI lead"),
        ("wrong_speed", "no answer to AT in text: wrong speed?", "not at this speed", "baud"),
        ("direct", "in direct mode: nothing reaches the network", "direct mode", "TMO"),
        ("direct", "in direct, watching trunked mode: nothing reaches the network", "direct mode", "TMO"),
        ("no_service", "not in service (rejected)", "not registered", "ISSI"),
        ("broken", "defect: KeyError", "broken defect: KeyError", "log"),
    ],
)
def test_each_state_in_plain_words(state: str, problem: str | None, what: str, do: str) -> None:
    """Wrong, with what it means and what to do; what the input itself said stands beside it."""
    found = doctor_words.radio("terminal-1", state, problem)
    assert found.verdict == "wrong"
    assert what in found.what
    assert do in (found.do or "")
    assert problem is None or problem in found.what


def test_a_radio_that_works() -> None:
    """Nothing to do."""
    found = doctor_words.radio("terminal-1", "up", None)
    assert (found.verdict, found.do) == ("fine", None)


def test_all_well(lapel: Lapel, token: Path) -> None:
    """Exit 0; coverage and each handset are told even so."""
    answers = Answers()
    answers.input("terminal-1", "up", short_data=7, talkgroup=4037009)
    answers.input("beacons", "up", positions=7)
    seen = {"issi": 2341014, "unit": "PCC.CSO-014", "reach": "ok", "proven_via": "terminal-1"}
    answers.handsets = [
        {**seen, "proven_at": "2026-11-21T21:05:01Z"},
        {**seen, "issi": 2341015, "proven_at": None, "proven_via": None, "reach": "off"},
    ]
    with serving(answers) as url:
        done = lapel("doctor", "--url", url, "--token-file", token)
    assert (done.code, done.err) == (0, "")
    assert "ok   issi 2341014: PCC.CSO-014: emergency path proven 21:05" in done.out
    assert "note  issi 2341015: PCC.CSO-014: emergency path not proven; reach off" in done.out
    assert "trunked mode is heard by terminal-1 (group 4037009 selected)" in done.out
    assert "NOT COVERED" in done.out
    assert "ok   beacons: up" in done.out
    assert {said for _, said in answers.seen} == {"Bearer lpl_x"}


def test_what_is_wrong(lapel: Lapel, token: Path) -> None:
    """Exit 1; radio alone leaves out the other inputs and the parts."""
    answers = Answers()
    answers.input("terminal-1", "silent", "no answer to AT", short_data=0)
    answers.input("beacons", "down", "broker gone", positions=0)
    answers.parts = {"feed": "ok", "journal": "degraded"}
    with serving(answers) as url:
        whole = lapel("doctor", "--url", url, "--token-file", token, "--json")
        radio = lapel("doctor", "radio", "--url", url, "--token-file", token, "--json")
    assert (whole.code, radio.code) == (1, 1)
    verdicts = {one["about"]: one["verdict"] for one in whole.json["findings"]}
    assert verdicts == {
        "feed": "fine",
        "journal": "wrong",
        "beacons": "wrong",
        "terminal-1": "wrong",
        "coverage": "wrong",
    }
    assert [one["about"] for one in radio.json["findings"]] == ["terminal-1", "coverage"]
    assert not radio.json["fine"]


def test_a_gateway_without_radios(lapel: Lapel) -> None:
    """Fine as a whole, and wrong where radios are asked for."""
    answers = Answers()
    answers.input("beacons", "up")
    with serving(answers) as url:
        assert lapel("doctor", "--url", url).code == 0
        assert lapel("doctor", "radio", "--url", url).code == 1


@pytest.mark.parametrize(
    ("status", "raw", "what"),
    [(401, b"{}", "not accepted"), (403, b"{}", "may not ask"), (500, b"{}", "500"), (200, b"<html>", "JSON")],
)
def test_an_answer_that_is_none(lapel: Lapel, status: int, raw: bytes, what: str) -> None:
    """Said as it is, exit 1."""
    answers = Answers()
    answers.status, answers.raw = status, raw
    with serving(answers) as url:
        done = lapel("doctor", "--url", url)
    assert done.code == 1
    assert what in done.out


def test_no_gateway(lapel: Lapel, tmp_path: Path) -> None:
    """Said so; the ports of the configuration are looked at instead."""
    done = lapel("doctor", "-c", configured(tmp_path, "/dev/nowhere"), "--url", "http://127.0.0.1:9")
    assert done.code == 1
    assert "no gateway answers" in done.out
    assert "/dev/nowhere: No such file or directory" in done.out


@pytest.mark.parametrize(
    "words",
    [[], ["-c", "a", "--data", "b"], ["--url", "file:///etc/passwd"], ["--url", "http://x", "--token-file", "/no"]],
)
def test_usage(lapel: Lapel, words: list[str]) -> None:
    """Exit 2."""
    assert lapel("doctor", *words).code == 2


def test_the_real_gateway(lapel: Lapel, tmp_path: Path) -> None:
    """Its own answers are understood; the address is the configuration's where there is a token."""
    with Site(tmp_path / "site") as site:
        (tmp_path / "token").write_text(site.token())
        file = tmp_path / "lapel.toml"
        file.write_text(f"[api]\nport = {site.url.rpartition(':')[2]}\n")
        done = lapel("doctor", "-c", file, "--token-file", tmp_path / "token")
        assert (done.code, "journal: ok" in done.out) == (0, True), done.out
        (tmp_path / "token").write_text("wrong")
        assert "not accepted" in lapel("doctor", "-c", file, "--token-file", tmp_path / "token").out


def test_the_port_itself(lapel: Lapel, tmp_path: Path) -> None:
    """There and free; then held by another program, which is named."""
    master, slave = pty.openpty()
    port = os.ttyname(slave)
    os.close(slave)
    done = lapel("doctor", "radio", "-c", configured(tmp_path, port))
    assert (done.code, "nobody holds it" in done.out, "test_status" in done.out) == (0, True, True)
    assert "test_status" not in lapel("doctor", "-c", configured(tmp_path, port, "[feed]\ntest_status = 0x80F0")).out
    with holding(port) as process:
        done = lapel("doctor", "radio", "-c", configured(tmp_path, port))
        assert (done.code, f"(process {process})" in done.out) == (1, True)
    with holding(port, "-m", "gateway", "run", "-c", "x.toml") as process:
        done = lapel("doctor", "radio", "-c", configured(tmp_path, port))
        assert (done.code, "by the gateway itself (" in done.out, f"(process {process})" in done.out) == (0, True, True)
    os.close(master)


def test_no_port_at_all(lapel: Lapel, tmp_path: Path) -> None:
    """A file is no port; a config without a radio has nothing to look at."""
    assert "no serial port" in look("t", str(Path(__file__))).what
    (tmp_path / "none.toml").write_text("[gateway]\n")
    assert lapel("doctor", "radio", "-c", tmp_path / "none.toml").code == 1


def test_a_port_that_may_not_be_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its group is named."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    found = look("t", "/dev/null")
    assert (found.verdict, "not readable" in found.what, "group" in (found.do or "")) == ("wrong", True, True)


def test_a_data_directory(lapel: Lapel, tmp_path: Path) -> None:
    """Without a configuration, what can be said of the store."""
    assert lapel("doctor", "--data", tmp_path).code == 0
    assert "not there yet" in lapel("doctor", "--data", tmp_path / "none").out
