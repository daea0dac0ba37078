"""A task through the whole gateway: given over HTTP, read on an officer's radio, answered by statuses, timed."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.faults.terminal_process import TerminalProcess
from tests.scenarios.gateway_process import GatewayProcess, until

OFFICER = 2341014
UNIT = "PCC.CSO-014"
ROSTER = """
v = 1
person = [
  { id = "P-0014", name = "Officer 14", agency = "PCC", role = "CSO", issi = 2341014 },
  { id = "P-0015", name = "Officer 15", agency = "PCC", role = "CSO", issi = 2341015 },
]
unit = [
  { id = "PCC.CSO-014", callsign = "CSO14", agency = "PCC", members = ["P-0014"] },
  { id = "PCC.CSO-015", callsign = "CSO15", agency = "PCC", members = ["P-0015"] },
]
"""
OFFICERS = ("--quiet", "--first-issi", OFFICER, "--issis", 2, "--received-after", 0.2, "--consumed-after", 0.5)
REPORTED_AGO_S = 30.0


class Site:
    """The gateway with one terminal, the stub behind it, and a controller's account."""

    def __init__(self, folder, *more: str | float) -> None:
        """Start both; ready when the terminal is registered."""
        link = folder / "terminal-1"
        self.terminal = TerminalProcess(link, *OFFICERS, "--cues", "--every", 0.2, *more)
        (folder / "roster.toml").write_text(ROSTER)
        self.gateway = GatewayProcess(
            folder,
            f'[gateway]\ndata = "{folder / "data"}"\n[roster]\nfile = "roster.toml"\n[evidence]\nenabled = false\n'
            f'[api]\nport = 0\n[dispatch]\nlocate = false\n[[driver]]\nkind = "tetra"\nname = "terminal-1"\n'
            f'port = "{link}"\nstatus_map = {{ 0x8002 = 2, 0x8005 = 5, 0x8006 = 6, 0x800F = 15 }}\n',
        )
        try:
            self.token = self.gateway.start().ready().token("controller", "controller")
            until(lambda: self.terminal.of("progress")[-1:] and self.terminal.of("progress")[-1]["ready"], 15, "ready")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop both."""
        self.gateway.kill()
        self.terminal.close()

    def ask(self, path: str, body: dict[str, Any] | None = None, key: str | None = None) -> tuple[int, Any]:
        """GET, or POST where there is a body: status and content."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.gateway.address.rstrip("/") + path, content, headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code, json.load(refused)

    def becomes(self, task: str, state: str, patience_s: float = 15.0) -> dict[str, Any]:
        """The task, once it is in that state."""
        seen: list[dict[str, Any]] = []

        def there() -> bool:
            seen.append(self.ask(f"/v1/tasks/{task}")[1])
            return bool(seen[-1]["state"] == state)

        try:
            until(there, patience_s, f"task {state}", 0.1)
        except AssertionError as late:
            raise AssertionError(f"{late}; it is {seen[-1]}") from late
        return seen[-1]


@pytest.fixture
def site(tmp_path):
    """Officers who accept, set out, arrive and are done, one after another."""
    made = Site(tmp_path, "--answers", "15@1.2,5@2.4,6@3.6,2@4.8")
    yield made
    made.close()


def test_a_task_is_read_answered_and_timed(site):
    """Text on the screen, delivery report, each state by its status, and the durations in the report."""
    reported = datetime.now(UTC) - timedelta(seconds=REPORTED_AGO_S)
    body = {"unit": UNIT, "text": "Bridge Street, two cyclists", "reported_at": reported.isoformat()}
    code, task = site.ask("/v1/tasks", body, "first")
    assert code == 201, task
    until(lambda: site.terminal.of("screen"), 10, "the text is on the screen")
    [shown] = site.terminal.of("screen")
    assert (shown["issi"], shown["text"]) == (OFFICER, "Bridge Street, two cyclists")
    done = site.becomes(task["id"], "done")
    states = [step["state"] for step in done["history"]]
    assert [state for state in states if state != "queued"] == [
        "sent",
        *["delivered"] * states.count("delivered"),
        "accepted",
        "en_route",
        "at_scene",
        "done",
    ]
    assert 1 <= states.count("delivered") <= 2
    code, times = site.ask("/v1/response-times")
    assert code == 200
    [row] = times["rows"]
    legs = {name: leg["median_s"] for name, leg in row["legs"].items()}
    assert row["key"] == UNIT
    assert REPORTED_AGO_S <= legs["reported_to_dispatched"] < REPORTED_AGO_S + 10
    assert 1.0 <= legs["dispatched_to_en_route"] < 10
    assert 0.8 <= legs["en_route_to_at_scene"] < 5
    total = sum(legs[name] for name in ("reported_to_dispatched", "dispatched_to_en_route", "en_route_to_at_scene"))
    assert legs["reported_to_at_scene"] == pytest.approx(total, abs=0.01)


