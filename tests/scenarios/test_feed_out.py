"""The feed over a real broker, from a real process: retained for whoever comes late, emptied when it ends."""

from __future__ import annotations

import contextlib
import json
import urllib.request

import pytest

from gateway.ports import BrokerAddress
from tests.faults.broker_process import BrokerProcess
from tests.scenarios.gateway_process import GatewayProcess, until
from tests.site import Peer

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
STATUS = "lapel/v1/gateway/status"
UNIT = "lapel/v1/feed/PCC/unit"


class Desk:
    """A consumer: what lies retained as it saw it, and every message."""

    def __init__(self, port: int) -> None:
        self.peer = Peer(BrokerAddress("127.0.0.1", port))
        assert self.peer.up()
        assert self.peer.subscribe("lapel/v1/feed/#")
        assert self.peer.subscribe(STATUS)

    def said(self, topic: str) -> list[dict | None]:
        """Every message of a topic; None for an empty one."""
        return [json.loads(payload) if payload else None for at, payload in list(self.peer.heard) if at == topic]

    def last(self, topic: str) -> dict | None:
        """What it holds for a topic."""
        return (self.said(topic) or [None])[-1]

    def topics(self) -> set[str]:
        """Topics below the feed that hold something."""
        return {topic for topic, _ in list(self.peer.heard) if topic != STATUS and self.last(topic) is not None}


@pytest.fixture
def room(tmp_path):
    """A broker, a gateway on it with a token, and desks that are closed at the end."""
    broker = BrokerProcess(tmp_path).start()
    (tmp_path / "roster.toml").write_text(ROSTER)
    gateway = GatewayProcess(
        tmp_path,
        f'[gateway]\ninstance = "under-test"\ndata = "{tmp_path}/data"\n[roster]\nfile = "roster.toml"\n'
        f"[evidence]\nenabled = false\n[broker]\nport = {broker.port}\n[api]\nport = 0\n"
        "[feed]\nmqtt = true\nheartbeat_s = 1.0\n",
    )
    made = Room(broker, gateway)
    try:
        gateway.start().ready()
        made.token = gateway.token()
        yield made
    finally:
        made.close()


class Room:
    """All of it."""

    def __init__(self, broker, gateway) -> None:
        self.broker, self.gateway, self.token, self._desks = broker, gateway, "", []

    def desk(self) -> Desk:
        """A consumer that comes now."""
        made = Desk(self.broker.port)
        self._desks.append(made)
        return made

    def ask(self, path: str, body: dict, method: str = "POST") -> dict:
        """An act of the control room."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = self.gateway.address.rstrip("/") + path
        request = urllib.request.Request(url, json.dumps(body).encode(), headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def duty(self, unit: str, code: int) -> None:
        """Set a status."""
        self.ask(f"/v1/units/{unit}/duty", {"code": code}, "PUT")

    def close(self) -> None:
        """Everything down."""
        self.gateway.kill()
        self.broker.kill()
        for desk in self._desks:
            with contextlib.suppress(OSError):
                desk.peer.close()


def filled(*units: str) -> set[str]:
    """The topics of these units."""
    return {f"{UNIT}/{unit}/{leaf}" for unit in units for leaf in ("position", "duty")}


def test_a_shift_over_the_broker(room):
    """Late joiner, duty, emergency raised, acknowledged and cleared, off duty, an end in order."""
    first = room.desk()
    until(lambda: first.topics() == filled("PCC.CSO-014", "PCC.CSO-015"), 10, "every unit lies retained")
    room.duty("PCC.CSO-014", 2)
    until(lambda: (first.last(f"{UNIT}/PCC.CSO-014/duty") or {}).get("code") == 2, 5, "the duty goes out")
    late = room.desk()
    until(lambda: late.topics() == first.topics() and late.last(STATUS), 5, "a late joiner has it all")
    told = late.last(f"{UNIT}/PCC.CSO-014/duty")
    named = {"instance": "under-test", "epoch": late.last(STATUS)["epoch"]}
    assert {word: told[word] for word in ("v", "state", "deployable", "incident", "source", "overtime", *named)} == {
        "v": 1, "state": "available", "deployable": True, "incident": None, "source": "api", "overtime": False, **named
    }  # fmt: skip
    feature = late.last(f"{UNIT}/PCC.CSO-014/position")
    assert (feature["type"], feature["id"], feature["instance"]) == ("Feature", "PCC.CSO-014", "under-test")
    _emergency(room, first)
    room.duty("PCC.CSO-014", 11)
    until(lambda: first.topics() == filled("PCC.CSO-015"), 5, "off duty clears")
    assert room.desk().topics() <= filled("PCC.CSO-015")
    assert room.gateway.terminate() == 0
    until(lambda: first.last(STATUS) == {"v": 1, **named, "state": "offline"}, 5, "it says that it goes")


def _emergency(room, desk) -> None:
    raised = room.ask("/v1/emergencies", {"unit": "PCC.CSO-014"})
    topic = f"lapel/v1/feed/emergency/{raised['id']}"
    until(lambda: (desk.last(topic) or {}).get("state") == "active", 2, "the emergency goes out")
    late = room.desk()
    until(lambda: late.last(topic), 5, "a late joiner has the emergency")
    room.ask(f"/v1/emergencies/{raised['id']}/ack", {"by": "A. Person"})
    until(lambda: (desk.last(topic) or {}).get("acknowledged_by"), 2, "the acknowledgement goes out")
    room.ask(f"/v1/emergencies/{raised['id']}/clear", {"by": "A. Person", "outcome": "assisted"})
    until(lambda: desk.last(topic) is None, 2, "the topic is emptied")
    states = [said and said["state"] for said in desk.said(topic)]
    assert states[-2:] == ["cleared", None]
    assert {"active", "acknowledged"} <= set(states)
    assert topic not in room.desk().topics()


def test_killed_the_broker_says_so_and_a_restart_clears_what_is_stale(room):
    """After kill -9 the will. What an earlier run left and no longer belongs goes; another instance's stays."""
    desk = room.desk()
    until(lambda: desk.topics() == filled("PCC.CSO-014", "PCC.CSO-015"), 10, "every unit lies retained")
    until(lambda: (desk.last(STATUS) or {}).get("state") == "online", 5, "online")
    online = desk.last(STATUS)
    assert (online["instance"], online["parts"]["feed"], online["inputs"]) == ("under-test", "ok", {})
    assert set(online["clock"]) == {"synchronised", "offset_ms"}
    room.duty("PCC.CSO-015", 11)
    until(lambda: desk.topics() == filled("PCC.CSO-014"), 5, "off duty clears")
    log = room.gateway.config.parent / "data" / "feed" / "urgent.log"
    until(lambda: b"off_duty" in log.read_bytes(), 5, "the log has it: what goes out does not wait for the disk")
    room.gateway.kill()
    gone = {"v": 1, "instance": "under-test", "epoch": online["epoch"], "state": "offline"}
    until(lambda: desk.last(STATUS) == gone, 10, "the broker says that it is gone")
    mine, theirs = b'{"v":1,"instance":"under-test"}', b'{"v":1,"instance":"another"}'
    stale = [f"{UNIT}/PCC.CSO-015/position", f"{UNIT}/PCC.GONE/duty", "lapel/v1/feed/emergency/EM-20260101-0001"]
    for topic in stale:
        desk.peer.client.publish(topic, mine, 1, True).wait_for_publish(5)
    other = "lapel/v1/feed/FRS/unit/FRS.X/duty"
    desk.peer.client.publish(other, theirs, 1, True).wait_for_publish(5)
    room.gateway.start().ready()
    until(lambda: desk.topics() == {*filled("PCC.CSO-014"), other}, 10, "what is stale is cleared")
    until(lambda: desk.last(STATUS)["state"] == "online", 5, "online again")
    assert desk.last(STATUS)["epoch"] == online["epoch"]


def test_a_broker_that_comes_back_empty_is_filled_again(room):
    """Nothing retained outlives it: everything is said anew, and what ended meanwhile is not."""
    desk = room.desk()
    until(lambda: desk.topics() == filled("PCC.CSO-014", "PCC.CSO-015"), 10, "every unit lies retained")
    room.broker.kill()
    room.duty("PCC.CSO-015", 11)
    raised = room.ask("/v1/emergencies", {"unit": "PCC.CSO-014"})
    room.broker.start()
    desk = room.desk()
    wanted = {*filled("PCC.CSO-014"), f"lapel/v1/feed/emergency/{raised['id']}"}
    until(lambda: desk.topics() == wanted, 20, "the state is back")