def test_the_same_request_twice_is_one_text(site):
    """An Idempotency-Key is one task; a committed unit gets no second without a reason."""
    body = {"unit": UNIT, "text": "Once only"}
    _, first = site.ask("/v1/tasks", body, "k")
    code, again = site.ask("/v1/tasks", body, "k")
    assert (code, again["id"]) == (201, first["id"])
    code, refused = site.ask("/v1/tasks", {"unit": UNIT, "text": "Another"}, "l")
    assert (code, refused["task"]) == (409, first["id"])
    site.becomes(first["id"], "at_scene")
    assert [each["text"] for each in site.terminal.of("screen")] == ["Once only"]


def test_out_of_reach_fails_with_its_cause(site):
    """Who said that there is no service gets no task."""
    site.terminal.cue(f"reach {OFFICER} service_loss")
    until(lambda: site.terminal.of("done"), 5, "the radio has said so")
    time.sleep(0.5)
    _, task = site.ask("/v1/tasks", {"unit": UNIT, "text": "Are you there"})
    failed = site.becomes(task["id"], "failed")
    assert failed["cause"]["kind"] in {"out_of_reach", "not_delivered"}
    assert site.terminal.of("screen") == []


def test_out_of_reach_is_known_after_a_crash(site):
    """A radio that was switched off, kill -9, a new start: a task fails at once, nothing goes over the air."""
    site.terminal.cue(f"reach {OFFICER} off")
    until(lambda: site.terminal.of("done"), 5, "the radio has said so")
    time.sleep(0.5)
    site.gateway.kill()
    site.gateway.start().ready()
    began_s = time.monotonic()
    _, task = site.ask("/v1/tasks", {"unit": UNIT, "text": "Are you there"})
    failed = site.becomes(task["id"], "failed")
    assert (failed["cause"]["kind"], time.monotonic() - began_s < 5) == ("out_of_reach", True)
    assert site.terminal.of("downlink") == []


def test_a_radio_that_cannot_take_it_is_a_failure(tmp_path):
    """Delivery status 0x4A is final, and said with its number."""
    site = Site(tmp_path, "--outcome", 0x4A)
    try:
        _, task = site.ask("/v1/tasks", {"unit": UNIT, "text": "Too much for you"})
        failed = site.becomes(task["id"], "failed")
        assert (failed["cause"]["kind"], failed["cause"]["code"]) == ("not_delivered", 0x4A)
    finally:
        site.close()


def test_an_officers_text_is_reported_received_and_dealt_with(site):
    """The radio shows "received" once the text is on disk, and "read" when a named person has dealt with it, once."""
    site.terminal.cue(f"ask {OFFICER} 201 Please call me")
    until(lambda: site.terminal.of("report"), 10, "the report is back")
    [message] = site.ask("/v1/messages")[1]["messages"]
    assert (message["text"], message["receipt"]["reference"]) == ("Please call me", 201)
    for _ in range(2):
        code, dealt = site.ask(f"/v1/messages/{message['id']}/dealt", {"by": "S. Holt"})
        assert (code, dealt["dealt_with_by"]) == (200, "S. Holt")
    until(lambda: len(site.terminal.of("report")) > 1, 10, "the word of the control room is back")
    time.sleep(1.5)
    said = [(one["issi"], one["reference"], one["outcome"]) for one in site.terminal.of("report")]
    assert said == [(OFFICER, 201, 0x00), (OFFICER, 201, 0x02)]


def test_reports_that_ask_for_it_are_acknowledged(tmp_path):
    """SDS-ACK on a delivery report, by its reference; LIP acknowledgement on a long report; one of each, once."""
    site = Site(tmp_path, "--wants-acks", "--answers", "")
    try:
        _, task = site.ask("/v1/tasks", {"unit": UNIT, "text": "North gate"})
        site.becomes(task["id"], "delivered")
        [shown] = site.terminal.of("screen")
        until(lambda: len(site.terminal.of("acknowledged")) == 2, 10, "both delivery reports are acknowledged")
        said = [(one["issi"], one["reference"], one["outcome"]) for one in site.terminal.of("acknowledged")]
        assert said == [(OFFICER, shown["reference"], 0x00), (OFFICER, shown["reference"], 0x02)]
        site.terminal.cue(f"place {OFFICER}")
        until(lambda: len(site.terminal.of("acknowledged")) == 3, 10, "the long report is acknowledged")
        time.sleep(1.5)
        assert site.terminal.of("acknowledged")[2:] == [
            {"event": "acknowledged", "issi": OFFICER, "reference": None, "outcome": None}
        ]
    finally:
        site.close()
